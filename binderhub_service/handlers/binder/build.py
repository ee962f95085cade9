"""BinderHub's ``/build``: one stream of events from a request to a server; a translation over builds and launches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from typing import Any

from jupyterhub.services.auth import UserNotAllowed
from tornado import web

from ...builds.launch_quota import QuotaReached
from ...errors import INTERNAL_ERROR, BinderError, InvalidRequest, NotAllowed, NotFound, Unavailable
from ...launch_events import Launch
from ...launch_progress import LaunchFailed, follow_launch
from ...launches import Launched, StartFailed
from ...models import Build, Kind, Phase, Request, Source
from ...providers import Provider, check_permitted
from ...temporary_users import Visit
from ..base import error_from
from ..launch_users import LaunchUser, check_is_person, user_for
from ..streams import StreamHandler
from ..visitors import check_own_page, is_visitor
from . import protocol
from .admission import check_rate, checked_build_token
from .protocol import Told

KEEPALIVE_SECONDS = 25.0
_TOO_MANY = 429
_FIRST_OF_OURS = 500
_GIT_SERVERS = frozenset({"git_server_timeout", "git_server_unavailable", "provider_timeout", "provider_unavailable"})


class RefusedAsBinderHub(BinderError):
    """A refusal in BinderHub's words, for which it sends no status."""

    def __init__(self, message: str, end: str = "\n") -> None:
        super().__init__(message)
        self.event: Told = {"phase": "failed", "message": message + end}


class BinderBuildHandler(StreamHandler):
    """``build/<provider>/<spec>``: always status 200, since clients cannot read the text of another answer."""

    starts_by_get = True
    _has_ended = False
    _build_token = ""
    _proof = ""
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
        spec = self._spec
        provider = self._provider(prefix)
        request = self._request(provider, spec)
        is_build_only = self.get_query_argument("build_only", "").lower() == "true"
        if not is_build_only:
            check_is_person(self)
        try:
            build, is_new = await self._ensure(request, f"{prefix}:{spec}", is_build_only=is_build_only)
        except RefusedAsBinderHub as refusal:
            if getattr(refusal.__cause__, "code", "") != "ref_not_found" or request.ref not in provider.renamed_heads:
                raise
            told = protocol.renamed_head(str(refusal), request.ref)
            spec = f"{spec.removesuffix(request.ref)}HEAD"
            request = self._request(provider, spec)
            build, is_new = await self._ensure(request, f"{prefix}:{spec}", is_build_only=is_build_only)
            yield protocol.frame(told)
        is_new = is_new or not build.state.ended
        if is_new:
            async with aclosing(self._follow(build)) as frames:
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
        with self.context.metrics.binderhub.launching():
            async with AsyncExitStack() as stack, aclosing(self._launch(stack, request, build, provider, spec)) as events:
                async for event in events:
                    yield protocol.frame(event, build.id, build.last_event, self._proof)

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

    def _provider(self, prefix: str) -> Provider:
        for provider in self.context.providers:
            if provider.name == prefix:
                return provider
        raise RefusedAsBinderHub(f"No provider found for prefix {prefix}")

    def _request(self, provider: Provider, spec: str) -> Request:
        try:
            provider.check_complete(spec)
            request = provider.request_from_spec(spec)
            named = Request(repo=request.repo, ref=request.ref, provider=provider.name)
            check_permitted(named, self.context.providers, spec)
        except NotAllowed as error:
            raise RefusedAsBinderHub(error.message, end="") from error
        except InvalidRequest as error:
            raise RefusedAsBinderHub(error.message) from error
        return named

    def _check_may_only_build(self) -> None:
        if not self.context.is_api_only:
            raise InvalidRequest("Building but not launching is not permitted unless the service is in API-only mode (enable_api_only_mode).")

    async def _ensure(self, request: Request, asked: str, *, is_build_only: bool) -> tuple[Build, bool]:
        async def check_may_begin(source: Source) -> None:
            if is_build_only:
                self._check_may_only_build()
            elif (places := self.context.launches.places) and not places.waits:
                await places.check(self.context.launches.wanted(self.caller.name, request, source.url))

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

    async def _follow(self, build: Build) -> AsyncGenerator[bytes]:
        """Yield the build's events, behind the event that the client saw last; of events that came together, one frame."""
        known, number = self._resumed_from
        if known != build.id:
            yield protocol.frame(protocol.told("waiting", protocol.WAITING), build.id, 0)
        phase = str(Phase.BUILDING)
        self._unexpected = protocol.UNHANDLED
        async with aclosing(self.context.builds.follow(build.id, self.caller, number if known == build.id else 0)) as batches:
            async for batch in batches:
                frames = []
                for event in batch:
                    if event.kind is Kind.PHASE:
                        phase = event.payload["phase"]
                    if told := protocol.from_build(event, phase):
                        self._has_ended = self._has_ended or told["phase"] == "failed"
                        frames.append(protocol.frame(told, build.id, event.number))
                yield b"".join(frames)
        self._unexpected = INTERNAL_ERROR

    # --- the launch --------------------------------------------------------------------------------------------------

    async def _launch(self, stack: AsyncExitStack, request: Request, build: Build, provider: Provider, spec: str) -> AsyncGenerator[Told]:
        """Yield the launch's events; a server of this link that starts or runs already is joined.

        Args:
            stack: the launch's user is let go when it is closed.
        """
        binderhub, attempts = self.context.metrics.binderhub, self.context.attempts
        user: LaunchUser | None = None
        yield protocol.told("launching", protocol.LAUNCHING)
        for attempt in range(1, attempts.count + 1):
            begun = time.monotonic()
            try:
                user = user or await self._enter_user(stack, build)
                async with aclosing(self._attempt(user, request, build, provider, spec)) as events:
                    async for event in events:
                        yield event
            except BinderError as error:
                is_quota = isinstance(error, QuotaReached)
                may_retry = not is_quota and (error.status >= _FIRST_OF_OURS or error.status == _TOO_MANY) and attempt < attempts.count
                if not is_quota:
                    binderhub.note_attempt("retry" if may_retry else "failure", -1, time.monotonic() - begun)
                if not may_retry:
                    binderhub.note_launch(error.metric_status if isinstance(error, QuotaReached) else "failure", provider.name, build.source.url)
                    if user:
                        await user.discard()
                    raise RefusedAsBinderHub(error.message) if is_quota else error from error
            else:
                binderhub.note_attempt("success", attempt - 1, time.monotonic() - begun)
                binderhub.note_launch("success", provider.name, build.source.url)
                self._note_launch(build, provider, spec)
                return
            yield protocol.told("launching", f"Launch attempt {attempt} failed, retrying...")
            await asyncio.sleep(attempts.delay_seconds * 2 ** (attempt - 1))

    async def _enter_user(self, stack: AsyncExitStack, build: Build) -> LaunchUser:
        """Return the user whose server it will be; raises `LaunchFailed` if the hub makes no temporary one."""
        try:
            user = await stack.enter_async_context(user_for(self, self._visit, build.source.url))
        except Unavailable as error:
            raise LaunchFailed(f"Failed to create temporary user for {build.image.reference}: {error.message}", hint=error.hint) from error
        self._proof = user.proof
        return user

    async def _attempt(self, user: LaunchUser, request: Request, build: Build, provider: Provider, spec: str) -> AsyncGenerator[Told]:
        """Yield the events of one attempt to start the server, from its place in the queue to ``ready``."""
        launches, token, user_name = self.context.launches, user.token, user.user_name
        wanted = launches.wanted(user_name, request, build.source.url)
        if launches.places and launches.places.waits:
            async with aclosing(launches.places.wait(wanted)) as waiting:
                async for position, estimate_seconds in waiting:
                    yield protocol.told("waiting", protocol.place("launch", position, estimate_seconds))
        about, image, seconds = self._about(build, provider, spec), build.image.reference, self.context.attempts.launch_seconds
        try:
            launched = await launches.launch(token, user_name, request, "", about=about, image=image, repo_url=build.source.url)
        except (StartFailed, Unavailable) as error:
            raise LaunchFailed(f"Failed to launch image {image}: {error.message}", hint=error.hint) from error
        try:
            async with aclosing(follow_launch(self.context.hub_api_url, token, user_name, launched.server, image, seconds)) as messages:
                async for message in messages:
                    yield protocol.told("launching", message)
        except BinderError:
            if launches.places:
                launches.places.give_back(wanted)
            raise
        ready = self._ready(launched, await user.deliver(), build, about)
        self._has_ended = True
        yield ready

    def _about(self, build: Build, provider: Provider, spec: str) -> dict[str, str]:
        """Return what BinderHub tells of a launch, to the server and to the client."""
        return {
            "binder_ref_url": provider.ref_url(build.source),
            "binder_launch_host": self.context.pages.badge_base_url or f"{self._site}{self.prefix}",
            "binder_request": f"v2/{provider.name}/{spec}",
            "binder_persistent_request": f"v2/{provider.name}/{provider.resolved_spec(build.source)}",
            "binder_client_ip": self.request.remote_ip or "",
        }

    @property
    def _site(self) -> str:
        return f"{self.request.protocol}://{self.request.host}"

    def _ready(self, launched: Launched, token: str, build: Build, about: Mapping[str, str]) -> Told:
        return protocol.ready_server(f"{self._site}{launched.url}", token, build.image.reference, build.source.url, about)

    def _note_launch(self, build: Build, provider: Provider, spec: str) -> None:
        headers = self.request.headers
        request_origin = headers.get("Origin") or headers.get("Sec-Fetch-Site", "")
        has_token = bool(self._build_token)
        launch = Launch(provider.event_name, spec, build.source.commit, "success", has_token, self.request.host, request_origin)
        self.context.events.note_launch(launch)


def binder_build_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}build/([^/]+)/(.+)", BinderBuildHandler)]
