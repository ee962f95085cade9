"""``POST api/starts``: may the hub start a server of the caller's from a repository? The spawner asks before it asks for the build."""

from __future__ import annotations

from typing import Any

from ..builds.controls import ControlKind
from ..models import Request
from .base import ApiHandler
from .launch_users import check_is_person

_KEYS = {"server": str, "repo": str, "ref": str, "provider": str}


class StartsHandler(ApiHandler):
    """``starts``."""

    async def post(self) -> None:
        """Let the server through: 204, or 429 where the caller or the repository has as many as administrators allow."""
        check_is_person(self)
        body = self.json_body(_KEYS)
        name, context = self.caller.name, self.context
        request = Request(repo=body.get("repo", ""), ref=body.get("ref", ""), provider=body.get("provider", ""))
        if await context.launches.admit(name, body.get("server", ""), request):
            await context.rates.take_of_person(name, await context.controls.number_of_person(ControlKind.LAUNCHES_OF_PERSON, name, 0))
        self.set_status(204)
        self.finish()


def start_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/starts/?", StartsHandler)]
