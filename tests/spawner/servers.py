"""Servers of alice's, started in a real hub from images that a service under the test's control names."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.harness.waiting import until
from tests.spawner.fakes import REPO, FakeBuild, FakeService, Hub, ask_server

START_SECONDS = 40


class Servers:
    """Starts alice's servers and asks them how they were started.

    Attributes:
        told: the messages of the last start's progress.
    """

    def __init__(self, hub: Hub, service: FakeService) -> None:
        self.hub, self.service = hub, service
        self.told: list[str] = []
        hub.add("alice")

    def spawner(self, server: str = "") -> Any:
        """Return the spawner of a server."""
        return self.hub.user("alice").get_spawner(server, replace_failed=True)

    async def begin(self, on_ask: Callable[[FakeBuild], None], server: str = "", **options: Any) -> Any:
        """Begin to start a server from what the service answers, and return its spawner."""
        self.service.builds.clear()
        self.service.on_ask = on_ask
        async with self.hub.api("alice") as api:
            reply = await api.post(_path(server), json={"repo": REPO, **options})
            assert reply.status_code in {201, 202}, reply.text
        return self.spawner(server)

    async def ask(self, image: str, server: str = "", commit: str = "", **options: Any) -> Any:
        """Start a server from `image` and return its spawner when the start has ended, however it has."""

        def answer(build: FakeBuild) -> None:
            build.commit = commit or build.commit
            build.ready(image)

        spawner = await self.begin(answer, server, **options)
        self.told = [str(event.get("message")) for event in await self.events(server)]
        await until(lambda: not spawner.pending, "the end of a start")
        return spawner

    async def started(self, image: str, server: str = "", commit: str = "", **options: Any) -> dict[str, Any]:
        """Start a server and return what it says about itself."""
        spawner = await self.ask(image, server, commit, **options)
        assert spawner.ready, spawner._spawn_future.exception() if spawner._spawn_future else "not started"
        return await ask_server(spawner.server.url)

    async def refused(self, image: str, **options: Any) -> str:
        """Try to start a server and return why there is none."""
        spawner = await self.ask(image, **options)
        problem = spawner._spawn_future.exception()
        assert problem is not None
        assert problem.status_code < 500
        return str(problem.jupyterhub_message)

    async def stop(self, server: str = "") -> None:
        """Stop a server."""
        await self.hub.user("alice").stop(server)

    async def events(self, server: str = "") -> list[dict[str, Any]]:
        """Return what the hub tells about a start, to its end."""
        async with self.hub.api("alice") as api:
            lines = (await api.get(f"{_path(server)}/progress", timeout=2 * START_SECONDS)).text.splitlines()
        return [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]


def _path(server: str) -> str:
    return f"users/alice/servers/{server}" if server else "users/alice/server"
