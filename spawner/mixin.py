"""RepoSpawner: makes any spawner start servers from repositories that people name."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, ClassVar

from jupyterhub.utils import maybe_future
from traitlets import Dict, Instance, Integer, Unicode, default

from binder_client.answers import ServiceError
from binder_client.client import BuildClient
from binderhub_service.common.refusal import Refused

from .build_request import TRIAL_SECONDS, UNTRIED, BuildRequest, ask_whether
from .build_token import build_token
from .log_name import log_name
from .options import IMAGE_PROVIDER, PREPARED_PROVIDER, RepoOptions, options_from_json
from .prepared import with_profile
from .progress import SERVER_PERCENT, StartProgress
from .readiness import in_time
from .rejection import Rejection, service_refused, uncount_failure
from .repo_form import RepoForm
from .template import NO_TEMPLATE, TemplateOptions
from .turns import TURNS

# Where the state of a server says that it was made from a repository.
STATE_KEY = "binder"
# A server that has ended is noticed at once, so this only bounds a server that hangs; many that start at once on a small machine need it.
START_SECONDS = 300
GOODBYE_SECONDS = 0.5
QUESTION_SECONDS = 60
# For what a leaf does between the build and the start of the server, e.g. copying the repository.
PREPARE_SECONDS = 300


class RepoSpawner(RepoForm):
    """A spawner whose servers are made from repositories: ``class MySpawner(RepoSpawner, SomeSpawner)`` and a `use_image`.

    It shows the form and checks what was asked for (`RepoForm`), has the service build the image as the user who asked, shows the
    build as the progress of the start, and then lets the other spawner start the server.
    """

    binder_url = Unicode(
        "http://127.0.0.1:8003/services/binder/",
        help="The address at which this hub reaches the build service; its path is also the path at which browsers reach it through the proxy.",
    ).tag(config=True)
    build_timeout = Integer(
        3600,
        help="Seconds that a start waits for the build of its image. A build that takes longer goes on; `start_timeout` is for the server alone.",
    ).tag(config=True)
    service_patience = Integer(
        120,
        help="Seconds that the build service may be away, e.g. while the hub starts it again, before a start that needs it fails.",
    ).tag(config=True)

    starts_at_once = Integer(
        min=0,
        help="""How many servers from repositories start at a time; the others wait, and their progress says so. 0 for any number.

        Many that start at once take the processors from each other, and are all ready at the end. A start keeps its place until its server answers,
        at most 30 seconds. Default: two for each processor of the hub's machine; in Kubernetes mode, where servers start elsewhere, 0.
        Example: ``16``.
        """,
    ).tag(config=True)

    # The class of another package that knows how to start servers as this one does.
    starts_as: ClassVar[type]

    start_timeout: int
    http_timeout: int
    repo_build = Dict(help="The build that the server is made from, as the service describes it; empty before it is there.")
    _repo_options = Instance(RepoOptions, allow_none=True)
    _repo_progress = Instance(StartProgress, ())

    @property
    def template(self) -> TemplateOptions:
        """What a template asks for of the server that is about to start; for leaves."""
        return self._repo_options.template if self._repo_options else NO_TEMPLATE

    def use_image(self, build: Mapping[str, Any]) -> Awaitable[None] | None:
        """Make the next start use ``build["image"]``; a leaf must say how. It may be a coroutine."""
        raise NotImplementedError(f"{type(self).__name__} has to say how it uses an image.")

    def check_person(self) -> None:
        """Raise `Rejection` if this person can have no server here, before anything is built; a leaf that knows overrides it."""

    def tell(self, message: str) -> None:
        """Add a line of plain text to the progress of the start; for leaves."""
        self._repo_progress.tell(message)

    @default("default_url")
    def _lab(self) -> str:
        return "/lab"

    @default("start_timeout")
    def _time_for_many_starts_at_once(self) -> int:
        return START_SECONDS

    @default("starts_at_once")
    def _two_for_each_processor(self) -> int:
        return 2 * (os.cpu_count() or 1)

    @default("apply_user_options")
    def _apply_nothing(self) -> Any:
        """Say that the options are handled, by `start`, so that the hub does not warn about them at every start."""
        return lambda _spawner, _options: None

    # The start

    def start(self) -> Awaitable[Any]:
        """Build the image, then start the server from it.

        A plain function, because the hub reads `start_timeout` right after calling it and cuts the start there: for that
        moment the time includes the build. Then it is the operator's again and bounds the other spawner's start.
        """
        if self._repo_progress.begun:
            self._repo_progress = StartProgress()
        own_timeout_seconds = self.start_timeout
        self.start_timeout = own_timeout_seconds + self.http_timeout + self.build_timeout + PREPARE_SECONDS
        return self._build_then_start(own_timeout_seconds)

    async def _build_then_start(self, own_timeout_seconds: int) -> Any:
        self.start_timeout = own_timeout_seconds
        progress = self._repo_progress
        try:
            self._repo_options = await self._check_options()
            self.check_person()
            self.repo_build = await self._build_unless_cancelled(self._repo_options)
            self.user.spawners[""]  # the hub tells of a deleted account by the servers that it knows; this one it knows from now on
            await maybe_future(self.use_image(self.repo_build))
            async with TURNS.turn(self.starts_at_once, self._tell_of_others):
                starting = maybe_future(super().start())
                progress.close(server_begun=True)
                return await in_time(starting, own_timeout_seconds + self.http_timeout)
        except Rejection as rejection:
            raise self._reject(await self._verdict(rejection)) from rejection.__cause__
        finally:
            progress.close()

    def _tell_of_others(self, waiting: int) -> None:
        self.tell(f"As many servers are starting as may at a time; this one is number {waiting} of those that wait.")

    async def _check_options(self) -> RepoOptions:
        """Return the options, which may have come unseen through the REST API, or have been saved while others were valid.

        Those that cannot be used are taken out of the hub's database: there may be a token in them.
        """
        try:
            options = options_from_json(self.user_options, await self.get_choices())
        except Refused as error:
            self._store_options({})
            raise Rejection(400, error.sentence) from None
        if options.provider == IMAGE_PROVIDER:  # an option "image" would mean something else to the other spawner
            self._store_options(options.as_user_options())
        return options

    def _store_options(self, options: dict[str, str]) -> None:
        self.user_options = self.orm_spawner.user_options = options
        self.user.db.commit()

    async def _build_unless_cancelled(self, options: RepoOptions) -> dict[str, Any]:
        """Return a build with an image; to a start that is cancelled the hub gives one second, so what takes longer goes on behind it."""
        building = asyncio.ensure_future(self._build(options))
        try:
            return await asyncio.shield(building)
        except asyncio.CancelledError:
            building.cancel()
            await asyncio.wait([building], timeout=GOODBYE_SECONDS)
            raise

    async def _build(self, options: RepoOptions) -> dict[str, Any]:
        """Return a build with an image, asked for as the user."""
        request = self._request(options)
        async with self._asking(self.build_timeout) as client:
            build = await request.image(client)
            self._repo_options = await self._prepared(client, request.options)
        return build

    async def _verdict(self, rejection: Rejection) -> Rejection:
        """Return why no server starts from an image that was still being tried, in the words of its build; else the rejection."""
        if not self.repo_build.get(UNTRIED) or self._repo_options is None:
            return rejection
        async with self._asking(TRIAL_SECONDS) as client:
            return await self._request(self._repo_options).verdict(client, self.repo_build) or rejection

    def _request(self, options: RepoOptions) -> BuildRequest:
        return BuildRequest(
            options,
            self._repo_progress,
            service=self._public_service(),
            build_seconds=self.build_timeout,
            name=self.name,
            server=log_name(self),
            log=self.log,
        )

    @asynccontextmanager
    async def _asking(self, seconds: float) -> AsyncIterator[BuildClient]:
        """Give what asks the service as the user, for some seconds, with a token that nobody else ever sees."""
        with build_token(self, int(seconds) + self.service_patience + PREPARE_SECONDS) as token:
            waits = self._repo_progress.wait_for_service
            async with BuildClient(self.binder_url, token, patience_seconds=self.service_patience, on_away=waits) as client:
                yield client

    async def check_new_copy(self) -> None:
        """Raise `Rejection` if no new working copy may be made for the person; for leaves that are about to make one."""
        async with self._asking(QUESTION_SECONDS) as client:
            try:
                await ask_whether(client, "starts/copy")
            except ServiceError as error:
                raise service_refused(error) from error

    async def _prepared(self, client: BuildClient, options: RepoOptions) -> RepoOptions:
        """Return the options as a prepared environment has them, and store them where the other spawner reads them."""
        choices = await self.get_choices()
        if options.provider == PREPARED_PROVIDER and "profile" in choices.names:
            options = await with_profile(client, options, choices)
            self._store_options(options.as_user_options())
        return options

    def _reject(self, rejection: Rejection) -> Rejection:
        if self.handler is not None:
            uncount_failure(self.handler.settings)
        return rejection

    # What the hub shows, stores and gives to the server

    async def progress(self) -> AsyncGenerator[dict[str, Any]]:
        """Yield the whole start so far and what follows: first the build, then the other spawner's own progress behind it.

        The hub asks once for each browser. The other spawner is asked only once it has begun, because before that it would
        tell about an earlier server of the same name.
        """
        progress = self._repo_progress
        async for event in progress.follow():
            yield event
        if progress.server_begun:
            percent = SERVER_PERCENT
            async with aclosing(super().progress()) as events:
                async for event in events:
                    percent = max(percent, SERVER_PERCENT + int(event.get("progress", 0)) * (100 - SERVER_PERCENT) // 100)
                    yield {**event, "progress": percent}

    def get_env(self) -> dict[str, str]:
        """Return the server's environment; what people typed is added last, behind everything that treats values as templates."""
        env: dict[str, str] = super().get_env()
        for name, key in (("BINDER_REPO_URL", "repo"), ("BINDER_REF", "ref"), ("BINDER_COMMIT", "commit")):
            if value := self.repo_build.get(key):
                env[name] = str(value)
        return {**env, **(self._repo_options.environment if self._repo_options is not None else {})}

    def get_state(self) -> dict[str, Any]:
        """Return what has to survive a restart of the hub, with the build's id and image."""
        state: dict[str, Any] = super().get_state()
        if self.repo_build:
            state[STATE_KEY] = {name: self.repo_build.get(name) for name in ("id", "image")}
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take up what `get_state` returned."""
        super().load_state(state)
        self.repo_build = state.get(STATE_KEY, {})

    def clear_state(self) -> None:
        """Forget the server: it has stopped, or a new one is about to start."""
        super().clear_state()
        self.repo_build = {}
        self._repo_options = None
        if self._repo_progress.begun:
            self._repo_progress = StartProgress()
