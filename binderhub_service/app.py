"""The service's own settings, and how all settings are read and checked."""

from __future__ import annotations

import errno
import json
import logging
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from subprocess import SubprocessError
from typing import Any

from traitlets import Bool, Enum, Float, Integer, TraitError, Unicode, default, validate
from traitlets import List as ListTrait
from traitlets.config import Application, Config, Configurable

from . import __version__
from .common.credentials import hide_in_logs
from .common.private import keep_private, private_folder
from .hub_auth import HubOAuth
from .modes import MODES, installed_modes, mode_class
from .monitoring.log_lines import LINE, JsonLines
from .process.state_lock import state_errors_converted
from .providers import Provider, provider_class, shipped_providers
from .settings import BuildToken, Cleaning, Launcher, LaunchQuota, LegacyApis, Limits, Pages, Prepared, RateLimiter, Server, UrlGuard
from .settings.check import (
    instance_problems,
    problems,
    sentence_of,
    try_format,
    wrong_settings,
)
from .store.sql_store import LIMIT_SECONDS

CONFIG_VARIABLE = "BINDERHUB_SERVICE_CONFIG"
# What an earlier version may have left readable to others.
_KEPT_PRIVATE = ("service.sqlite*", "builds", "contents", "environments", "images", "people", "locks", "repo2docker", "engine-mark")
# What may go wrong while a file of settings, which is Python, or the hub's JSON is read.
OF_A_BROKEN_FILE = (
    *(ArithmeticError, AssertionError, AttributeError, EOFError, ImportError, LookupError, NameError, OSError, RuntimeError),
    *(SubprocessError, SyntaxError, TypeError, ValueError),
)
_KINDS_OF_FILES = (".py", ".json")
_SECTIONS: tuple[type[Configurable], ...] = (
    *(Limits, UrlGuard, LaunchQuota, Launcher, RateLimiter, BuildToken),
    *(Prepared, Cleaning, Pages, Server, LegacyApis),
)


def classes_with_settings(modes: Iterable[type[Configurable]]) -> list[type[Configurable]]:
    """Return the classes that settings may name, with those of some modes; classes of the operator's own may be among the providers as well."""
    return [BinderService, *_SECTIONS, *modes, Provider, *shipped_providers().values()]


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

        Each is the name of a provider that comes with the service, as links have it behind ``v2/``, or the class of another as
        ``package.module.Class``. Repositories of no other place can be used. Default: all that come with the service.
        Example: ``["gh", "gl"]``.
        """,
    ).tag(config=True)
    log_json = Bool(
        False,
        help="""Whether the log is JSON, an object a line, instead of text.

        The objects have ``time`` in UTC, ``level``, ``logger``, ``message`` and, where there is one, ``traceback``. Default: false.
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
        except (*OF_A_BROKEN_FILE, TraitError, SystemExit) as error:
            if arguments:  # somebody sits at a command line
                if isinstance(error, SystemExit):
                    raise
                raise SystemExit(f"The settings cannot be read: {sentence_of(error)}") from error
            self._settings_problems = [f"The settings cannot be read: {sentence_of(error)}"]
        if self.log_json:
            for handler in self.log.handlers:
                handler.setFormatter(JsonLines())
        hide_in_logs(self.log.name, "binderhub_service", "tornado.access", "tornado.application", "tornado.general")
        for name in ("binderhub_service", "tornado"):
            logger = logging.getLogger(name)
            # What the handlers would leave out is not even written.
            logger.setLevel(min((handler.level for handler in self.log.handlers), default=self.log.level))
            logger.handlers = self.log.handlers

    def _read_settings(self, arguments: list[str]) -> None:
        if arguments:  # every class that they may name, or that the help tells about; a hub gives none, and no mode but its own is imported
            self.classes = classes_with_settings(installed_modes())
        self.parse_command_line(arguments)
        command_line = self.cli_config
        from_hub = Config(json.loads(os.environ.get(CONFIG_VARIABLE, "{}")))
        self._update_from(from_hub, command_line)
        if self.config_file:  # either of them may name it
            if not Path(self.config_file).is_file():
                raise SystemExit(f"The configuration file {self.config_file} does not exist.")
            if Path(self.config_file).suffix not in _KINDS_OF_FILES:
                raise SystemExit(f"The configuration file {self.config_file} has to be Python or JSON, with a name that ends in .py or .json.")
            self.load_config_file(self.config_file)
            self._update_from(from_hub, command_line)

    async def check_settings(self) -> None:
        """Raise `Unavailable` if a setting is none of this service's, or has a value that it does not take."""
        providers: list[type[Configurable]] = [provider_class(name) for name in self.providers]
        known = classes_with_settings([mode_class(self.mode)]) + providers
        not_imported = {"EventLogger", *(f"{name.capitalize()}Mode" for name in (*MODES, "repo2docker"))}
        found = self._settings_problems or [
            *problems(self.config, [HubOAuth, *known], not_imported),
            *instance_problems(self.config, known[1:]),
            *(f"BinderService.template_paths: There is no directory {path}." for path in self.template_paths if not Path(path).is_dir()),
        ]
        if found:
            raise wrong_settings(found)

    def _update_from(self, *configs: Config) -> None:
        for config in configs:
            self.update_config(config)

    def _log_level_default(self) -> int:
        return logging.INFO

    @default("log_format")
    def _log_format_default(self) -> str:
        return LINE

    @default("providers")
    def _providers_default(self) -> list[str]:
        return [*shipped_providers()]

    @validate("state_dir")
    def _check_state_dir(self, proposal: Any) -> str:
        if not proposal["value"].strip() or "\0" in proposal["value"]:
            raise TraitError("BinderService.state_dir has to be the path of a directory")
        return str(proposal["value"])

    @validate("log_format")
    def _check_log_format(self, proposal: Any) -> str:
        try:
            try_format(proposal["value"])
        except (KeyError, TypeError, ValueError) as error:
            raise TraitError(f"BinderService.log_format is no format of a line of the log: {type(error).__name__}: {error}") from error
        return str(proposal["value"])

    @validate("providers")
    def _check_providers(self, proposal: Any) -> list[str]:
        try:
            return [name for name in proposal["value"] if provider_class(name)]
        except ValueError as error:
            raise TraitError(f"BinderService.providers: {error}") from error

    @property
    def state(self) -> Path:
        """The state directory, absolute."""
        return Path(self.state_dir).absolute()

    @property
    def database(self) -> str:
        """Where builds are stored, as an SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.state / 'service.sqlite'}"

    def lock_files(self, database: Path | None) -> list[Path]:
        """Return the files whose locks let one service alone have the state, and the database if that is a file."""
        return [self.state / "service.lock", *([database.with_name(f"{database.name}.lock")] if database else [])]

    async def make_state_private(self) -> None:
        """Make the state directory, readable to nobody else; what an earlier version left readable becomes private as well.

        Raises:
            Unavailable: it cannot be made.
        """
        with state_errors_converted(self.state):
            if self.state.exists() and not self.state.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            private_folder(self.state)
            keep_private(path for pattern in _KEPT_PRIVATE for path in self.state.glob(pattern))
