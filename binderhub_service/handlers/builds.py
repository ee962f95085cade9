"""The native API: ask for builds, read them, follow their event logs, cancel them."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from tornado.iostream import StreamClosedError

from ..builds.access import check_may_build
from ..common.terminal import plain
from ..errors import InvalidRequest
from ..models import Build, Kind, Request, State
from ..monitoring.actions import Action
from .base import ApiHandler, build_json, check_is_admin
from .streams import StreamHandler

KEEPALIVE_SECONDS = 15.0
_DEFAULT_LIMIT = 50
_LARGEST_LIMIT = 200
_LARGEST_NUMBER = 2**31 - 1


class BuildHandler(ApiHandler):
    """What all handlers of builds share."""

    def finish_build(self, build: Build) -> None:
        """Answer with a build."""
        kept = self.context.build_answers
        known, answer = kept.get(build.id, (None, ""))
        if known is not build:
            answer = json.dumps(build_json(build, self.context.builds.queue_status(build.id)))
            if build.state.ended and not build.notice:
                kept[build.id] = (build, answer)
        self.finish_json_text(answer)

    def number_argument(self, name: str, default: int, smallest: int, largest: int) -> int:
        """Return a query argument that is a whole number in a range.

        Raises:
            InvalidRequest: it is not.
        """
        return whole_number(self.get_query_argument(name, str(default)), name, smallest, largest)


def whole_number(text: str, name: str, smallest: int, largest: int) -> int:
    """Return the number that `text` writes in plain digits, if it is in the range; raises `InvalidRequest`."""
    if text.isascii() and text.isdigit() and len(text) <= len(str(largest)) and smallest <= int(text) <= largest:
        return int(text)
    raise InvalidRequest(f"{name} must be a whole number from {smallest} to {largest}.")


class BuildsHandler(BuildHandler):
    """``builds``: ask for one, or list them."""

    async def post(self) -> None:
        """Make sure that there is or will be an image of a repository: 201 if a build was begun, 200 if one is there."""
        body = self.json_body({"repo": str, "ref": str, "provider": str, "force": bool})
        if not body.get("repo", "").strip():
            raise InvalidRequest("No repository is named.", hint='Send an object such as {"repo": "https://github.com/o/r"}.')
        request = await self._with_text_kept(Request(repo=body["repo"], ref=body.get("ref", ""), provider=body.get("provider", "")))
        request, _ = await self.context.builds.located(request, "", self.caller)
        build, is_new = await self.context.builds.ensure(request, self.caller, force=body.get("force", False))
        self.set_status(201 if is_new else 200)
        self.set_header("Location", f"{self.prefix}api/builds/{build.id}")
        self.finish_build(build)

    async def _with_text_kept(self, request: Request) -> Request:
        """Return a request for a text with the text's name in its place; others as they are."""
        provider = next((one for one in self.context.providers if one.takes_text and one.name == request.provider), None)
        if provider is None or request.repo.strip().startswith(f"{request.provider}:"):
            return request
        check_may_build(self.caller)
        digest = await asyncio.to_thread(provider.contents.put, request.repo.encode(errors="replace"))
        return replace(request, repo=f"{request.provider}:{digest}")

    async def get(self) -> None:
        """List the builds that the caller may read, newest first, in pages."""
        limit = self.number_argument("limit", _DEFAULT_LIMIT, 1, _LARGEST_LIMIT)
        filters = {name: self.get_query_argument(name, "") for name in ("state", "repo", "owner")}
        if filters["state"] and filters["state"] not in set(State):
            raise InvalidRequest(f"There is no state {filters['state']!r}.", hint=f"States are {', '.join(State)}.")
        builds = await self.context.builds.list(self.caller, **filters, limit=limit, before=self.get_query_argument("before", ""))
        if len(builds) == limit:
            query = {name: value for name, value in filters.items() if value} | {"limit": limit, "before": builds[-1].id}
            self.set_header("Link", f'<{self.prefix}api/builds?{urlencode(query)}>; rel="next"')
        self.finish_json([build_json(build, self.context.builds.queue_status(build.id)) for build in builds])


class OneBuildHandler(BuildHandler):
    """``builds/ID``."""

    async def get(self, build_id: str) -> None:
        """Answer with the build."""
        self.finish_build(await self.context.builds.get(build_id, self.caller))

    async def delete(self, build_id: str) -> None:
        """Cancel the build; 409 if it has ended."""
        self.finish_build(await self.context.builds.cancel(build_id, self.caller))


class AskHandler(BuildHandler):
    """``builds/ID/ask``: the caller's own wish for a build."""

    async def delete(self, build_id: str) -> None:
        """Take the wish back; the build ends if nobody else has one."""
        self.finish_build(await self.context.builds.withdraw(build_id, self.caller))


class RecordHandler(BuildHandler):
    """``builds/ID/record``: what is kept of a build that has ended, for administrators."""

    async def delete(self, build_id: str) -> None:
        """Remove the record, with its log and who asked for it: 204, or 409 while the build goes on or its image is found by the record."""
        check_is_admin(self, "Records of builds are")
        await self.context.named_builds.settle()  # what binder-build's API tells of it stays
        await self.context.builds.forget(build_id)
        self.context.actions.note(self.caller.name, Action.BUILD_REMOVED, build_id, "removed")
        self.set_status(204)
        self.finish()


class LogHandler(BuildHandler):
    """``builds/ID/log``."""

    async def get(self, build_id: str) -> None:
        """Answer with all lines told so far, as text; ``?plain=1`` leaves out what only a terminal understands."""
        text_of = plain if self.get_query_argument("plain", "") == "1" else str
        self.set_header("Content-Type", "text/plain; charset=UTF-8")
        with contextlib.suppress(StreamClosedError):  # the reader has gone
            async for batch in self.context.builds.events_so_far(build_id, self.caller):
                self.write("".join(f"{text_of(event.payload['text'])}\n" for event in batch if event.kind is Kind.LOG))
                await self.flush()


class EventsHandler(StreamHandler):
    """``builds/ID/events``: the event log as server-sent events."""

    async def get(self, build_id: str) -> None:
        """Stream the event log from the event behind ``Last-Event-ID`` or ``?after=`` on; closes after ``end``."""
        after = self._after()
        await self.context.builds.get(build_id, self.caller)  # errors are answers, not events
        await self.stream(self._frames(build_id, after), b": still here\n\n", KEEPALIVE_SECONDS)

    async def _frames(self, build_id: str, after: int) -> AsyncGenerator[bytes]:
        async with aclosing(self.context.builds.follow(build_id, self.caller, after)) as batches:
            async for batch in batches:
                yield batch.frames

    def _after(self) -> int:
        text = self.request.headers.get("Last-Event-ID") or self.get_query_argument("after", "0")
        return whole_number(text, "The number of the last event", 0, _LARGEST_NUMBER)


def build_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    one = rf"{prefix}api/builds/([^/]+)"
    return [
        (rf"{prefix}api/builds/?", BuildsHandler),
        (rf"{one}/?", OneBuildHandler),
        (rf"{one}/ask/?", AskHandler),
        (rf"{one}/record/?", RecordHandler),
        (rf"{one}/log/?", LogHandler),
        (rf"{one}/events/?", EventsHandler),
    ]
