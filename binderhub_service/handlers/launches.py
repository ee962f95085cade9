"""``POST api/launches``: a server for the caller, from a repository or from an image that is there already."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..common.images import TRANSPORT
from ..errors import InvalidRequest
from ..models import GIVEN_IMAGE, Request
from .base import ApiHandler
from .launch_users import check_is_person, launch_for

_KEYS = {"repo": str, "ref": str, "path": str, "provider": str, "image": str}


class LaunchesHandler(ApiHandler):
    """Starts the caller's named server for a repository or an image."""

    async def post(self) -> None:
        """Start it, or find it running; answer 201 with its name and where it is."""
        check_is_person(self)
        body = self.json_body(_KEYS)
        request = _request(body)
        request, path = await self.context.builds.located(request, body.get("path", ""), self.caller)
        launched = await launch_for(self, request, path)
        self.set_status(201)
        self.finish_json(asdict(launched))


def _request(body: Mapping[str, str]) -> Request:
    """Return what is asked for: a repository, or an image that is there already."""
    if "image" not in body:
        return Request(repo=body.get("repo", ""), ref=body.get("ref", ""), provider=body.get("provider", ""))
    if not body.keys() <= {"image", "path"}:
        raise InvalidRequest("A launch is of an image or of a repository, not of both.", hint="Leave out image, or repo, ref and provider.")
    return Request(repo=f"{TRANSPORT}{body['image'].removeprefix(TRANSPORT)}", provider=GIVEN_IMAGE)


def launch_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/launches/?", LaunchesHandler)]
