"""A hub that answers as it is told, and the service's handlers in front of it; all in the test's own event loop."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, unquote

from jupyterhub.services.auth import HubOAuth
from tornado import web
from tornado.httpserver import HTTPServer

from tests.harness.foreign_clients import close_hub_client

LONG_AGO = "2020-01-01T00:00:00.000001Z"


@dataclass
class Asked:
    """A request that the hub got."""

    method: str
    path: str
    token: str
    body: Any


@dataclass
class FakeHub:
    """The hub's REST API.

    It tells the service about the accounts of its users: what is asked with a token that is no user's.

    Attributes:
        users: by token, who comes with it, as ``/hub/api/user`` answers.
        answers: by method and path behind ``/hub/api``, a status and a JSON value; what is not there answers 404.
        asked: what was asked about servers, in order.
        created: by name, when accounts were made, as the hub writes it; all others long ago.
        groups: by name, which groups people are in.
        starts_go_on: what the answers to starts wait for, if anything.
    """

    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[tuple[str, str], tuple[int, Any]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    starts_go_on: asyncio.Event | None = None
    url: str = ""

    @property
    def api_url(self) -> str:
        """The address of the REST API."""
        return f"{self.url}/hub/api"

    def serve_as_auth(self, prefix: str) -> None:
        """Let handlers of this process at `prefix` ask this hub who comes, until `HubOAuth.clear_instance`."""
        HubOAuth.instance(
            api_url=self.api_url,
            api_token="s",
            base_url=prefix,
            hub_prefix="/hub/",
            oauth_client_id="service-binder",
            access_scopes={"access:services!service=binder"},
        )

    def add(self, name: str, *scopes: str, admin: bool = False, kind: str = "user") -> str:
        """Make somebody known who may use the service; return their token."""
        everything = ["access:services!service=binder", "custom:binder:build", *scopes]
        self.users[f"token-of-{name}"] = {"name": name, "kind": kind, "admin": admin, "scopes": everything, "groups": []}
        return f"token-of-{name}"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeHub]:
        """Answer on loopback while the block runs."""
        async with serving(web.Application([(r"/hub/api(/.*)", _HubHandler, {"hub": self})])) as url:
            self.url = url
            yield self


class _HubHandler(web.RequestHandler):
    def initialize(self, hub: FakeHub) -> None:
        self.hub = hub

    async def get(self, _path: str) -> None:
        self._answer()

    async def post(self, _path: str) -> None:
        if self.hub.starts_go_on:
            await self.hub.starts_go_on.wait()
        self._answer()

    def _answer(self) -> None:
        path = self.request.path.removeprefix("/hub/api")
        token = self.request.headers.get("Authorization", "").removeprefix("token ")
        if path == "/user":
            user = self.hub.users.get(token)
            self.set_status(200 if user else 403)
            self.finish(json.dumps(user or {"status": 403, "message": "Forbidden"}))
            return
        if self._is_about_an_account(path, token):
            name = unquote(path.rpartition("/")[2])
            self.finish(
                json.dumps({"kind": "user", "name": name, "created": self.hub.created.get(name, LONG_AGO), "groups": self.hub.groups.get(name, [])})
            )
            return
        self.hub.asked.append(Asked(str(self.request.method), path, token, json.loads(self.request.body or b"null")))
        status, value = self.hub.answers.get((str(self.request.method), path), (404, {"status": 404, "message": "Not Found"}))
        self.set_status(status)
        if isinstance(value, str) and value.startswith("data:"):
            self.set_header("Content-Type", "text/event-stream")
        self.finish(value if isinstance(value, str) else json.dumps(value))

    def _is_about_an_account(self, path: str, token: str) -> bool:
        is_known = any(path == f"/users/{quote(user['name'], safe='@~')}" for user in self.hub.users.values())
        return is_known and token not in self.hub.users and ("GET", path) not in self.hub.answers


@asynccontextmanager
async def serving(application: web.Application) -> AsyncIterator[str]:
    """Serve an application on loopback while the block runs; yield its address without a slash at the end."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    server = HTTPServer(application)
    server.add_socket(listening)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.stop()
        await server.close_all_connections()
        await close_hub_client()
