"""BinderSpawner in a real hub, on a real cluster, with the rights that zero-to-jupyterhub gives a hub: pods, homes, failures."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from kubernetes_asyncio.client import ApiException
from kubespawner import KubeSpawner

from spawner.kubernetes.spawner import BinderSpawner
from tests.harness.waiting import until
from tests.kubernetes.images import registry
from tests.kubernetes.kubectl import found, kubectl, reason_to_skip
from tests.kubernetes.servers.conftest import HubNamespace
from tests.kubernetes.servers.images import Commits, by_digest, fake_image, made
from tests.spawner.fakes import REPO, FakeService, Hub, running_hub, xsrf
from tests.spawner.servers import START_SECONDS, Servers

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
    pytest.mark.filterwarnings("default"),
    pytest.mark.asyncio(loop_scope="module"),
]
CPUS = {
    "half": {"display_name": "Half", "kubespawner_override": {"cpu_limit": 0.5}},
    "one": {"display_name": "One", "kubespawner_override": {"cpu_limit": 1}},
}
IMAGES = {"theirs": {"display_name": "Theirs", "kubespawner_override": {"image": "evil:latest"}}}
PROFILES = [
    {"display_name": "Small", "kubespawner_override": {"mem_limit": "128M", "image": "evil:latest"}},
    {
        "display_name": "Big",
        "kubespawner_override": {"mem_limit": "256M"},
        "profile_options": {"cpu": {"display_name": "CPU", "choices": CPUS}, "image": {"display_name": "Image", "choices": IMAGES}},
    },
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, hub_namespace: HubNamespace) -> AsyncIterator[tuple[Hub, FakeService]]:
    """One hub and one service for all tests."""
    service = FakeService()
    await service.start()
    settings = {
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1},
        "Spawner": {"consecutive_failure_limit": 5, "start_timeout": START_SECONDS, "default_url": "/tree"},
        "KubeSpawner": {"namespace": hub_namespace.namespace, "environment": {"OPERATORS": "{username} $(JUPYTERHUB_USER)"}},
    }
    async with running_hub(tmp_path_factory.mktemp("hub"), BinderSpawner, settings) as hub:
        yield hub, service
        await KubeSpawner._stop_all_reflectors()
    await service.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared: tuple[Hub, FakeService]) -> FakeService:
    """The service, as if it were new."""
    await shared[1].begin_anew()
    return shared[1]


class PodServers(Servers):
    """Servers in pods of one namespace."""

    def __init__(self, hub: Hub, service: FakeService, namespace: str) -> None:
        super().__init__(hub, service)
        self.namespace = namespace

    async def begin_from(self, image: str) -> BinderSpawner:
        """Begin to start a server from `image`."""
        spawner: BinderSpawner = await self.begin(lambda build: build.ready(image))
        return spawner

    async def refused(self, image: str, **options: Any) -> str:
        """Try to start a server; return why there is none, and that nothing of it is."""
        sentence = await super().refused(image, **options)
        assert self.pods() == []
        assert self.hub.app.tornado_application.settings["failure_count"] == 0
        return sentence

    def cluster_said(self) -> list[str]:
        """Return what the cluster has told about the pod of the last start."""
        return [str(event["message"]) for event in self.spawner().events]

    def pods(self) -> list[dict[str, Any]]:
        return found("pods", self.namespace)

    def container(self) -> dict[str, Any]:
        [pod] = self.pods()
        container: dict[str, Any] = pod["spec"]["containers"][0]
        return container

    def inside(self, command: str) -> str:
        """Run a command in the only server's container."""
        [pod] = self.pods()
        return kubectl("exec", "-n", self.namespace, pod["metadata"]["name"], "--", "sh", "-c", command)


@pytest_asyncio.fixture(loop_scope="module")
async def servers(shared: tuple[Hub, FakeService], service: FakeService, hub_namespace: HubNamespace) -> AsyncIterator[PodServers]:
    """alice in the hub."""
    yield PodServers(shared[0], service, hub_namespace.namespace)
    await shared[0].clear()


@pytest.fixture
def settings(servers: PodServers, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what an operator may: ``settings(mem_limit="128M")``."""

    def set_all(**values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setitem(servers.hub.app.config.BinderSpawner, name, value)

    return set_all


@pytest.fixture(scope="module")
def image() -> str:
    return by_digest(fake_image())


# --- a server --------------------------------------------------------------------------------------------------------


async def test_a_server_runs_in_a_pod_that_says_what_it_is_for(servers: PodServers, image: str) -> None:
    told = await servers.started(image, ref="v{1}", path="n/{0.__class__}.ipynb")
    assert (told["cwd"], told["files"]["a.txt"], told["uid"]) == ("/home/jovyan", "theirs", 1000)
    assert told["environment"]["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/n/%7B0.__class__%7D.ipynb"
    assert told["environment"]["OPERATORS"] == "alice alice"
    [pod] = servers.pods()
    annotations = pod["metadata"]["annotations"]
    written = {name: text for name, text in annotations.items() if name.startswith("binder.")}
    assert written == {
        "binder.build": "b1",
        "binder.repository": REPO,
        "binder.commit": servers.service.builds[0].commit,
        "binder.image": image,
        "binder.user": "alice",
        "binder.server": "",
    }
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "CapBnd:\t0000000000000000" in told["status"]
    assert servers.spawner().orm_spawner.state["binder"] == {"id": "b1", "image": image}


async def test_the_hub_has_no_more_rights_than_in_zero_to_jupyterhub(servers: PodServers) -> None:
    with pytest.raises(ApiException, match=r"cannot get resource .*pods/log"):
        await servers.spawner().api.read_namespaced_pod_log("any", servers.namespace)


async def test_what_looks_like_code_arrives_as_it_is(servers: PodServers, image: str) -> None:
    text = '{foo}{unescaped_username.__class__}$(HOME)$$(HOME)$$`id`"${HOME}"'
    repo = f"https://git.example.org/o/{text}"
    told = await servers.started(image, repo=repo, ref=text, path=f"{text}.ipynb")
    assert (told["environment"]["BINDER_REPO_URL"], told["environment"]["BINDER_REF"]) == (repo, text)
    assert servers.pods()[0]["metadata"]["annotations"]["binder.repository"] == repo


async def test_stopping_removes_the_pod_and_servers_have_pods_of_their_own(servers: PodServers, image: str) -> None:
    await asyncio.gather(servers.started(image), servers.started(image, "second"))
    assert len(servers.pods()) == 2
    await servers.stop()
    await servers.stop("second")
    assert servers.pods() == []


# --- profiles --------------------------------------------------------------------------------------------------------


async def test_a_profile_reaches_the_pod_but_its_image_does_not(servers: PodServers, image: str, settings: Any) -> None:
    settings(profile_list=PROFILES)
    await servers.started(image, profile="big", cpu="one")
    container = servers.container()
    assert container["resources"]["limits"] == {"cpu": "1", "memory": str(256 * 2**20)}
    assert container["image"] == image
    assert servers.spawner().orm_spawner.user_options == {"repo": REPO, "profile": "big", "cpu": "one"}
    await servers.stop()
    await servers.started(image, profile="small")
    assert servers.container()["resources"]["limits"] == {"memory": str(128 * 2**20)}
    assert servers.container()["image"] == image


@pytest.mark.parametrize("more", [{"profile": "huge"}, {"profile": "big", "cpu": "ten"}, {"cpu": "one"}, {"profile": "big", "gpu": "1"}])
async def test_what_no_profile_offers_is_refused(servers: PodServers, image: str, settings: Any, more: dict[str, Any]) -> None:
    settings(profile_list=PROFILES)
    spawner = await servers.ask(image, **more)
    assert spawner._spawn_future.exception().status_code == 400
    assert servers.service.asks == []


async def test_one_form_has_the_repository_and_the_profiles(servers: PodServers, image: str, settings: Any) -> None:
    settings(profile_list=PROFILES)
    servers.service.on_ask = lambda build: build.ready(image)
    async with servers.hub.browser("alice") as browser:
        page = (await browser.get("spawn", params={"repo": REPO, "profile": "big", "profile-option-big--cpu": "one"})).text
        assert f'value="{REPO}"' in page
        assert re.search(r'value="big"\s+checked', page)
        assert '"cpu": "one"' in page
        assert "profile-option-big--image" not in page
        fields = {"repo": REPO, "ref": "", "path": "", "profile": "big", "profile-option-big--cpu": "one"}
        answer = await browser.post("spawn", params=xsrf(browser), data={**fields, "profile-option-big--cpu": "ten"})
        assert "ten is not offered for cpu" in answer.text
        answer = await browser.post("spawn", params=xsrf(browser), data=fields)
        assert answer.status_code == 302, answer.text
    await until(lambda: servers.spawner().ready, "the server")
    assert servers.container()["resources"]["limits"]["cpu"] == "1"


# --- the home --------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(settings: Any, storage_class: str) -> None:
    """A home that stays, as zero-to-jupyterhub sets it up: a claim of one's own over the place where images have their content."""
    settings(
        storage_pvc_ensure=True,
        storage_class=storage_class,
        storage_capacity="1Gi",
        pvc_name_template=f"claim-{storage_class[-20:]}",
        volumes={"home": {"name": "home", "persistentVolumeClaim": {"claimName": "{pvc_name}"}}},
        volume_mounts={"home": {"name": "home", "mountPath": "/home/jovyan"}},
    )


@pytest.mark.usefixtures("home")
async def test_the_content_is_there_although_the_home_stays_and_is_never_overwritten(servers: PodServers, image: str) -> None:
    told = await servers.started(image)
    assert told["environment"]["HOME"] == "/home/person"
    assert told["cwd"].startswith("/home/person/default/r-")
    assert told["files"]["a.txt"] == "theirs"
    servers.inside(f"echo mine > {told['cwd']}/a.txt; touch ~/in-home")
    await servers.stop()
    again = await servers.started(image)
    assert (again["cwd"], again["files"]["a.txt"]) == (told["cwd"], "mine\n")
    assert servers.inside("ls ~").split() == ["a.txt", "default", "in-home"]
    assert servers.inside("readlink ~/a.txt") == f"{told['cwd']}/a.txt", "what the image has in its home is in the person's"


@pytest.mark.usefixtures("home")
async def test_an_untouched_copy_follows_the_repository_with_every_user_of_an_image(servers: PodServers, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    commits = Commits(repository)
    image, commit = commits.add("one")
    told = await servers.started(image, commit=commit)
    assert (told["files"]["a.txt"], told["uid"]) == ("one", 2000)
    await servers.stop()
    image, newer = commits.add("two")
    told = await servers.started(image, commit=newer)
    assert told["files"]["a.txt"] == "two"
    assert servers.inside(f"git -C {told['cwd']} rev-parse HEAD") == newer


@pytest.mark.usefixtures("home")
async def test_who_takes_a_name_gets_a_claim_of_their_own_and_deletes_no_other(servers: PodServers, settings: Any, storage_class: str) -> None:
    settings(pvc_name_template=f"claim-{storage_class[-20:]}-{{username}}", delete_pvc=True)

    async def claim() -> str:
        spawner = servers.spawner()
        assert await spawner._make_create_pvc_request(spawner.get_pvc_manifest(), 20)
        return str(spawner.pvc_name)

    def claims() -> list[str]:
        names = [claim["metadata"]["name"] for claim in found("persistentvolumeclaims", servers.namespace)]
        return sorted(name for name in names if name.startswith(first))

    first = await claim()
    assert await claim() == first
    await servers.hub.clear()
    servers.hub.add("alice")
    second = await claim()
    assert claims() == [first, second]
    await servers.spawner().delete_forever()
    await until(lambda: claims() == [first], "the end of the later account's claim")


async def test_content_that_a_volume_hides_is_told(servers: PodServers, image: str, settings: Any) -> None:
    settings(
        volumes=[{"name": "home", "emptyDir": {}}, {"name": "other", "emptyDir": {}}],
        volume_mounts=[{"name": "home", "mountPath": "/home/person"}, {"name": "other", "mountPath": "/home"}],
    )
    told = await servers.started(image)
    assert (told["cwd"], told["files"]) == ("/home/jovyan", {})
    [pod] = servers.pods()
    assert "where a volume hides it" in kubectl("logs", "-n", servers.namespace, pod["metadata"]["name"])


# --- starts that fail ------------------------------------------------------------------------------------------------


async def test_an_image_that_is_not_in_the_registry_is_told_within_seconds(servers: PodServers) -> None:
    clock = asyncio.get_running_loop().time
    begun = clock()
    assert "made anew" in await servers.refused(f"{registry()}/fake-server:1@sha256:{'0' * 64}")
    assert clock() - begun < servers.spawner().start_timeout, "it does not wait for the end of the time that a start has"


async def test_an_image_without_a_digest_is_never_pulled(servers: PodServers) -> None:
    assert "no digest" in await servers.refused(f"{registry()}/fake-server:1")


async def test_six_images_without_a_server_say_how_to_add_it_and_do_not_stop_the_hub(servers: PodServers, image: str, settings: Any) -> None:
    settings(cmd=["no-jupyterhub-singleuser"])
    for _ in range(6):
        assert "pip install jupyterhub jupyterlab" in await servers.refused(image)
    await asyncio.sleep(2.2)  # a hub that stops itself does so after two seconds
    async with servers.hub.browser("bob") as browser:
        assert (await browser.get("home")).status_code == 200


async def test_a_server_that_ends_at_once_says_its_last_words(servers: PodServers, image: str, settings: Any) -> None:
    settings(cmd=["sh", "-c", "echo no such extension >&2; exit 3"])
    said = await servers.refused(image)
    assert "status 3" in said
    assert "no such extension" in said


async def test_a_server_that_runs_and_never_answers_is_a_sentence_and_no_failure_of_the_hub(servers: PodServers, image: str, settings: Any) -> None:
    settings(cmd=["sleep", "600"], start_timeout=10, http_timeout=10)
    assert "The server runs, but did not answer" in await servers.refused(image)
    assert servers.hub.app.tornado_application.settings["failure_count"] == 0
    await until(lambda: not servers.pods(), "the end of the pod")


async def test_an_image_without_a_shell_is_a_sentence(servers: PodServers) -> None:
    empty = by_digest(made("empty", "FROM scratch\nCOPY a.txt /\n", {"a.txt": ""}))
    assert "cannot be started" in await servers.refused(empty)


async def test_a_server_that_takes_too_much_memory_is_a_sentence(servers: PodServers, image: str, settings: Any) -> None:
    settings(cmd=["python3", "-c", "print(len(b'x' * 2**29))"], mem_limit="64M")
    assert "more memory than it may have" in await servers.refused(image)


async def test_no_room_in_the_cluster_is_told_at_once_and_refused_in_the_end(servers: PodServers, image: str, settings: Any) -> None:
    settings(node_selector={"no": "such-node"}, start_timeout=6, http_timeout=6)
    spawner = await servers.begin_from(image)
    told = [str(event["message"]) for event in await servers.events()]
    assert any("didn't match Pod's node affinity/selector" in text for text in told[:-1])
    assert "no room in the cluster" in told[-1]
    assert spawner._spawn_future.exception().status_code == 424
    await until(lambda: not servers.pods(), "the end of the pod")
    assert servers.hub.app.tornado_application.settings["failure_count"] == 0


async def test_a_quota_is_a_sentence_and_no_token_is_logged(
    servers: PodServers, image: str, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    kubectl("create", "quota", "none", "--hard=pods=0", "-n", servers.namespace)
    request.addfinalizer(lambda: kubectl("delete", "quota", "none", "-n", servers.namespace))
    assert "exceeded quota: none" in await servers.refused(image)
    assert "JUPYTERHUB_API_TOKEN" not in caplog.text


async def test_what_the_cluster_refuses_is_a_sentence(servers: PodServers, image: str, settings: Any) -> None:
    settings(extra_pod_config={"priorityClassName": "no-such-class"})
    assert "no-such-class" in await servers.refused(image)


async def test_a_pod_that_somebody_deletes_while_it_starts_is_a_sentence(servers: PodServers, image: str, settings: Any) -> None:
    settings(node_selector={"no": "such-node"})
    spawner = await servers.begin_from(image)
    await until(servers.pods, "the pod")
    kubectl("delete", "pods", "--all", "-n", servers.namespace, "--wait=false")
    await until(lambda: not spawner.pending, "the end of a start")
    assert "was deleted" in spawner._spawn_future.exception().jupyterhub_message


# --- cancelling ------------------------------------------------------------------------------------------------------


async def test_cancelling_a_start_leaves_no_pod_and_the_next_one_tells_nothing_of_it(servers: PodServers, image: str, settings: Any) -> None:
    settings(node_selector={"no": "such-node"})
    spawner = await servers.begin_from(image)
    await until(servers.pods, "the pod")
    await until(lambda: spawner.events, "an event")
    async with servers.hub.api("alice") as api:
        assert (await api.delete("users/alice/server")).status_code in {202, 204}
    await until(lambda: not servers.pods(), "the end of the pod")
    settings(node_selector={})
    await servers.begin_from(image)
    told = [str(event["message"]) for event in await servers.events()]
    assert servers.spawner().ready
    # A start may be over before the cluster has told about it.
    await until(lambda: any("ontainer started" in text or "Started container" in text for text in servers.cluster_said()), "the container's start")
    assert not any("node affinity" in text for text in [*told, *servers.cluster_said()])


async def test_cancelling_while_the_image_is_pulled_leaves_no_pod(servers: PodServers) -> None:
    with socket.create_server((os.environ["KUBE_TEST_HOST"], 0)) as never_answers:
        registry = ":".join(map(str, never_answers.getsockname()))
        spawner = await servers.begin_from(f"{registry}/image@sha256:{'0' * 64}")
        await until(lambda: any("Pulling image" in event["message"] for event in spawner.events), "the pull")
        async with servers.hub.api("alice") as api:
            assert (await api.delete("users/alice/server")).status_code in {202, 204}
        await until(lambda: not servers.pods(), "the end of the pod")


async def test_cancelling_while_the_pod_is_asked_for_leaves_none(servers: PodServers, image: str) -> None:
    spawner = await servers.begin_from(image)
    await until(lambda: spawner._creating, "the request")
    async with servers.hub.api("alice") as api:
        assert (await api.delete("users/alice/server")).status_code in {202, 204}
    await until(lambda: not spawner.pending, "the end of a start")
    await asyncio.sleep(1)
    assert servers.pods() == []


# --- what a dead hub leaves ------------------------------------------------------------------------------------------


async def test_a_pod_that_a_dead_hub_left_half_started_makes_way(servers: PodServers, image: str) -> None:
    spawner = servers.spawner()
    spec = {"containers": [{"name": "notebook", "image": image}], "nodeSelector": {"no": "such-node"}, "terminationGracePeriodSeconds": 0}
    metadata = {"name": spawner.pod_name, "labels": {"component": "singleuser-server"}}
    kubectl("create", "-n", servers.namespace, "-f", "-", content={"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert (await servers.started(image))["files"]["a.txt"] == "theirs"
    told = [str(event["message"]) for event in await servers.events()]
    assert not any("node affinity" in text for text in told)


async def test_a_running_server_is_found_again_by_what_the_hub_stored(servers: PodServers, image: str) -> None:
    await servers.started(image)
    state = servers.spawner().get_state()
    again = BinderSpawner(user=servers.hub.user("alice"), hub=servers.hub.app.hub, config=servers.hub.app.config)
    again.load_state(state)
    assert await again.poll() is None
    assert again.repo_build["image"] == image
    await again.stop()
    assert servers.pods() == []
    assert await again.poll() is not None


async def test_a_server_that_the_cluster_ends_leaves_no_pod(servers: PodServers, image: str, settings: Any) -> None:
    settings(extra_pod_config={"activeDeadlineSeconds": 12})
    await servers.started(image)
    spawner = servers.spawner()
    await until(lambda: spawner._named_pod()["status"]["phase"] == "Failed", "the end of the pod")
    assert await spawner.poll() is not None
    assert servers.pods() == []
