"""The service from its start to its end: what is opened in which order, and what ends it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

from .app import BinderService
from .assembly import Assembly
from .common.private import cookie_secret
from .context import AppContext
from .errors import Unavailable
from .handlers.application import make_application, make_application_alone, make_private_application, streamed_bytes, streamed_bytes_alone
from .hub_auth import HubOAuth
from .monitoring.metrics import Metrics
from .process.api_port import COMMANDS_SOCKET, socket_of
from .process.endings import end_of_hub, is_token_refused, loss_of_database, refusal_of_token
from .process.hub_variables import address_of_service
from .process.programs import check_git
from .process.receiving import ServerLimits
from .process.server import BoundedServer, Listening, answer_early
from .process.state_lock import StateLock, state_errors_converted
from .process.tasks import Tasks
from .process.write_watch import WriteWatch
from .settings import Cleaning, Launcher, Server
from .settings.check import setting_errors_converted
from .settings.legacy import API_NAMES
from .store.store import Store

_STOP_SECONDS = 15.0
_LOGS_SECONDS = 60.0
_WRITES_SECONDS = 15.0
_REFRESHES_SECONDS = 30.0
_LOST = 3  # the process's status


@dataclass(frozen=True)
class ApiPort:
    """An older service's API, by the name of its path, and where it is served alone."""

    name: str
    address: str
    port: int


class Serving:
    """One run of the service.

    Args:
        settings: those of the service, with those of all other classes behind them.
        alone: what the service consists of, where that is an older service's API and nothing else.
        early: what answers already, if something does.
    """

    def __init__(self, settings: BinderService, alone: ApiPort | None = None, early: Listening | None = None) -> None:
        self._settings = settings
        self._alone = alone
        self._early = early
        self._assembly = Assembly(settings)

    async def serve(self) -> None:
        """Serve until a signal says to stop, or what `endings` waits for has come."""
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        serving = asyncio.create_task(self._serve_until_cancelled(stopping))
        await asyncio.wait([serving, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        await asyncio.wait([serving], timeout=_STOP_SECONDS)
        if not serving.done():
            self._settings.log.error("The service could not stop in good order within %g seconds, so it ends at once; builds go on.", _STOP_SECONDS)
            _end_at_once()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    async def _serve_until_cancelled(self, stopping: asyncio.Event) -> None:
        """Answer from the first moment on; serve once the state is this service's alone and the database is there."""
        hub_auth = HubOAuth.instance(parent=self._settings)
        address, port = (self._alone.address, self._alone.port) if self._alone else address_of_service()
        early = self._early or answer_early(hub_auth.base_url, address, port, is_behind_proxy=self._alone is None)
        listener = early.listener
        listener.prefix = hub_auth.base_url
        tasks, metrics = Tasks(), Metrics(self._settings.mode)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(tasks.close)
            self._watch_hub(hub_auth, tasks, stopping)
            server = listener.renewed(await early.server, self._request_limits())
            await listener.when_available(self._settings.check_settings)
            await listener.when_available(check_git)
            await listener.when_available(self._settings.make_state_private)
            store = await listener.when_available(lambda: self._assembly.make_store(metrics))
            for path in self._settings.lock_files(store.file):
                lock = StateLock(path)
                stack.callback(lock.release)
                await listener.when_available(lock.take)
            stack.push_async_callback(store.close)
            await listener.when_available(lambda: store.open(self._settings.state))
            tasks.start("watch of the database", self._end_when(loss_of_database(store), _end_at_once))

            async def put_together() -> tuple[AppContext, bytes]:
                with state_errors_converted(self._settings.state), setting_errors_converted():
                    return self._assembly.make_context(store, hub_auth, metrics, tasks), cookie_secret(self._settings.state)

            context, secret = await listener.when_available(put_together)
            await listener.when_available(context.controls.load)
            await listener.when_available(context.prepared.load)
            await self._go_on(context, store, metrics, tasks, stack)
            stack.callback(server.stop)
            if self._alone:
                listener.streamed, listener.application = streamed_bytes_alone(context), make_application_alone(context, secret, self._alone.name)
                self._settings.log.info("Serving %s alone, on port %d, in %s mode", self._alone.name, port, self._settings.mode)
            else:
                listener.streamed, listener.application = streamed_bytes(context), make_application(context, secret)
                await self._serve_apis_alone(stack, context, secret, address, listener.limits)
                self._serve_commands(stack, context, secret)
                self._settings.log.info("Serving %s in %s mode", context.prefix, self._settings.mode)
            await asyncio.Event().wait()

    def _watch_hub(self, hub_auth: HubOAuth, tasks: Tasks, stopping: asyncio.Event) -> None:
        """End the service with its hub, and when the hub does not know its token any more."""
        if self._settings.hub_pid:
            tasks.start("watch of the hub", self._end_when(end_of_hub(self._settings.hub_pid), stopping.set))
        if hub_auth.api_token:
            refused = refusal_of_token(lambda: is_token_refused(hub_auth.api_url, hub_auth.api_token))
            tasks.start("watch of the token", self._end_when(refused, stopping.set))

    async def _go_on(self, context: AppContext, store: Store, metrics: Metrics, tasks: Tasks, stack: AsyncExitStack) -> None:
        """Go on with what a former run has left unfinished, and begin what is done again and again."""
        for close in (context.builds.close, context.named_builds.close, context.image_jobs.close, context.refreshes.close):
            stack.push_async_callback(close)
        metrics.note_resumed(await context.builds.resume())
        await context.image_jobs.resume()
        cleaning = Cleaning(parent=self._settings)
        tasks.repeat("cleaner", cleaning.interval_seconds, context.cleaner.clean)
        await context.refreshes.begin_due()
        tasks.repeat("refresh of prepared environments", _REFRESHES_SECONDS, context.refreshes.begin_due)
        tasks.repeat("budget of logs", _LOGS_SECONDS, context.cleaner.trim_logs)
        writes = WriteWatch(store.check_write, metrics.note_write)
        await writes.look()
        tasks.repeat("watch of writes", _WRITES_SECONDS, writes.look)
        if context.temporary:
            every_seconds = min(cleaning.interval_seconds, Launcher(parent=self._settings).abandoned_seconds)
            tasks.repeat("cleaner of temporary users", every_seconds, context.temporary.clean)

    async def _serve_apis_alone(self, stack: AsyncExitStack, context: AppContext, secret: bytes, address: str, limits: ServerLimits) -> None:
        """Serve older services' APIs on ports of their own, and for processes beside this one (see `api_port`) at sockets."""
        for name in API_NAMES:
            alone = BoundedServer("/", limits, is_behind_proxy=False)
            alone.streamed, alone.application = streamed_bytes_alone(context), make_application_alone(context, secret, name)
            if name in context.legacy.ports:
                stack.callback((await alone.listen(address, context.legacy.ports[name])).stop)
            if name in context.legacy.names:
                self._listen_at_socket(stack, alone, name)

    def _serve_commands(self, stack: AsyncExitStack, context: AppContext, secret: bytes) -> None:
        """Serve commands on this machine (see `state_commands`) at a socket."""
        private = BoundedServer("/", ServerLimits(), is_behind_proxy=False)
        private.application = make_private_application(context, secret)
        self._listen_at_socket(stack, private, COMMANDS_SOCKET)

    def _listen_at_socket(self, stack: AsyncExitStack, server: BoundedServer, name: str) -> None:
        path = socket_of(self._settings.state, name)
        try:
            stack.callback(server.listen_at(path).stop)
        except OSError as error:
            self._settings.log.warning("No process beside this one can reach %s: %s: %s", name, path, error)

    def _request_limits(self) -> ServerLimits:
        """Return the bounds of requests; the usual ones where settings are wrong, which `check_settings` tells."""
        try:
            with setting_errors_converted():
                return Server(parent=self._settings).limits()
        except Unavailable:
            return ServerLimits()

    async def _end_when(self, due: Awaitable[str], end: Callable[[], None]) -> None:
        """Say why the service ends, when it is time, and end it."""
        self._settings.log.warning("%s", await due)
        end()
        await asyncio.Event().wait()  # until everything is stopped


def _end_at_once() -> None:
    """End the process as a kill would, from which nothing is lost: what it knows may not be stored, or cannot be."""
    logging.shutdown()
    os._exit(_LOST)
