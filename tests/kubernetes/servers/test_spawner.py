"""BinderSpawner in a real hub, on a real cluster, with the rights that zero-to-jupyterhub gives a hub: pods, homes, failures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from kubespawner import KubeSpawner

from spawner.kubernetes import BinderSpawner
from tests.kubernetes.kubectl import found, kubectl, reason_to_skip
from tests.kubernetes.servers.conftest import Place
from tests.kubernetes.servers.images import by_digest, fake_image
from tests.spawner.fakes import REPO, FakeService, Hub, ask_server, running_hub

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
    pytest.mark.filterwarnings("default"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),  # the first test may build images
]
START_SECONDS = 40
# Asks for nothing where only one server fits at a time.
PROFILES = [
    {"display_name": "Small", "slug": "small", "kubespawner_override": {"mem_limit": "128M", "image": "evil:latest"}},
    {
        "display_name": "Big",
        "slug": "big",
        "kubespawner_override": {"mem_limit": "256M"},
        "profile_options": {
            "cpu": {
                "display_name": "CPU",
                "choices": {"half": {"kubespawner_override": {"cpu_limit": 0.5}}, "one": {"kubespawner_override": {"cpu_limit": 1}}},
            },
            "image": {"display_name": "Image", "choices": {"theirs": {"kubespawner_override": {"image": "evil:latest"}}}},
        },
    },
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory, place: Place) -> AsyncIterator[tuple[Hub, FakeService]]:
    """One hub and one service for all tests."""
    service = FakeService()
    await service.start()
    settings = {
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1},
        "Spawner": {"consecutive_failure_limit": 5, "start_timeout": START_SECONDS, "default_url": "/tree"},
        "KubeSpawner": {"namespace": place.namespace, "environment": {"OPERATORS": "{username} $(JUPYTERHUB_USER)"}},
    }
    async with running_hub(tmp_path_factory.mktemp("hub"), BinderSpawner, settings) as hub:
        yield hub, service
        await KubeSpawner._stop_all_reflectors()
    await service.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared: tuple[Hub, FakeService]) -> FakeService:
    """The service, as if it were new."""
    service = shared[1]
    await service.stop()
    service.reset()
    await service.start()
    return service


class Servers:
    """Starts alice's servers and asks them how they were started."""

    def __init__(self, hub: Hub, service: FakeService, namespace: str) -> None:
        self.hub, self.service, self.namespace = hub, service, namespace
        hub.add("alice")

    def spawner(self, server: str = "") -> BinderSpawner:
        found: BinderSpawner = self.hub.user("alice").get_spawner(server, replace_failed=True)
        return found

    async def begin(self, image: str, server: str = "", commit: str = "", **options: Any) -> BinderSpawner:
        """Begin to start a server from `image`."""

        def answer(build: Any) -> None:
            build.commit = commit or build.commit
            build.ready(image)

        self.service.builds.clear()
        self.service.on_ask = answer
        async with self.hub.api("alice") as api:
            path = f"users/alice/servers/{server}" if server else "users/alice/server"
            reply = await api.post(path, json={"repo": REPO, **options})
            assert reply.status_code in {201, 202}, reply.text
        return self.spawner(server)

    async def ask(self, image: str, server: str = "", commit: str = "", **options: Any) -> BinderSpawner:
        """Start a server and return its spawner when the start has ended, however it has."""
        spawner = await self.begin(image, server, commit, **options)
        await until(lambda: not spawner.pending, "the end of a start")
        return spawner

    async def started(self, image: str, server: str = "", commit: str = "", **options: Any) -> dict[str, Any]:
        """Start a server and return what it says about itself."""
        spawner = await self.ask(image, server, commit, **options)
        assert spawner.ready, spawner._spawn_future.exception() if spawner._spawn_future else "not started"
        return await ask_server(spawner.server.url)

    async def refused(self, image: str, **options: Any) -> str:
        """Try to start a server; return why there is none, and that nothing of it is."""
        spawner = await self.ask(image, **options)
        problem = spawner._spawn_future.exception()
        assert problem is not None
        assert getattr(problem, "status_code", 500) < 500, repr(problem)
        assert self.pods() == []
        assert self.hub.app.tornado_application.settings["failure_count"] == 0
        return str(problem.jupyterhub_message)

    async def stop(self, server: str = "") -> None:
        await self.hub.user("alice").stop(server)

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

    async def events(self) -> list[dict[str, Any]]:
        async with self.hub.api("alice") as api:
            lines = (await api.get("users/alice/server/progress")).text.splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


async def until(condition: Any, what: str, seconds: int = START_SECONDS + 20) -> None:
    for _ in range(20 * seconds):
        if condition():
            return
        await asyncio.sleep(0.05)
    raise TimeoutError(what)


@pytest_asyncio.fixture(loop_scope="module")
async def servers(shared: tuple[Hub, FakeService], service: FakeService, place: Place) -> AsyncIterator[Servers]:
    """alice in the hub."""
    yield Servers(shared[0], service, place.namespace)
    await shared[0].clear()


@pytest.fixture
def settings(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what an operator may: ``settings(mem_limit="128M")``."""

    def set_all(**values: Any) -> None:
        for name, value in values.items():
            monkeypatch.setitem(servers.hub.app.config.BinderSpawner, name, value)

    return set_all


@pytest.fixture(scope="module")
def image() -> str:
    return by_digest(fake_image())


# --- a server --------------------------------------------------------------------------------------------------------


async def test_a_server_runs_in_a_pod_that_says_what_it_is_for(servers: Servers, image: str) -> None:
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


@pytest.mark.parametrize("text", ["{foo}", "{unescaped_username.__class__}", "$(HOME)", "$$(HOME)$$", "`id`", '"${HOME}"'])
async def test_what_looks_like_code_arrives_as_it_is(servers: Servers, image: str, text: str) -> None:
    repo = f"https://git.example.org/o/{text}"
    told = await servers.started(image, repo=repo, ref=text, path=f"{text}.ipynb")
    assert (told["environment"]["BINDER_REPO_URL"], told["environment"]["BINDER_REF"]) == (repo, text)
    assert servers.pods()[0]["metadata"]["annotations"]["binder.repository"] == repo


async def test_stopping_removes_the_pod_and_servers_have_pods_of_their_own(servers: Servers, image: str) -> None:
    await asyncio.gather(servers.started(image), servers.started(image, "second"))
    assert len(servers.pods()) == 2
    await servers.stop()
    await servers.stop("second")
    assert servers.pods() == []
