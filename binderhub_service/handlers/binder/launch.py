"""The launch behind BinderHub's ``/build``: attempts to start a server from a build's image, told as events."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing

from ...builds.launch_quota import QuotaReached
from ...errors import BinderError, Unavailable
from ...launches.hub_starts import StartFailed
from ...launches.launch_progress import LaunchFailed, follow_launch
from ...launches.launches import Launched
from ...launches.temporary_users import Visit
from ...models import Build
from ...monitoring.actions import Action
from ...monitoring.launch_events import Launch
from ..base import ServiceHandler
from ..launch_users import LaunchUser, user_for
from . import protocol
from .asked import AskedSpec, RefusedAsBinderHub
from .protocol import Told

_TOO_MANY = 429
_FIRST_OF_OURS = 500


class BinderLaunch:
    """One launch, for the client of one request.

    Attributes:
        proof: what a client that is cut off comes back with; empty until it is known, and where its login says enough.

    Args:
        handler: of the request.
        visit: what a visitor asks for.
        asked: the same, as a provider's spec.
        build: whose image the server is started from.
        has_build_token: whether the client came with a token of a page of ours.
    """

    def __init__(self, handler: ServiceHandler, visit: Visit, asked: AskedSpec, build: Build, *, has_build_token: bool) -> None:
        self.proof = ""
        self._handler, self._context, self._http = handler, handler.context, handler.request
        self._visit, self._asked, self._provider = visit, asked, asked.provider
        self._source, self._repo_url, self._image = build.source, build.source.url, build.image.reference
        self._has_build_token = has_build_token

    async def events(self, stack: AsyncExitStack) -> AsyncGenerator[Told]:
        """Yield the launch's events; a server of this link that starts or runs already is joined.

        Args:
            stack: the launch's user is let go when it is closed.
        """
        binderhub, attempts = self._context.metrics.binderhub, self._context.attempts
        user: LaunchUser | None = None
        yield protocol.told("launching", protocol.LAUNCHING)
        for attempt in range(1, attempts.count + 1):
            begun = time.monotonic()
            try:
                user = user or await self._enter_user(stack)
                async with aclosing(self._attempt(user)) as events:
                    async for event in events:
                        yield event
            except BinderError as error:
                is_quota = isinstance(error, QuotaReached)
                may_retry = not is_quota and (error.status >= _FIRST_OF_OURS or error.status == _TOO_MANY) and attempt < attempts.count
                if not is_quota:
                    binderhub.note_attempt("retry" if may_retry else "failure", -1, time.monotonic() - begun)
                if not may_retry:
                    status = error.metric_status if isinstance(error, QuotaReached) else "failure"
                    binderhub.note_launch(status, self._provider.name, self._repo_url)
                    if user:
                        await user.discard()
                    raise RefusedAsBinderHub(error.message) if is_quota else error from error
            else:
                binderhub.note_attempt("success", attempt - 1, time.monotonic() - begun)
                binderhub.note_launch("success", self._provider.name, self._repo_url)
                self._note_launch()
                return
            yield protocol.told("launching", f"Launch attempt {attempt} failed, retrying...")
            await asyncio.sleep(attempts.delay_seconds * 2 ** (attempt - 1))

    async def _enter_user(self, stack: AsyncExitStack) -> LaunchUser:
        """Return the user whose server it will be; raises `LaunchFailed` if the hub makes no temporary one."""
        try:
            user = await stack.enter_async_context(user_for(self._handler, self._visit, self._repo_url))
        except Unavailable as error:
            raise LaunchFailed(f"Failed to create temporary user for {self._image}: {error.message}", hint=error.hint) from error
        self.proof = user.proof
        return user

    async def _attempt(self, user: LaunchUser) -> AsyncGenerator[Told]:
        """Yield the events of one attempt to start the server, from its place in the queue to ``ready``."""
        launches, token, user_name = self._context.launches, user.token, user.user_name
        wanted = await launches.wanted(user_name, self._asked.request, self._repo_url)
        if launches.places and launches.places.waits:
            async with aclosing(launches.places.wait(wanted)) as waiting:
                async for position, estimate_seconds in waiting:
                    yield protocol.told("waiting", protocol.place("launch", position, estimate_seconds))
        about, image, seconds = self._about(), self._image, self._context.attempts.launch_seconds
        try:
            launched = await launches.launch(token, user_name, self._asked.request, "", about=about, image=image, repo_url=self._repo_url)
        except (StartFailed, Unavailable) as error:
            raise LaunchFailed(f"Failed to launch image {image}: {error.message}", hint=error.hint) from error
        try:
            async with aclosing(follow_launch(self._context.hub_api_url, token, user_name, launched.server, image, seconds)) as messages:
                async for message in messages:
                    yield protocol.told("launching", message)
        except BinderError:
            if launches.places:
                launches.places.give_back(wanted)
            raise
        yield self._ready(launched, await user.deliver(), about)

    def _about(self) -> dict[str, str]:
        """Return what BinderHub tells of a launch, to the server and to the client."""
        return {
            "binder_ref_url": self._provider.ref_url(self._source),
            "binder_launch_host": self._context.pages.badge_base_url or f"{self._site}{self._handler.prefix}",
            "binder_request": f"v2/{self._provider.name}/{self._asked.spec}",
            "binder_persistent_request": f"v2/{self._provider.name}/{self._provider.resolved_spec(self._source)}",
            "binder_client_ip": self._http.remote_ip or "",
        }

    @property
    def _site(self) -> str:
        return f"{self._http.protocol}://{self._http.host}"

    def _ready(self, launched: Launched, token: str, about: Mapping[str, str]) -> Told:
        return protocol.ready_server(f"{self._site}{launched.url}", token, self._image, self._repo_url, about)

    def _note_launch(self) -> None:
        headers = self._http.headers
        request_origin = headers.get("Origin") or headers.get("Sec-Fetch-Site", "")
        name, spec, commit = self._provider.event_name, self._asked.spec, self._source.commit
        launch = Launch(name, spec, commit, "success", self._has_build_token, self._http.host, request_origin)
        self._context.events.note_launch(launch)
        self._context.actions.note(self._handler.caller.name, Action.LAUNCH, f"{self._source.repo} at {self._source.ref}", "started")
