"""Reads the settings and puts the service together. The only module that imports all others.

What differs between modes is in `modes`; nothing else asks for the mode.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jupyterhub.services.auth import HubOAuth
from tornado.httpclient import AsyncHTTPClient, HTTPClientError
from traitlets import Bool, Enum, Float, Integer, TraitError, Unicode, default, validate
from traitlets import List as ListTrait
from traitlets.config import Application, Config, Configurable

from . import __version__
from .accounts import HubAccounts
from .builds.builds import Builds
from .builds.cleaner import Cleaner
from .builds.launch_places import LaunchPlaces
from .builds.named import NamedBuilds
from .builds.observers import Observers
from .builds.templates import Templates
from .common.credentials import hide_in_logs
from .common.private import cookie_secret, keep_private, keep_secret, private_folder
from .context import AppContext
from .endings import end_of_hub, is_token_refused, loss_of_database, refusal_of_token
from .errors import Unavailable
from .handlers.application import make_application
from .handlers.launch_hook import before_launch
from .handlers.legacy.mounting import legacy_paths
from .handlers.rendering import make_jinja
from .health import Health
from .hub_users import HubUsers
from .launch_events import Events
from .launches import Launches
from .metrics import Metrics
from .modes import Mode
from .providers import Provider, provider_class, shipped_providers
from .providers.ls_remote import LsRemote
from .running_servers import HubServers
from .server import BoundedServer
from .settings import Cleaning, Launcher, LaunchQuota, LegacyApis, Limits, Pages, Server, UrlGuard
from .settings_check import instance_problems, problems, sentence_of
from .state_lock import StateLock
from .store.caching import CachingStore
from .store.named_builds import NamedBuildTable
from .store.store import LIMIT_SECONDS, Store
from .store.templates import TemplateTable
from .store.temporary_users import TemporaryUserRecords
from .tasks import Tasks
from .temporary_users import TemporaryUsers

MODES = ("embedded", "docker", "kubernetes")
CONFIG_VARIABLE = "BINDERHUB_SERVICE_CONFIG"
# What an earlier version may have left readable to others.
_KEPT_PRIVATE = ("service.sqlite*", "builds", "environments", "images", "people", "locks", "repo2docker", "engine-mark")
EMBEDDED_AND_PUBLIC = (
    "PUBLIC AND EMBEDDED: everybody who can reach this hub runs code as the user of this process, on this machine, with all that user may "
    "read and write. Never let strangers reach it: use docker mode or Kubernetes for them."
)
_HUB_CHECK_SECONDS = 3.0
_STOP_SECONDS = 15.0
_LOST = 3  # the process's status
# What may go wrong while a file of settings, which is Python, or the hub's JSON is read.
_OF_A_BROKEN_FILE = (ArithmeticError, AttributeError, ImportError, LookupError, NameError, OSError, SyntaxError, TypeError, ValueError)
_SECTIONS: tuple[type[Configurable], ...] = (Limits, UrlGuard, LaunchQuota, Launcher, Cleaning, Pages, Server, LegacyApis)


class BinderService(Application):
    """The service; its settings come from the command line, a file, or the hub's configuration."""

    raise_config_file_errors = True
    _settings_problems: Sequence[str] = ()

    name = "binderhub-service"
    version = __version__
    description = "A JupyterHub service that turns repositories into images that servers are launched from."
    aliases = {"config": "BinderService.config_file", "state-dir": "BinderService.state_dir"}  # noqa: RUF012  # as traitlets declares it

    config_file = Unicode(
        "",
        help="""A Python or JSON file with settings.

        Settings from the hub's configuration win over the file's, the command line's win over both. Default: none.
        """,
    ).tag(config=True)
    mode = Enum(
        MODES,
        default_value="embedded",
        help="""How images are made and kept.

        ``embedded`` makes an environment per repository with uv, on this machine, in processes of the service's own user: code
        of a repository that is built runs with that user's rights. ``docker`` makes container images with repo2docker and keeps them
        in the engine or in a registry. ``kubernetes`` makes them in pods without privileges. Default: ``embedded``.
        """,
    ).tag(config=True)
    state_dir = Unicode(
        ".state",
        help="""The directory that holds the database, builds, environments and images.

        It must be on a local disk and is made when it is missing. Default: ``.state`` in the working directory.
        Example: ``/var/lib/binderspawner``.
        """,
    ).tag(config=True)
    database_url = Unicode(
        "",
        help="""Where builds and their event logs are stored, as an SQLAlchemy URL.

        One service uses a database at a time; another one waits until that has ended. With PostgreSQL that takes a session of its own: no
        pgbouncer that shares sessions between transactions. Default: an SQLite file ``service.sqlite`` in `state_dir`.
        Example: ``postgresql+psycopg://binder@db/binder``.
        """,
    ).tag(config=True)
    database_timeout_seconds = Float(
        LIMIT_SECONDS,
        min=2,
        help="""How long the database may take for an answer.

        Then what was asked of the service is answered with 503, and PostgreSQL's connection is cut and made anew. Changes of the database's form at
        an upgrade may take half an hour. In seconds. Default: 20. Example: ``60``, for a database far away.
        """,
    ).tag(config=True)
    git_timeout_seconds = Float(
        30,
        min=1,
        help="""How long a Git server may take to say which commit a ref is at.

        Then the ask fails, with nothing begun. In seconds. Default: 30.
        """,
    ).tag(config=True)
    providers = ListTrait(
        Unicode(),
        help="""The kinds of places that repositories may come from, in the order of lists.

        Each is the name of one that comes with the service, as links have it behind ``v2/``, or the class of another as
        ``package.module.Class``. Repositories of no other place can be used. Default: all that come with the service.
        Example: ``["gh", "gl"]``.
        """,
    ).tag(config=True)
    hub_pid = Integer(
        0,
        min=0,
        help="""The process id of the hub that started the service; the service ends when that process has.

        `configure()` sets it, so that a hub that is killed leaves no service behind. Builds go on, and the next service takes them up.
        Default: 0, for a service that something else starts.
        """,
    ).tag(config=True)
    enable_api_only_mode = Bool(
        False,
        help="""Whether the service has no pages, for hubs that have pages of their own.

        The APIs, health, versions, metrics and files of the operator's stay; only then may BinderHub's ``/build`` be asked for a build without a
        launch (``?build_only=true``). Default: false.
        """,
    ).tag(config=True)
    template_paths = ListTrait(
        Unicode(),
        help="""Directories with templates that win over the service's and the hub's own.

        For a hub with its own ``page.html``, name the hub's template directory. Default: none. Example: ``["/srv/hub/templates"]``.
        """,
    ).tag(config=True)

    auth_enabled = Bool(
        True,
        help="""Whether people sign in by the hub.

        If not, everybody who can reach the service launches servers, each by a temporary user of the hub who goes with the server; the service
        needs the scopes ``admin:users``, ``admin:servers`` and ``tokens``, and the hub something that removes idle users. ``configure(public=True)``
        sets all of it. Default: true.
        """,
    ).tag(config=True)
    cors_allow_origin = Unicode(
        "",
        help="""Which pages of other sites may use BinderHub's ``/build`` and the API, with a token or as nobody.

        It is sent as ``Access-Control-Allow-Origin`` with every answer for programs, and with none of the pages; login cookies work from the
        hub's own pages only, whatever is set here. Default: none. Example: ``*``, for pages with thebe anywhere.
        """,
    ).tag(config=True)

    # --- settings ----------------------------------------------------------------------------------------------------

    def initialize(self, argv: list[str] | None = None) -> None:
        """Read all settings: the file's first, then the hub's, then the command line's."""
        arguments = sys.argv[1:] if argv is None else argv
        try:
            self._read_settings(arguments)
        except (*_OF_A_BROKEN_FILE, TraitError, SystemExit) as error:
            if arguments:  # somebody sits at a command line
                raise
            self._settings_problems = [f"The settings cannot be read: {sentence_of(error)}"]
        hide_in_logs(self.log.name, "binderhub_service", "tornado.access", "tornado.application", "tornado.general")
        for name in ("binderhub_service", "tornado"):
            logger = logging.getLogger(name)
            logger.setLevel(self.log.level)
            logger.handlers = self.log.handlers

    def _read_settings(self, arguments: list[str]) -> None:
        if arguments:  # every class that they may name, or that the help tells about; a hub gives none, and no mode but its own is imported
            self.classes = [type(self), *_SECTIONS, *_installed_modes(), Provider, *shipped_providers().values()]
        self.parse_command_line(arguments)
        command_line = self.cli_config
        from_hub = Config(json.loads(os.environ.get(CONFIG_VARIABLE, "{}")))
        self._update_from(from_hub, command_line)
        if self.config_file:  # either of them may name it
            if not Path(self.config_file).is_file():
                raise SystemExit(f"The configuration file {self.config_file} does not exist.")
            self.load_config_file(self.config_file)
            self._update_from(from_hub, command_line)

    async def check_settings(self) -> None:
        """Raise `Unavailable` if a setting is none of this service's, or has a value that it does not take."""
        sections: list[type[Configurable]] = [
            *_SECTIONS,
            mode_class(self.mode),
            Provider,
            *shipped_providers().values(),
            *map(provider_class, self.providers),
        ]
        not_imported = {"EventLogger", *(f"{name.capitalize()}Mode" for name in (*MODES, "repo2docker"))}
        found = self._settings_problems or [
            *problems(self.config, [type(self), HubOAuth, *sections], not_imported),
            *instance_problems(self.config, sections),
        ]
        if found:
            hint = "Correct them, then start the hub again."
            raise Unavailable(f"The settings of this service are wrong. {' '.join(found)} {hint}", code="service_starting", hint=hint)

    def _update_from(self, *configs: Config) -> None:
        for config in configs:
            self.update_config(config)

    def _log_level_default(self) -> int:
        return logging.INFO

    # --- parts -------------------------------------------------------------------------------------------------------

    def make_store(self, metrics: Metrics) -> Store:
        """Return the store; it is not open yet."""
        url = self.database_url or f"sqlite:///{self._state / 'service.sqlite'}"
        return CachingStore(url, metrics.note_store, self.database_timeout_seconds)

    def make_providers(self, git_logins: Path | None = None) -> list[Provider]:
        """Return the providers, in the order of lists.

        Args:
            git_logins: a file in the format of Git's credential store.
        """
        git = LsRemote(timeout_seconds=self.git_timeout_seconds, logins=git_logins, rules=UrlGuard(parent=self).rules())
        return [provider_class(name)(git, parent=self) for name in self.providers]

    def make_events(self) -> Events:
        """Return what tells the handlers in `EventLogger.handlers`."""
        if "EventLogger" not in self.config:
            return Events()
        adapter = importlib.import_module(f"{__package__}.event_logger")
        return Events(adapter.emit_by(adapter.EventLogger(parent=self)))

    def make_temporary_users(self, store: Store, hub_auth: HubOAuth, abandoned_seconds: float) -> TemporaryUsers:
        """Return what makes users for visitors, and says once what that means."""
        if self.mode == "embedded":
            self.log.warning(EMBEDDED_AND_PUBLIC)
        hub = HubUsers(hub_auth.api_url, hub_auth.api_token)
        return TemporaryUsers(hub, TemporaryUserRecords(store), cookie_secret(self._state), abandoned_seconds)

    @default("providers")
    def _providers_default(self) -> list[str]:
        return [*shipped_providers()]

    @validate("providers")
    def _check_providers(self, proposal: Any) -> list[str]:
        try:
            return [name for name in proposal["value"] if provider_class(name)]
        except ValueError as error:
            raise TraitError(f"BinderService.providers: {error}") from error

    @property
    def _state(self) -> Path:
        return Path(self.state_dir).absolute()

    def _lock_folders(self) -> list[Path]:
        """Return where builds leave the files of their locks."""
        return [self._state / "environments" / ".made", self._state / "locks"]

    def make_context(self, store: Store, hub_auth: HubOAuth, metrics: Metrics, tasks: Tasks) -> AppContext:
        """Put everything together."""
        limits = Limits(parent=self)
        mode = mode_class(self.mode)(parent=self)
        images, builder = mode.make(self._state, limits.for_processes(UrlGuard(parent=self).rules()))
        providers = self.make_providers(keep_secret(self._state / "git-credentials", mode.git_credentials))
        for provider in providers:
            provider.find_digest = images.finder()
        events = self.make_events()
        builds = Builds(
            store=store, providers=providers, images=images, builder=builder, limits=limits.for_builds(), observer=Observers(metrics, events)
        )
        metrics.watch(builds, providers, tasks)
        own = {"JupyterHub API": lambda: check_hub(hub_auth.api_url), "store": store.check, "builder": builder.check, "tasks": tasks.check}
        checks = {**images.checks(), **own}
        quota, servers = LaunchQuota(parent=self), HubServers(hub_auth.api_url, hub_auth.api_token)
        launcher = Launcher(parent=self)
        named_builds = NamedBuilds(NamedBuildTable(store), builds)
        return AppContext(
            prefix=hub_auth.base_url,
            hub_prefix=hub_auth.hub_host + hub_auth.hub_prefix,
            hub_origin=hub_auth.hub_host,
            hub_api_url=hub_auth.api_url,
            builds=builds,
            accounts=HubAccounts(hub_auth.api_url, hub_auth.api_token, builds.note_rename),
            cleaner=Cleaner(store=store, images=images, builds=builds, budget=Cleaning(parent=self).budget(), locks=self._lock_folders()),
            providers=providers,
            launches=Launches(
                hub_auth.api_url,
                hub_auth.hub_host + hub_auth.hub_prefix,
                providers,
                places=LaunchPlaces(quota.quota(), servers.running, wait_seconds=quota.wait_seconds),
                before=before_launch(launcher.pre_launch_hook, launcher) if launcher.pre_launch_hook else None,
            ),
            attempts=launcher.attempts(),
            temporary=None if self.auth_enabled else self.make_temporary_users(store, hub_auth, launcher.abandoned_seconds),
            jinja=make_jinja(self.template_paths),
            pages=Pages(parent=self).page_settings(),
            metrics=metrics,
            events=events,
            health=Health(
                checks,
                quota=quota.quota(),
                servers=servers.count,
                builds=lambda: builds.counts()["running"],
            ),
            builder_info={"mode": self.mode, **mode.builder_info()},
            named_builds=named_builds,
            templates=Templates(TemplateTable(store), named_builds),
            legacy=LegacyApis(parent=self).legacy_settings(),
            cors_allow_origin=self.cors_allow_origin,
            is_api_only=self.enable_api_only_mode,
        )

    # --- running -----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Serve until a signal says to stop."""
        os.umask(0o077)
        if not self._settings_problems:  # else nobody knows which folder is meant
            private_folder(self._state)
            keep_private(path for pattern in _KEPT_PRIVATE for path in self._state.glob(pattern))
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        stopping = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stopping.set)
        serving = asyncio.create_task(self._serve_until_cancelled(stopping))
        await asyncio.wait([serving, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        await asyncio.wait([serving], timeout=_STOP_SECONDS)
        if not serving.done():
            self.log.error("The service could not stop in good order within %g seconds, so it ends at once; builds go on.", _STOP_SECONDS)
            _end_at_once()
        with contextlib.suppress(asyncio.CancelledError):
            await serving

    async def _serve_until_cancelled(self, stopping: asyncio.Event) -> None:
        """Answer from the first moment on; serve once the state is this service's alone and the database is there."""
        hub_auth = HubOAuth.instance(parent=self)
        address = urlsplit(os.environ.get("JUPYTERHUB_SERVICE_URL", "http://127.0.0.1:8585"))
        listener = BoundedServer(hub_auth.base_url, Server(parent=self).limits())
        tasks, metrics = Tasks(), Metrics(self.mode)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(tasks.close)
            if self.hub_pid:
                tasks.start("watch of the hub", self._end_when(end_of_hub(self.hub_pid), stopping.set))
            if hub_auth.api_token:
                refused = refusal_of_token(lambda: is_token_refused(hub_auth.api_url, hub_auth.api_token))
                tasks.start("watch of the token", self._end_when(refused, stopping.set))
            server = await listener.listen(address.hostname or "127.0.0.1", address.port or 80)
            await listener.when_available(self.check_settings)
            store = self.make_store(metrics)
            for path in (self._state / "service.lock", *([store.file.with_name(f"{store.file.name}.lock")] if store.file else [])):
                lock = StateLock(path)
                stack.callback(lock.release)
                await listener.when_available(lock.take)
            stack.push_async_callback(store.close)
            await listener.when_available(store.open)
            tasks.start("watch of the database", self._end_when(loss_of_database(store), _end_at_once))

            async def put_together() -> AppContext:
                return self.make_context(store, hub_auth, metrics, tasks)

            context = await listener.when_available(put_together)
            stack.push_async_callback(context.builds.close)
            stack.push_async_callback(context.named_builds.close)
            metrics.note_resumed(await context.builds.resume())
            tasks.repeat("cleaner", Cleaning(parent=self).interval_seconds, context.cleaner.clean)
            listener.streamed = legacy_paths(context)
            if context.temporary:
                every_seconds = min(Cleaning(parent=self).interval_seconds, Launcher(parent=self).abandoned_seconds)
                tasks.repeat("cleaner of temporary users", every_seconds, context.temporary.clean)
            listener.application = make_application(context, cookie_secret(self._state))
            stack.callback(server.stop)
            self.log.info("Serving %s in %s mode", context.prefix, self.mode)
            await asyncio.Event().wait()

    async def _end_when(self, due: Awaitable[str], end: Callable[[], None]) -> None:
        """Say why the service ends, when it is time, and end it."""
        self.log.warning("%s", await due)
        end()
        await asyncio.Event().wait()  # until everything is stopped


def _end_at_once() -> None:
    """End the process as a kill would, from which nothing is lost: what it knows may not be stored, or cannot be."""
    logging.shutdown()
    os._exit(_LOST)


def mode_class(name: str) -> type[Mode]:
    """Return the class of a mode, imported now: what other modes need stays out of memory.

    Raises:
        Unavailable: a package that the mode needs is not installed.
    """
    try:
        module = importlib.import_module(f"{__package__}.modes.{name}")
    except ModuleNotFoundError as error:
        sentence = f"The mode {name} needs the package {error.name}; install it with: pip install 'binderspawner[{name}]'"
        raise Unavailable(sentence, code="service_starting", hint="Then start the hub again.") from error
    found: type[Mode] = getattr(module, f"{name.capitalize()}Mode")
    return found


def _installed_modes() -> Iterator[type[Mode]]:
    """Yield the modes whose packages are installed; the command line and the help know no others."""
    for name in MODES:
        with contextlib.suppress(Unavailable):
            yield mode_class(name)


async def check_hub(api_url: str) -> None:
    """Raise `Unavailable` unless the hub answers."""
    try:
        await AsyncHTTPClient().fetch(f"{api_url}/", request_timeout=_HUB_CHECK_SECONDS)
    except (HTTPClientError, OSError) as error:
        raise Unavailable("The hub did not answer.", code="hub_unavailable") from error


def main() -> None:
    """Run the service."""
    BinderService.launch_instance()


if __name__ == "__main__":
    main()
