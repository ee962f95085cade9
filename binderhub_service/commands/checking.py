"""``binderhub-service check``: tries what the service needs, one thing after the other, and serves nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from traitlets.config.loader import Config, LazyConfigValue, PyFileConfigLoader

from ..app import CONFIG_VARIABLE, OF_A_BROKEN_FILE, BinderService
from ..assembly import Assembly
from ..common.authority import bracketed
from ..common.redact import redact
from ..errors import BinderError, NotAllowed
from ..hub_auth import HubOAuth
from ..monitoring.metrics import Metrics
from ..process.endings import is_token_refused
from ..process.programs import check_git
from ..process.state_lock import state_errors_converted
from ..process.tasks import Tasks
from ..settings.check import sentence_of, setting_errors_converted
from ..store.store import Store


@dataclass(frozen=True)
class Finding:
    """What came of trying one thing; `problem` is empty if it works."""

    name: str
    problem: str = ""

    def __str__(self) -> str:
        return f"{self.name:<18} {f'FAILED  {self.problem}' if self.problem else 'ok'}"


class Checking:
    """Tries what a service with these settings needs; a service that serves meanwhile is not disturbed."""

    def __init__(self, settings: BinderService) -> None:
        self._settings = settings
        self._assembly = Assembly(settings)
        self._metrics = Metrics(settings.mode)

    async def findings(self) -> AsyncIterator[Finding]:
        """Yield what is found; it ends with the first thing without which the others cannot be tried."""
        for name, attempt in (("git", check_git), ("token", self._check_token)):
            yield await _found(name, attempt)
        for name, attempt in (("settings", self._settings.check_settings), ("state directory", self._settings.make_state_private)):
            finding = await _found(name, attempt)
            yield finding
            if finding.problem:
                return
        async for finding in self._with_database():
            yield finding

    async def _with_database(self) -> AsyncIterator[Finding]:
        try:
            store = await self._assembly.make_store(self._metrics)
        except BinderError as error:
            yield Finding("database", error.message)
            return
        finding = await _found("database", store.check_schema)
        yield finding
        if not finding.problem:
            async for finding in self._parts(store):
                yield finding
        await store.close()

    async def _parts(self, store: Store) -> AsyncIterator[Finding]:
        """Yield what ``/health`` of a service would tell."""
        hub_auth = HubOAuth.instance(parent=self._settings)
        try:
            with state_errors_converted(self._settings.state), setting_errors_converted():
                context = self._assembly.make_context(store, hub_auth, self._metrics, Tasks())
        except BinderError as error:
            yield Finding(self._settings.mode, error.message)
            return
        report = await context.health.report()
        for entry in report["checks"]:
            if not entry.get("_ignore_failure"):  # what only a service that serves can know
                yield Finding(entry["service"], "" if entry["ok"] else str(entry.get("message", "")))
        await context.builds.close()

    async def _check_token(self) -> None:
        hub_auth = HubOAuth.instance(parent=self._settings)
        if hub_auth.api_token and await is_token_refused(hub_auth.api_url, hub_auth.api_token):
            raise NotAllowed("The hub refuses the service's own token, JUPYTERHUB_API_TOKEN.")


def take_settings_of_hub(file: Path) -> None:
    """Put what a hub with this file of settings would give to the service that `configure()` set up there into the environment.

    Raises:
        SystemExit: the file cannot be read, or sets up no such service.
    """
    if not file.is_file():
        raise SystemExit(f"The hub's file of settings {file} does not exist.")
    try:
        config = PyFileConfigLoader(file.name, path=str(file.parent)).load_config()
    except OF_A_BROKEN_FILE as error:
        raise SystemExit(f"{file} cannot be read: {sentence_of(error)}") from error
    services = config.JupyterHub.get("services", [])
    named = services.get_value([]) if isinstance(services, LazyConfigValue) else services  # as after c.JupyterHub.services.append(...)
    ours = [one["environment"] for one in named if CONFIG_VARIABLE in one.get("environment", {})]
    if not ours:
        raise SystemExit(f"{file} sets up no service of this kind: it calls no configure(), or the service runs elsewhere.")
    os.environ.update(ours[0])
    os.environ.setdefault("JUPYTERHUB_API_URL", _api_url(config.JupyterHub))


def _api_url(hub: Config) -> str:
    """Return where a hub with these settings has its API; what is not set has JupyterHub's defaults."""
    ip, port = hub.get("hub_connect_ip") or hub.get("hub_ip"), hub.get("hub_port", 8081)
    address = urlsplit(hub.get("hub_connect_url") or hub.get("hub_bind_url") or f"http://{bracketed(ip or '')}:{port}")
    base_url = str(hub.get("base_url") or urlsplit(hub.get("bind_url", "")).path).strip("/")
    host = bracketed(address.hostname or "127.0.0.1")
    return "/".join(part for part in (f"{address.scheme}://{host}:{address.port or 8081}", base_url, "hub/api") if part)


async def _found(name: str, attempt: Callable[[], Awaitable[None]]) -> Finding:
    try:
        await attempt()
    except BinderError as error:
        return Finding(name, redact(error.message))
    return Finding(name)


async def check(settings: BinderService) -> int:
    """Print what is found, a line for each thing; return the exit status: 1 if anything does not work."""
    status = 0
    async for finding in Checking(settings).findings():
        sys.stdout.write(f"{finding}\n")
        status = status or int(bool(finding.problem))
    return status
