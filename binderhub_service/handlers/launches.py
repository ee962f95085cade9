"""``POST api/launches``: a server for the caller, from a repository, an image that is there already, or a template."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from ..common.images import TRANSPORT
from ..errors import InvalidRequest
from ..launches.launches import Launched
from ..models import GIVEN_IMAGE, Request
from .base import ApiHandler
from .binder.admission import check_launch_rate
from .launch_users import check_is_person, launch_for
from .template_launch import check_alone, launch_template

_KEYS = {"repo": str, "ref": str, "path": str, "provider": str, "image": str, "template": str, "link": str, "build_token": str}


class LaunchesHandler(ApiHandler):
    """Starts the caller's named server for a repository, an image or a template."""

    async def post(self) -> None:
        """Start it, or find it running; answer 201 with its name and where it is."""
        check_is_person(self)
        body = self.json_body(_KEYS)
        link, token = body.pop("link", ""), body.pop("build_token", "")
        await check_launch_rate(self, link, token if self._is_of(link, body) else "")
        if "template" in body:
            check_alone(body)
            self._finish(await launch_template(self, body["template"], body.get("path", "")))
            return
        self._finish(await self._launch(_request(body), body))

    def _is_of(self, link: str, body: Mapping[str, str]) -> bool:
        """Say whether a link, as it stands behind ``v2/``, is of what is to be launched."""
        name, _, spec = link.partition("/")
        provider = next((provider for provider in self.context.providers if provider.name == name), None)
        try:
            return provider is not None and provider.request_from_spec(spec) == _request(body)
        except InvalidRequest:
            return False

    async def _launch(self, request: Request, body: Mapping[str, str]) -> Launched:
        request, path = await self.context.builds.located(request, body.get("path", ""), self.caller)
        return await launch_for(self, request, path)

    def _finish(self, launched: Launched) -> None:
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
