"""BinderHub's ``/build``: one stream of events from a request to a server; a translation over builds and launches."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, aclosing
from typing import Any

from tornado import web

from ...builds.launch_quota import QuotaReached
from ...errors import INTERNAL_ERROR, BinderError, InvalidRequest, NotAllowed, NotFound, Unavailable
from ...hub_auth import UserNotAllowed
from ...launches.temporary_users import Visit
from ...models import Build, Kind, Phase, Source, State
from ..base import error_from
from ..launch_users import check_is_person
from ..streams import StreamHandler
from ..visitors import check_own_page, is_visitor
from . import protocol
from .admission import check_rate, checked_build_token
from .asked import AskedSpec, RefusedAsBinderHub, asked_of
from .launch import BinderLaunch

KEEPALIVE_SECONDS = 25.0
_GIT_SERVERS = frozenset({"git_server_timeout", "git_server_unavailable", "provider_timeout", "provider_unavailable"})


class BinderBuildHandler(StreamHandler):
    """``build/<provider>/<spec>``: always status 200, since clients cannot read the text of another answer."""

    starts_by_get = True
    _has_ended = False
    _build_token = ""
    _unexpected = INTERNAL_ERROR

    async def prepare(self) -> None:
        """Check first what the client can read, then who is asking, and that no other page asks in their name: this GET runs code."""
        self.check_network()
        if self.request.method == "OPTIONS":
            return
        if not protocol.accepts_events(self.request.headers.get("Accept", "")):
            raise InvalidRequest("Missing Accept header: this address answers with text/event-stream only.")
        if self.request.method != "GET":
            raise web.HTTPError(405)
        await super().prepare()
        if is_visitor(self):
            check_own_page(self, self.page_host)
        else:
            self.require_xsrf_token()
        build_id, _ = self._resumed_from
        self._build_token = await checked_build_token(self, self._asked, build_id)
        await check_rate(self, self._visit, self._build_token)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn what went wrong before the stream began into its only event."""
        exception = kwargs.get("exc_info", (None, None, None))[1]
        error = error_from(exception)
        if isinstance(exception, web.HTTPError) and status_code == 403:
            error = NotAllowed("Forbidden")
        elif isinstance(exception, NotAllowed) and isinstance(exception.__cause__, UserNotAllowed):
            error = NotAllowed(f"user {exception.__cause__.model['name']} is not allowed.")
        self.set_status(200)
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.finish(protocol.frame(protocol.failed(error)))

    async def get(self, prefix: str, _spec: str) -> None:
        """Build, launch, and tell how that goes; ends after ``ready`` or ``failed``."""
        try:
            await self.stream(self._frames(prefix), b":keepalive\n\n", KEEPALIVE_SECONDS)
        finally:
            if not self._has_ended and not self._gone.is_set():
                self.write(protocol.frame(protocol.failed(self._unexpected)))

    async def _frames(self, prefix: str) -> AsyncGenerator[bytes]:
        """Yield the stream; every error that has a sentence becomes its last event."""
        try:
            async with aclosing(self._events(prefix)) as frames:
                async for frame in frames:
                    yield frame
            return
        except RefusedAsBinderHub as refusal:
            last = refusal.event
        except BinderError as error:
            last = protocol.failed(error)
        self._has_ended = True
        yield protocol.frame(last)

    async def _events(self, prefix: str) -> AsyncGenerator[bytes]:
        asked = asked_of(self.context.providers, prefix, self._spec)
        is_build_only = self.get_query_argument("build_only", "").lower() == "true"
        if not is_build_only:
            check_is_person(self)
        try:
            build, is_new = await self._ensure(asked, is_build_only=is_build_only)
        except RefusedAsBinderHub as refusal:
            if getattr(refusal.__cause__, "code", "") != "ref_not_found" or asked.request.ref not in asked.provider.renamed_heads:
                raise
            told = protocol.renamed_head(str(refusal), asked.request.ref)
            asked = asked.at_head()
            build, is_new = await self._ensure(asked, is_build_only=is_build_only)
            yield protocol.frame(told)
        is_new = is_new or build.state is not State.READY
        if is_new:
            async with aclosing(self._follow(build, to_end=is_build_only or build.state.ended)) as frames:
                async for frame in frames:
                    yield frame
            build = await self.context.builds.get(build.id, self.caller)
        if self._has_ended:
            return
        if is_build_only:
            self._has_ended = True
            yield protocol.frame(protocol.ready_image(build.image.reference, is_new=is_new))
            return
        yield protocol.frame(protocol.built(build.image.reference, is_new=is_new))
        async with aclosing(self._launch(asked, build)) as frames:
            async for frame in frames:
                yield frame

    # --- the request -------------------------------------------------------------------------------------------------

    @property
    def _asked(self) -> str:
        """The provider and the spec as they were sent: escapes belong to the provider."""
        return self.request.path.removeprefix(f"{self.prefix}build/")

    @property
    def _spec(self) -> str:
        return self._asked.partition("/")[2].rstrip("/")

    @property
    def _visit(self) -> Visit:
        return Visit(self._asked.rstrip("/"), resumes=protocol.resumed_launch(self.request.headers.get("Last-Event-ID", "")))

    @property
    def _resumed_from(self) -> tuple[str, int]:
        return protocol.resumed_from(self.request.headers.get("Last-Event-ID", ""))

    def _check_may_only_build(self) -> None:
        if not self.context.is_api_only:
            raise InvalidRequest("Building but not launching is not permitted unless the service is in API-only mode (enable_api_only_mode).")

    async def _ensure(self, asked: AskedSpec, *, is_build_only: bool) -> tuple[Build, bool]:
        request = asked.request

        async def check_may_begin(source: Source) -> None:
            if is_build_only:
                self._check_may_only_build()
            elif (places := self.context.launches.places) and not places.waits:
                await places.check(await self.context.launches.wanted(self.caller.name, request, source.url))

        try:
            found = await self.context.builds.ensure(request, self.caller, as_named=True, may_begin=check_may_begin)
        except QuotaReached as error:
            self.context.metrics.binderhub.note_launch(error.metric_status, request.provider, request.repo)
            raise RefusedAsBinderHub(error.message) from error
        except NotFound as error:
            raise RefusedAsBinderHub(f"Could not resolve ref for {asked}. Double check your URL and that your repo is public.") from error
        except Unavailable as error:
            if error.code not in _GIT_SERVERS:
                raise
            raise RefusedAsBinderHub(f"Error resolving ref for {asked}: {error.message}") from error
        if is_build_only:
            self._check_may_only_build()
        return found

    # --- the build ---------------------------------------------------------------------------------------------------

    async def _follow(self, build: Build, *, to_end: bool) -> AsyncGenerator[bytes]:
        """Yield the build's events, behind the event that the client saw last; of events that came together, one frame.

        Args:
            to_end: whether to wait until it is known that servers start from the image, too.
        """
        known, number = self._resumed_from
        if known != build.id:
            yield protocol.frame(protocol.told("waiting", protocol.WAITING), build.id, 0)
        phase = str(Phase.BUILDING)
        self._unexpected = protocol.UNHANDLED
        async with aclosing(self.context.builds.follow(build.id, self.caller, number if known == build.id else 0)) as batches:
            async for batch in batches:
                frames = []
                is_made = False
                for event in batch:
                    if event.kind is Kind.PHASE:
                        phase = event.payload["phase"]
                        is_made = is_made or bool(event.payload.get("image"))
                    if told := protocol.from_build(event, phase):
                        self._has_ended = self._has_ended or told["phase"] == "failed"
                        frames.append(protocol.frame(told, build.id, event.number))
                yield b"".join(frames)
                if is_made and not to_end:
                    break
        self._unexpected = INTERNAL_ERROR

    async def _launch(self, asked: AskedSpec, build: Build) -> AsyncGenerator[bytes]:
        """Yield the launch's events; the launch's user is let go in the end."""
        launch = BinderLaunch(self, self._visit, asked, build, has_build_token=bool(self._build_token))
        with self.context.metrics.binderhub.launching():
            async with AsyncExitStack() as stack, aclosing(launch.events(stack)) as events:
                async for event in events:
                    self._has_ended = self._has_ended or event["phase"] == "ready"
                    yield protocol.frame(event, build.id, build.last_event, launch.proof)


def binder_build_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}build/([^/]+)/(.+)", BinderBuildHandler)]
