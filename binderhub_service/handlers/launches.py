"""``POST api/launches``: a server for the caller, from a repository."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..errors import NotAllowed
from ..models import Request
from .base import ApiHandler, ServiceHandler

_KEYS = {"repo": str, "ref": str, "path": str, "provider": str}


class LaunchesHandler(ApiHandler):
    """Starts the caller's named server for a repository."""

    async def post(self) -> None:
        """Start it, or find it running; answer 201 with its name and where it is."""
        check_is_person(self)
        body = self.json_body(_KEYS)
        request = Request(repo=body.get("repo", ""), ref=body.get("ref", ""), provider=body.get("provider", ""))
        request, path = await self.context.builds.located(request, body.get("path", ""), self.caller)
        launched = await self.context.launches.launch(caller_token(self), self.caller.name, request, path)
        self.set_status(201)
        self.finish_json(asdict(launched))


def check_is_person(handler: ServiceHandler) -> None:
    """Raise `NotAllowed` unless a person is asking: services have no servers."""
    if handler.current_user.get("kind", "user") != "user":
        raise NotAllowed("A service has no servers to launch.", hint="Come with a person's token.")


def caller_token(handler: ServiceHandler) -> str:
    """Return the token that the caller came with, in a header or in the login cookie."""
    token: str = handler.hub_auth.get_token(handler)
    return token


def launch_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/launches/?", LaunchesHandler)]
