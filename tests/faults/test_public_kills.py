"""The service of a public hub is killed in the middle of launches: who comes back has their server, and in the end nobody and nothing is left.

BINDER_TEST_SEED=n repeats the choice of the moments; BINDER_TEST_LAUNCH_KILLS=n makes more of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import sqlite3
import sys
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.faults.service import Service
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.hub_config import ADMIN, PEOPLE, WITHOUT_LAB
from tests.harness.ports import free_ports
from tests.harness.waiting import within

KILLS = int(os.environ.get("BINDER_TEST_LAUNCH_KILLS", "3"))
SEED = int(os.environ.get("BINDER_TEST_SEED", "942071"))
TOKEN = "0123456789abcdef" * 2
LAUNCH_SECONDS = 120
# What a client is told before the kill, and how many seconds may pass from there to it: as the user is made, while the server starts, as it is ready.
MOMENTS = {"Launching server": 0.3, "Spawning server": 6.0, "Server ready": 0.2}
CULLED = re.compile(r"Culling (?:user|server) ([^\s/]+)")
# The hub removes what nobody uses after a minute, and not after ten.
QUICK_CULLER = """
for service in c.JupyterHub.services:
    if service["name"] == "binder-culler":
        short = {"--timeout=600": "--timeout=60", "--cull-every=60": "--cull-every=2"}
        service["command"] = [short.get(word, word) for word in service["command"]]
"""


class Client:
    """A client of ``/build`` without a login and without cookies, which can be cut off and come back.

    Attributes:
        last_id: of the last event that had one.
    """

    def __init__(self, address: str) -> None:
        self.last_id = ""
        self.events: list[dict[str, Any]] = []
        self._address = address

    @property
    def ready(self) -> dict[str, Any] | None:
        """The event that says where the server is, if it came."""
        return next((event for event in self.events if event["phase"] == "ready"), None)

    async def follow(self) -> None:
        """Read events behind the last one until the stream ends."""
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": self.last_id} if self.last_id else {})
        async with httpx.AsyncClient(timeout=LAUNCH_SECONDS) as client, client.stream("GET", self._address, headers=headers) as reply:
            async for line in reply.aiter_lines():
                if line.startswith("id: "):
                    self.last_id = line.removeprefix("id: ")
                if line.startswith("data: "):
                    self.events.append(json.loads(line.removeprefix("data: ")))

    @property
    def user(self) -> str:
        """Whose the server is."""
        assert self.ready, self.events
        return str(self.ready["url"]).partition("/user/")[2].partition("/")[0]

    async def opened(self) -> None:
        """Fail unless the server is there and takes the token."""
        assert self.ready, self.events
        async with httpx.AsyncClient(timeout=LAUNCH_SECONDS) as client:
            reply = await client.get(f"{self.ready['url']}api/status", headers={"Authorization": f"token {self.ready['token']}"})
        assert reply.status_code == 200, (reply.text, self.events)


class PublicHub:
    """A public hub, and its service, which the test starts and kills itself."""

    def __init__(self, hub: HubProcess, service: Service, address: str) -> None:
        self.hub = hub
        self.service = service
        self.address = address

    def left(self) -> dict[str, list[str]]:
        """Return all temporary users with their servers."""
        users = self.hub.api("GET", "/users").json()
        return {user["name"]: [*user["servers"]] for user in users if user["name"] not in {*PEOPLE, ADMIN}}

    async def kill_in_a_launch(self, told: str, after_seconds: float) -> Client:
        """Begin a launch, kill the service a while after something is told, start it again, and return the client."""
        client = Client(self.address)
        following = asyncio.create_task(client.follow())
        while not following.done() and not any(told in event["message"] for event in client.events):
            await asyncio.sleep(0.005)
        await asyncio.sleep(after_seconds)
        self.service.kill()
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError, httpx.HTTPError):
            await following
        await self.service.start()
        return client

    def remove(self, user: str) -> None:
        """Stop a user's servers and remove the user, as somebody who is done."""
        for server in self.hub.servers(user):
            self.hub.stop_server(user, server)
        assert self.hub.api("DELETE", f"/users/{user}").status_code == 204

    async def cleaned(self) -> None:
        """Wait until no user and no server is left; only those whose client may know of the server may have been the culler's to remove."""
        async with within():
            while await asyncio.to_thread(self.left):
                await asyncio.sleep(1)
        with contextlib.closing(sqlite3.connect(self.hub.state / "service.sqlite")) as database:
            delivered = {name for (name,) in database.execute("SELECT name FROM temporary_users WHERE is_delivered")}
        assert set(CULLED.findall(self.hub.log())) - {*PEOPLE, ADMIN} <= delivered


@pytest.fixture
async def public(tmp_path_factory: pytest.TempPathFactory, git_server: GitServer) -> AsyncIterator[PublicHub]:
    repository = git_server.create("public-kills/plain", {"README.md": "hello"})
    address = f"http://127.0.0.1:{free_ports(1)[0]}"
    more = {"public": True, "service_url": address, "service_token": TOKEN}
    hub = HubProcess(tmp_path_factory.mktemp("hub"), config=QUICK_CULLER, more=more)
    service = Service(tmp_path_factory.mktemp("own") / "service", f"{hub.url}/hub/api", address=address, token=TOKEN)
    service.settings = {
        "BinderService": {"state_dir": str(hub.state), "auth_enabled": False},
        "Launcher": {"abandoned_seconds": 3},
        "RateLimiter": {"limit": 0},
        **WITHOUT_LAB,
    }
    service.spawn()
    try:
        await asyncio.to_thread(hub.start)
        yield PublicHub(hub, service, f"{hub.service_url}/build/git/{quote(repository.url, safe='')}/main")
    finally:
        service.kill()
        sys.stdout.write(service.log()[-20_000:])
        sys.stdout.write(hub.log()[-20_000:])
        await asyncio.to_thread(hub.stop)


@pytest.mark.timeout(1200 + 60 * KILLS)
async def test_a_kill_in_the_middle_of_a_launch_leaves_nobody_behind_and_who_comes_back_has_their_server(public: PublicHub) -> None:
    choice = random.Random(SEED)
    for number in range(KILLS):
        told = list(MOMENTS)[number % len(MOMENTS)]
        after_seconds = choice.uniform(0, MOMENTS[told])
        client = await public.kill_in_a_launch(told, after_seconds)
        sys.stdout.write(
            f"kill {number}: {after_seconds:.2f} s after {told!r}, {len(client.events)} events, {'with' if client.ready else 'no'} ready\n"
        )
        if number % 2 == 0:
            if not client.ready:
                await client.follow()
            await client.opened()
            await asyncio.to_thread(public.remove, client.user)
    await public.cleaned()
