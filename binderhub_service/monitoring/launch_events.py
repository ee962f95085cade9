"""Events for those who count launches and builds, by jupyter-events; without a handler in `EventLogger.handlers` they go nowhere.

Events of launches are BinderHub's (``event_schemas/launch.json``), so what reads those reads these: they carry the fields of
BinderHub's envelope beside those of jupyter-events, whose identifiers have to be URIs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ..models import Build, PreparedEnvironment, seconds_between

Emit = Callable[[str, Mapping[str, Any]], None]
LAUNCH_SCHEMA = "https://binderhub.jupyter.org/launch"
BUILD_SCHEMA = "urn:binderhub-service:build"
PREPARED_SCHEMA = "urn:binderhub-service:prepared"
_BINDERHUB_ENVELOPE = {"schema": "binderhub.jupyter.org/launch", "version": 6}


@dataclass(frozen=True)
class Launch:
    """A launch that ended.

    Attributes:
        provider: the provider's `event_name`.
        spec: the repository and the ref as asked for.
        ref: the commit.
        status: ``success`` or ``failure``; BinderHub tells of successes only.
        build_token: whether the request came with a valid build token.
        origin: the host of the service, as the operator or the request names it.
        request_origin: the request's ``Origin`` header, else its ``Sec-Fetch-Site`` header, else empty.
    """

    provider: str
    spec: str
    ref: str
    status: str = "success"
    build_token: bool = False
    origin: str = ""
    request_origin: str = ""


class Events:
    """Tells the operator's handlers of launches and builds.

    Args:
        emit: takes an event's schema and data; None if there is no handler.
    """

    def __init__(self, emit: Emit | None = None) -> None:
        self._emit = emit or ignore

    def note_launch(self, launch: Launch) -> None:
        """Tell of a launch that ended."""
        timestamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        self._emit(LAUNCH_SCHEMA, {"timestamp": timestamp, **_BINDERHUB_ENVELOPE, **asdict(launch)})

    def note_start(self, build: Build) -> None:
        """Tell nothing: a build is told of when it has ended."""

    def note_end(self, build: Build) -> None:
        """Tell of a build that ended."""
        started, finished = build.started or build.created, build.finished or build.created
        self._emit(
            BUILD_SCHEMA,
            {
                "build": build.id,
                "provider": build.source.provider,
                "repo": build.source.repo,
                "ref": build.source.ref,
                "commit": build.source.commit,
                "image": build.image.reference,
                "state": build.state.value,
                "error": build.error["code"] if build.error else None,
                "queued_seconds": seconds_between(build.created, started),
                "build_seconds": seconds_between(started, finished),
            },
        )

    def note_prepared(self, environment: PreparedEnvironment, action: str, who: str) -> None:
        """Tell what was done with a prepared environment.

        Args:
            action: ``set``, ``removed``, ``refreshed`` or ``failed``.
            who: the administrator; empty for the service itself.
        """
        told = {"name": environment.name, "repo": environment.repo, "ref": environment.ref, "commit": environment.commit}
        self._emit(PREPARED_SCHEMA, {**told, "action": action, "problem": environment.problem, "who": who})


def ignore(schema: str, event: Mapping[str, Any]) -> None:
    """Tell nobody."""
