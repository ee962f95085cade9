"""Every spawner, in a real hub: one of processes, and one of containers of a real engine."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_asyncio

from spawner.docker.spawner import DockerRepoSpawner
from spawner.local.spawner import ProcessSpawner
from tests.docker.servers.engine import FAKE_DOCKERFILE, FAKE_SERVER, JUPYTER_DOCKERFILE, JUPYTER_IMAGE, TestEngine, reason_to_skip
from tests.harness.waiting import until
from tests.spawner.fakes import COMMIT, REPO, FakeService, Hub, make_environment, make_image, running_hub
from tests.spawner.servers import START_SECONDS, Servers

pytestmark = [
    pytest.mark.filterwarnings("default"),
    pytest.mark.asyncio(loop_scope="module"),
]


class Kind(ABC):
    """How the suite uses a kind of spawner.

    Attributes:
        spawner_class: the spawner.
        settings: what its hub is configured with, by class.
        image: an image with the file a.txt that says "theirs".
    """

    spawner_class: type
    settings: dict[str, dict[str, Any]]
    image: str

    @abstractmethod
    def image_with(self, program: str) -> str:
        """Return an image whose server is another program, a shell script."""

    @abstractmethod
    def read(self, told: dict[str, Any], name: str) -> str:
        """Return a file of the copy that a server works in."""

    @abstractmethod
    def write(self, told: dict[str, Any], name: str, text: str) -> None:
        """Change a file as the person does."""

    @abstractmethod
    def running(self) -> int:
        """Return how many servers there are, whatever the hub thinks."""

    @abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""


class ProcessKind(Kind):
    spawner_class = ProcessSpawner
    image = "img"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        (folder / "content").mkdir()
        (folder / "content/a.txt").write_text("theirs")
        self._make(self.image)
        self.settings = {"ProcessSpawner": {"images_dir": str(folder / "images"), "users_dir": str(folder / "people")}}

    def _make(self, name: str) -> Path:
        """Make an image and return where its server is."""
        environment = make_environment(self._folder / "environments" / name)
        make_image(self._folder / "images", name, environment, self._folder / "content", COMMIT)
        return environment / "bin/jupyterhub-singleuser"

    def image_with(self, program: str) -> str:
        name = f"img-{secrets.token_hex(4)}"
        self._make(name).write_text(f"#!/bin/sh\n{program}\n")
        return name

    def read(self, told: dict[str, Any], name: str) -> str:
        return (Path(told["cwd"]) / name).read_text()

    def write(self, told: dict[str, Any], name: str, text: str) -> None:
        (Path(told["cwd"]) / name).write_text(text)

    def running(self) -> int:
        commands = [" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"])]
        return sum(str(self._folder / "environments") in command for command in commands)

    def close(self) -> None:
        pass


class DockerKind(Kind):
    spawner_class = DockerRepoSpawner

    def __init__(self, engine: TestEngine) -> None:
        self._engine = engine
        if not engine.has_image(JUPYTER_IMAGE):
            engine.build(JUPYTER_IMAGE, JUPYTER_DOCKERFILE)
        self.image = self._build("1", FAKE_SERVER)
        self.settings = {"DockerRepoSpawner": {"prefix": engine.mark}}

    def _build(self, tag: str, program: str) -> str:
        more = "COPY a.txt /home/jovyan/\nUSER jovyan\n"
        files = {"jupyterhub-singleuser": program, "a.txt": "theirs"}
        return self._engine.build(f"{self._engine.mark}-image:{tag}", FAKE_DOCKERFILE + more, files)

    def image_with(self, program: str) -> str:
        return self._build(secrets.token_hex(4), f"#!/bin/sh\n{program}\n")

    def read(self, told: dict[str, Any], name: str) -> str:
        return str(told["files"][name])

    def write(self, told: dict[str, Any], name: str, text: str) -> None:
        command = f"printf {text} > {told['cwd']}/{name}"
        self._engine.in_container(f"{self._engine.mark}-alice", "sh", "-c", command, user="1000")

    def running(self) -> int:
        return len(self._engine.containers())

    def close(self) -> None:
        self._engine.clear()


@pytest.fixture(scope="module", params=["process", "docker"])
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "docker" and (reason := reason_to_skip()):
        pytest.skip(reason)
    made = ProcessKind(tmp_path_factory.mktemp("kind")) if request.param == "process" else DockerKind(TestEngine(f"t{secrets.token_hex(4)}"))
    yield made
    made.close()


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Hub, FakeService]]:
    """One hub and one service for all tests of a kind."""
    service = FakeService()
    await service.start()
    settings = {
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1},
        "Spawner": {"start_timeout": START_SECONDS, "default_url": "/tree"},
    }
    async with running_hub(tmp_path_factory.mktemp("hub"), kind.spawner_class, settings | kind.settings) as hub:
        yield hub, service
    await service.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def servers(shared: tuple[Hub, FakeService]) -> AsyncIterator[Servers]:
    """alice in the hub, and the service as if it were new."""
    hub, service = shared
    service.reset()
    yield Servers(hub, service)
    await hub.clear()


async def test_a_server_works_in_the_persons_copy_and_knows_what_it_is_made_of(servers: Servers, kind: Kind) -> None:
    told = await servers.started(kind.image, ref="v1", path="a b.ipynb")
    assert kind.read(told, "a.txt") == "theirs"
    environment = told["environment"]
    assert [environment[f"BINDER_{name}"] for name in ("REPO_URL", "REF", "COMMIT")] == [REPO, "v1", COMMIT]
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/a%20b.ipynb"
    assert any("Copied the repository to" in message for message in servers.told)
    assert kind.running() == 1
    await servers.stop()
    assert kind.running() == 0


async def test_the_copy_is_kept_as_the_person_left_it(servers: Servers, kind: Kind) -> None:
    kind.write(await servers.started(kind.image), "a.txt", "mine")
    await servers.stop()
    assert kind.read(await servers.started(kind.image), "a.txt") == "mine"


@pytest.mark.parametrize("more", [{"image": "evil"}, {"cmd": ["id"]}, {"path": "../../etc/passwd"}, {"repo": "-oProxyCommand=id"}])
async def test_options_are_looked_at_again_when_a_server_starts(servers: Servers, kind: Kind, more: dict[str, Any]) -> None:
    spawner = servers.spawner()
    spawner.user_options = {"repo": REPO, **more}
    with pytest.raises(Exception) as caught:  # noqa: PT011  (a Rejection, which has no text of its own)
        await spawner.start()
    assert type(caught.value).__name__ == "Rejection"
    assert servers.service.asks == []
    assert spawner.user_options == {}
    assert kind.running() == 0


async def test_an_image_that_is_nowhere_is_a_sentence_and_no_failure_of_the_hub(servers: Servers, kind: Kind) -> None:
    assert "made anew" in await servers.refused("nowhere")
    assert servers.hub.app.tornado_application.settings["failure_count"] == 0
    assert kind.running() == 0
    assert (await servers.started(kind.image))["environment"]["BINDER_COMMIT"] == COMMIT


async def test_a_server_that_ends_at_once_is_a_sentence_and_no_failure_of_the_hub(servers: Servers, kind: Kind) -> None:
    assert "The server ended with status 3 while it started." in await servers.refused(kind.image_with("exit 3"))
    assert servers.hub.app.tornado_application.settings["failure_count"] == 0
    assert kind.running() == 0


async def test_a_server_that_runs_and_never_answers_is_a_sentence_and_no_failure_of_the_hub(
    servers: Servers, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = kind.image_with("exec sleep 600")
    monkeypatch.setitem(servers.hub.app.config.Spawner, "start_timeout", 4)
    monkeypatch.setitem(servers.hub.app.config.Spawner, "http_timeout", 1)
    assert "The server runs, but did not answer within 5 seconds." in await servers.refused(image)
    assert servers.hub.app.tornado_application.settings["failure_count"] == 0
    assert kind.running() == 0


async def test_cancelling_a_start_takes_the_ask_back_and_leaves_nothing(servers: Servers, kind: Kind) -> None:
    spawner = await servers.begin(lambda build: build.phase("building", "Building."))
    await until(lambda: servers.service.resumes, "the build to be followed")
    async with servers.hub.api("alice") as api:
        assert (await api.delete("users/alice/server")).is_success
    await until(lambda: not spawner.pending, "the end of the start")
    assert servers.service.withdrawn == ["b1"]
    assert kind.running() == 0


async def test_a_running_server_is_found_again_by_what_the_hub_stored(servers: Servers, kind: Kind) -> None:
    await servers.started(kind.image)
    app, running = servers.hub.app, servers.spawner()
    found = kind.spawner_class(user=servers.hub.user("alice"), hub=app.hub, config=app.config, orm_spawner=running.orm_spawner)
    found.load_state(running.get_state())
    assert await found.poll() is None
    assert (found.repo_build["image"], found.repo_build["id"]) == (kind.image, "b1")
    await servers.stop()
    assert await found.poll() is not None
