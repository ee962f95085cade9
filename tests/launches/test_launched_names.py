"""Repositories and refs as people really call them, launched on a real hub, in which one server in the test's own process is everybody's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest_asyncio
from jupyterhub.spawner import Spawner
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from binderhub_service.launches.launches import Launches
from binderhub_service.models import Request
from binderhub_service.providers import shipped_providers
from spawner import RepoSpawner
from tests.harness.waiting import within
from tests.spawner.fakes import FakeService, Hub, running_hub

SHA = "9fceb02d0ae598e95dc970b74767f19372d61af8"
SHA_256 = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
GITHUB = [
    ("2024-course", ""),
    ("2024-course", SHA),
    ("101-python", "main"),
    ("3d-printing-basics", "v1"),
    ("0", "0"),
    ("7days", "7"),
    ("intro-to-data-science-2024", ""),
    ("intro-to-data-science-2024", "main"),
    ("intro-to-data-science-2024", SHA),
    ("statistics-and-machine-learning-lectures", ""),
    ("statistics-and-machine-learning-lectures", "feature/a-branch-that-has-forty-characters-xx"),
    ("a-repository-with-a-name-of-fourty-chars", SHA),
    ("x", ""),
    ("x", SHA),
    ("x", SHA[:7]),
    ("Python_Data-Science.Handbook", "master"),
    ("Python_Data-Science.Handbook", "v1.0.0-rc.1"),
    ("user.github.io", "gh-pages"),
    (".github", "main"),
    ("_private", "main"),
    ("-dash", "main"),
    ("dash-", "1"),
    ("dots.in.the.name", "release/2.x"),
    ("numpy", "refs/tags/v1.26.4"),
    ("numpy", "maintenance/1.26.x"),
    ("UPPERCASE", "UPPER/CASE"),
    ("CamelCaseName", "CamelCase"),
    ("a--b", "a--b"),
    ("a__b", "a__b"),
    ("jupyter-book-template", "dependabot/npm_and_yarn/lodash-4.17.21"),
    ("jupyter-book-template", "pull/123/head"),
    ("jupyter-book-template", "renovate/all"),
    ("r", "user@fix#12"),
    ("r", "100%"),
    ("r", "a+b=c"),
    ("r", "ünïcödé"),
    ("r", "分支/一"),
    ("r", "🚀"),
    ("r", "(draft),v2;final!"),
    ("r", "it's"),
]
ADDRESSES = [
    ("https://gitlab.com/group/sub-group/2-deep/project.name", "main"),
    ("https://gitlab.com/gruppe/2024.git", SHA),
    ("https://git.example.org/fakultät/übungen/Übung_1", "sommer/2024"),
    ("https://git.example.org:8443/~user/repo.git", ""),
    ("https://git.example.org/%E8%AF%BE%E7%A8%8B/1", "main"),
    ("ssh://git@git.example.org:2222/o/2024.git", "main"),
    ("git@git.example.org:o/4-course.git", SHA_256),
    ("https://gist.github.com/someone/0123456789abcdef0123456789abcdef", ""),
    ("http://127.0.0.1:8080/r.git", "feature/x"),
    ("https://github.com/o/r", "x" * 255),
]
ASKS = [*((f"https://github.com/owner/{name}", ref) for name, ref in GITHUB), *ADDRESSES]


class _EverybodysServer(Spawner):
    """Starts nothing: a server that runs anyway is everybody's."""

    port: ClassVar[int] = 0
    runs = False

    async def start(self) -> tuple[str, int]:
        """Say where that server is."""
        self.runs = True
        return "127.0.0.1", self.port

    async def stop(self, now: bool = False) -> None:
        """Count as stopped."""
        self.runs = False

    async def poll(self) -> int | None:
        """Say that it runs from its start to its stop."""
        return None if self.runs else 0


class EverybodysServerSpawner(RepoSpawner, _EverybodysServer):
    """The same, for repositories."""

    def use_image(self, build: Mapping[str, Any]) -> None:
        """Take any image."""


class _Answering(web.RequestHandler):
    def get(self) -> None:
        self.finish("{}")


@pytest_asyncio.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    """A hub whose servers are there at once, and a build service whose images are."""
    service = FakeService()
    service.on_ask = lambda build: build.ready("image")
    await service.start()
    [socket] = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(web.Application([(".*", _Answering)]))
    server.add_socket(socket)
    EverybodysServerSpawner.port = socket.getsockname()[1]
    async with running_hub(tmp_path, EverybodysServerSpawner, {"RepoSpawner": {"binder_url": service.url}}) as hub:
        yield hub
        await hub.clear()
    server.stop()
    await service.stop()


async def test_fifty_real_names_of_repositories_and_refs_each_get_a_server_of_their_own(hub: Hub) -> None:
    assert len(set(ASKS)) == 50
    hub.add("alice")
    token = hub.user("alice").new_api_token(note="test")
    launches = Launches(f"{hub.url}api", "/hub/", [cls() for cls in shipped_providers().values()])
    launched = await asyncio.gather(*(launches.launch(token, "alice", Request(repo, ref), "") for repo, ref in ASKS))
    assert not any(one.already_running for one in launched)
    spawners = hub.user("alice").spawners
    async with within():
        while any(spawners[one.server].pending for one in launched):
            await asyncio.sleep(0.02)
    failed = [ask for ask, one in zip(ASKS, launched, strict=True) if not spawners[one.server].ready]
    assert failed == []
    assert len({one.server for one in launched}) == len(ASKS)
    again = await launches.launch(token, "alice", Request(*ASKS[0]), "")
    assert (again.server, again.already_running) == (launched[0].server, True)
