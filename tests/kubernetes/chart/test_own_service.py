"""The chart with the service in a Deployment of its own, as the example of a public hub has it, and with a registry of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import yaml

from tests.harness.git_server import GitServer, Repository
from tests.harness.waiting import wait_for
from tests.kubernetes.chart.helm import CHART, REASON
from tests.kubernetes.chart.release import BEFORE, WAITS, Release, little_dockerfile, merged, named
from tests.kubernetes.images import image_registry, registry
from tests.kubernetes.kubectl import found, kubectl

pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.slow]


@pytest.fixture(scope="module")
def release(chart: Path, place: str, storage_class: str) -> Iterator[Release]:
    """Two examples, but for this cluster's storage, the registry of base images, and what builds ask of nodes."""
    public, with_registry = (yaml.safe_load((CHART / "examples" / name).read_text()) for name in ("public.yaml", "registry-in-cluster.yaml"))
    own = {
        "image": named(image_registry()),
        "nodePort": 30000 + int(place[-4:], 16) % 2000,  # of the whole cluster, in which other tests may run
        "storage": "1Gi",
        "storageClassName": storage_class,
    }
    here = {"registry": {"prefix": "", "inCluster": own}, "config": {"KubernetesMode": {"plain_http_registries": [registry()]}}}
    values = merged({name: value for name, value in public.items() if name not in {"registry", "builder"}}, merged(with_registry, here))
    with Release(chart, place, storage_class, values) as release:
        yield release


@pytest.fixture(scope="module")
def repository(git_server: GitServer) -> Repository:
    return git_server.create("chart/own", {"Dockerfile": little_dockerfile(15)})


def test_a_build_goes_on_when_the_services_own_pod_is_killed_and_its_image_is_launched(release: Release, repository: Repository) -> None:
    assert {pod["metadata"]["labels"]["component"] for pod in found("pods", release.namespace)} == {
        "hub",
        "proxy",
        "binder-service",
        "binder-image-registry",
    }
    alice = release.token("alice")
    build = release.build(repository.url, alice)
    before = release.read_to(build["id"], alice, BEFORE)
    release.kill()
    release.wait_until_up()
    event_log = release.read_on(build["id"], alice, before)
    assert event_log[-1].data["state"] == "ready", event_log[-3:]
    told = release.launch("alice", {"repo": repository.url})
    assert told[-1].get("ready"), (told[-3:], release.log())
    [server] = found("pods", release.namespace, "--selector=component=singleuser-server")
    assert server["spec"]["containers"][0]["image"].startswith(f"127.0.0.1:{release.values['registry']['inCluster']['nodePort']}/binder/binder-")
    release.stop_server("alice")


def test_a_visitor_launches_where_everybody_has_one_server(release: Release, repository: Repository) -> None:
    reply = httpx.get(f"{release.service_url}/build/git/{quote(repository.url, safe='')}/main", headers={"Accept": "text/event-stream"}, timeout=180)
    events = [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line.startswith("data: ")]
    assert events[-1]["phase"] == "ready", (events[-3:], release.log())
    user = events[-1]["url"].partition("/user/")[2].strip("/")
    assert list(release.servers(user)) == [""]
    release.stop_server(user)
    release.api("DELETE", f"/users/{user}")


def test_a_changed_value_of_the_service_leaves_the_hub_alone(release: Release) -> None:
    hub, service = release.starts("hub"), release.starts("binder-service")
    release.helm("upgrade", *WAITS, config={"Limits": {"per_repo": 4}})
    assert release.starts("binder-service")[0] not in {service[0], ""}
    assert release.starts("hub") == hub


def test_the_registry_keeps_its_login_over_upgrades_and_removes_what_no_image_needs_when_it_starts(release: Release, repository: Repository) -> None:
    def registry_pod(*of: str) -> str:
        return kubectl(*of, "deployment/binder-image-registry", f"--namespace={release.namespace}")

    assert httpx.get(f"http://127.0.0.1:{release.values['registry']['inCluster']['nodePort']}/v2/").status_code == 401
    registry_pod("rollout", "restart")
    registry_pod("rollout", "status")
    cleaned = kubectl("logs", "deployment/binder-image-registry", f"--namespace={release.namespace}", "--container=remove-unused-layers")
    assert "blobs marked" in cleaned, cleaned
    again = release.build(repository.url, release.token("alice"))
    assert again["state"] == "ready", (again, release.log())


def test_nothing_is_left_of_it_when_it_is_removed(release: Release) -> None:
    release.uninstall()
    wait_for(lambda: not release.left(), "an empty namespace", 60, every_seconds=0.5)
