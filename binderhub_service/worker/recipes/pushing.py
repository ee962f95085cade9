"""Images from and to registries, by the engine: progress in a few lines, failures by name."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ...clients.credentials import Credentials, Login
from ...clients.engine import Engine
from ...clients.reference import Reference
from ...errors import BinderError, BuildFailed, Unavailable
from ..guards import disk_full
from ..reporter import Reporter

_TOLD_SECONDS = 2.0
_MEGABYTE = 1_000_000
_LOGIN = re.compile(r"authentication required|no basic auth|incorrect username|unauthorized|failed to (?:get|fetch) .{0,300}token", re.IGNORECASE)
_DENIED = re.compile(r"denied|insufficient_scope|forbidden|403", re.IGNORECASE)
_UNREACHABLE = re.compile(
    r"connection refused|no such host|i/o timeout|TLS handshake|server gave HTTP response|connection reset|EOF|x509|50[0234]|Client\.Timeout",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)


def push(engine: Engine, name: str, credentials: Credentials, reporter: Reporter, meanwhile: Callable[[], None] = lambda: None) -> None:
    """Push an image.

    Args:
        meanwhile: called now and then; what it raises ends the push.

    Raises:
        BuildFailed: the registry does not take it.
        Unavailable: the registry or the engine could not be asked, or the login is wrong.
    """
    registry = Reference.parse(name).registry
    login = credentials.login_for(registry)
    reporter.log(f"Pushing {name}")
    problem = _follow(engine.push(name, login), reporter, meanwhile)
    if problem:
        raise push_error(problem, registry, login)
    reporter.log("Pushed.")


def pull(engine: Engine, name: str, credentials: Credentials, reporter: Reporter) -> bool:
    """Pull an image if a registry has it; say whether it is there now."""
    login = credentials.login_for(Reference.parse(name).registry)
    told = engine.pull(name, login)
    first = next(told, {})
    if first.get("error"):
        return False
    reporter.log(f"Pulling {name}")
    return not _follow(told, reporter, lambda: None)


def push_error(problem: str, registry: str, login: Login | None) -> BinderError:
    """Return what a registry's refusal means."""
    if _NO_SPACE.search(problem):
        return disk_full()
    if _LOGIN.search(problem) and "insufficient_scope" not in problem:
        return Unavailable(
            f"The registry {registry} refuses {'the login that it was given' if login else 'anybody without a login'}.",
            code="registry_login_failed",
            hint="Ask an administrator to correct the registry's credentials of this hub.",
        )
    if _DENIED.search(problem):
        return BuildFailed(
            f"The registry {registry} does not let this hub push the image.",
            code="push_denied",
            hint="Ask an administrator to allow the hub's registry user to push there, or to change the image prefix.",
        )
    if _UNREACHABLE.search(problem):
        return Unavailable(
            f"The registry {registry} could not be reached to push the image.",
            code="registry_unavailable",
            hint="Try again in a moment; if it stays so, ask an administrator to look at the registry.",
        )
    return BuildFailed(f"The image could not be pushed to {registry}.", code="push_failed", hint="The end of the log says why.")


def _follow(told: Iterator[Mapping[str, Any]], reporter: Reporter, meanwhile: Callable[[], None]) -> str:
    """Tell how far layers are, now and then; return the problem there was, or nothing."""
    layers: dict[str, tuple[int, int]] = {}
    next_line = time.monotonic() + _TOLD_SECONDS
    problem = ""
    for line in told:
        meanwhile()
        if line.get("error"):
            problem = str((line.get("errorDetail") or {}).get("message") or line["error"])
            reporter.log(*problem.splitlines())
        detail = line.get("progressDetail") or {}
        if line.get("id") and detail.get("total"):
            layers[line["id"]] = (int(detail.get("current", 0)), int(detail["total"]))
        if layers and time.monotonic() > next_line:
            next_line = time.monotonic() + _TOLD_SECONDS
            done, total = (sum(part[at] for part in layers.values()) for at in (0, 1))
            reporter.log(f"{min(done, total) / _MEGABYTE:.0f} of {total / _MEGABYTE:.0f} MB")
    return problem
