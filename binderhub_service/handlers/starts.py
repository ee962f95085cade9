"""``POST api/starts``: may the hub start a server of the caller's from a repository, and make a working copy for it? The spawner asks."""

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


class NewCopyHandler(ApiHandler):
    """``starts/copy``: may a new working copy be made for the caller? The spawner asks before it makes one."""

    async def post(self) -> None:
        """Let it be made: 204, or 429 where the caller's files take as much as they may."""
        check_is_person(self)
        await self.context.copy_quota.check(self.caller.account)
        self.set_status(204)
        self.finish()


def start_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/starts/?", StartsHandler), (rf"{prefix}api/starts/copy/?", NewCopyHandler)]
