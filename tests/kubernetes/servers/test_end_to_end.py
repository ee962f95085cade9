"""A real hub with its proxy beside the cluster, and JupyterLab in its pods; the service is a stand-in that has every image."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code
from tests.kubernetes.images import singleuser_image
from tests.kubernetes.kubectl import found, reason_to_skip, until_found
from tests.kubernetes.servers.conftest import HubNamespace
from tests.kubernetes.servers.images import by_digest
from tests.spawner.fakes import REPO, FakeService

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
]
CONFIG = """
import os
os.environ["KUBECONFIG"] = {kubeconfig!r}
c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
c.KubeSpawner.image = {image!r}
c.KubeSpawner.fs_gid = 100
c.KubeSpawner.cmd = ["jupyterhub-singleuser", "--debug"]
c.JupyterHub.hub_bind_url = c.JupyterHub.hub_bind_url.replace("127.0.0.1", {host!r})
c.JupyterHub.hub_connect_ip = {host!r}
c.JupyterHub.cleanup_servers = False
c.KubeSpawner.namespace = {namespace!r}
c.KubeSpawner.volumes = [{{"name": "home", "emptyDir": {{}}}}]
c.KubeSpawner.volume_mounts = [{{"name": "home", "mountPath": "/home/jovyan"}}]
c.KubeSpawner.profile_list = [
    {{"display_name": "Here", "kubespawner_override": {{"mem_limit": "1G"}}}},
    {{"display_name": "Nowhere", "kubespawner_override": {{"node_selector": {{"no": "such-node"}}}}}},
]
c.Spawner.start_timeout = 120
c.Spawner.http_timeout = 60
"""


@pytest.fixture(scope="module")
def service_url() -> Iterator[str]:
    """A service whose builds are all there."""
    image, loop, service = by_digest(singleuser_image()), asyncio.new_event_loop(), FakeService()
    service.on_ask = lambda build: build.ready(image)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(service.start(), loop).result()
    yield f"http://127.0.0.1:{service.port}"
    asyncio.run_coroutine_threadsafe(service.stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory, hub_namespace: HubNamespace, service_url: str) -> Iterator[HubProcess]:
    """A hub on this machine."""
    image = by_digest(singleuser_image())
    config = CONFIG.format(
        kubeconfig=str(hub_namespace.kubeconfig), host=os.environ["KUBE_TEST_HOST"], namespace=hub_namespace.namespace, image=image
    )
    more = {"mode": "kubernetes", "registry": "registry.example.org", "service_url": service_url, "service_token": "t" * 32, "required": False}
    with HubProcess(tmp_path_factory.mktemp("hub"), config=config, more=more) as hub:
        yield hub
        hub.stop_servers()
        sys.stdout.write(hub.log())


def pods(hub_namespace: HubNamespace) -> list[dict[str, Any]]:
    return found("pods", hub_namespace.namespace)


def test_a_cell_runs_in_a_pod_and_both_survive_the_hub(hub: HubProcess, hub_namespace: HubNamespace) -> None:
    events = hub.launch("alice", {"repo": REPO, "profile": "here"})
    assert events[-1].get("ready"), "\n".join(str(event.get("message")) for event in events)
    server = f"{hub.url}{events[-1]['url']}".rstrip("/")
    token = hub.token("alice")
    assert run_code(server, token, "import os; print(6 * 7, os.environ['HOME'], os.getcwd(), end='')").startswith(
        "42 /home/person /home/person/default/r-"
    )
    [running] = pods(hub_namespace)
    hub.start_server("bob", {"repo": REPO, "profile": "nowhere"})
    until_found(lambda: len(pods(hub_namespace)) == 2, "bob's pod, for which there is no room")
    hub.kill()
    hub.start()
    assert run_code(server, token, "print('still here', end='')") == "still here"
    until_found(lambda: len(pods(hub_namespace)) == 1, "the end of the pod whose start no hub knows any more")
    assert pods(hub_namespace)[0]["metadata"]["uid"] == running["metadata"]["uid"]
    events = hub.launch("bob", {"repo": REPO, "profile": "here"})
    assert events[-1].get("ready"), "\n".join(str(event.get("message")) for event in events)
    assert not any("node affinity" in str(event.get("message")) for event in events)
    assert "unhandled user_options" not in hub.log()
    with hub.login("eve") as browser:
        form = browser.get(f"{hub.url}/hub/spawn").text
        assert form.count('value="nowhere"') == 1, "the operator's form offers profiles, and the section does not again"
        assert 'name="binder-repo"' in form
    assert hub.launch("eve", {"profile": "here"})[-1].get("ready")
    assert "url changed" not in hub.log()
    counted = httpx.get(f"{hub.url}/hub/metrics", headers={"Authorization": f"token {hub.admin_token}"}).text
    assert re.search(r"^binder_server_images_there_total [1-9]", counted, re.MULTILINE), "the second server's image was on the node"
    [ordinary] = [pod for pod in pods(hub_namespace) if pod["metadata"]["annotations"]["hub.jupyter.org/username"] == "eve"]
    assert ordinary["spec"]["containers"][0]["args"] == ["jupyterhub-singleuser", "--debug"]
    assert [mount["mountPath"] for mount in ordinary["spec"]["containers"][0]["volumeMounts"]] == ["/home/jovyan"]
    hub.stop_servers()
    assert pods(hub_namespace) == []


def test_a_start_that_is_cancelled_through_the_hub_leaves_no_pod(hub: HubProcess, hub_namespace: HubNamespace) -> None:
    for _ in range(2):
        hub.start_server("bob", {"repo": REPO, "profile": "nowhere"})
        until_found(lambda: len(pods(hub_namespace)) == 1, "bob's pod, for which there is no room")
        reply = hub.api("DELETE", "/users/bob/server")
        assert reply.is_success, reply.text
        until_found(lambda: pods(hub_namespace) == [] and hub.servers("bob") == {}, "the end of bob's pod")
