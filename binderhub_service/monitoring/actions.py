"""What happens to builds, launches, images, copies and controls: who did what to what and how it ended, as an event and as one line of the log."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from enum import StrEnum

from ..models import Build
from .launch_events import Emit, ignore

log = logging.getLogger("binderhub_service")
ACTION_SCHEMA = "urn:binderhub-service:action"
SERVICE = "service:binder"  # whom it counts as, where nobody asked


class Action(StrEnum):
    """What somebody did."""

    BUILD_STARTED = "build-started"
    BUILD_ENDED = "build-ended"
    BUILD_REMOVED = "build-removed"
    LAUNCH = "launch"
    IMAGE_REMOVED = "image-removed"
    COPY_REMOVED = "copy-removed"
    CONTROL_SET = "control-set"
    CONTROL_REMOVED = "control-removed"


class Actions:
    """Tells the log and the operator's handlers what was done.

    Args:
        emit: takes an event's schema and data; by default there is no handler.
    """

    def __init__(self, emit: Emit = ignore) -> None:
        self._emit = emit

    def note(self, who: str, action: Action, about: str, result: str) -> None:
        """Tell of an action.

        Args:
            who: the person's name, or ``service:NAME``.
            about: the build, the repository, the image, the working copy or the control.
            result: how it ended, in a word or a sentence.
        """
        log.info("%s by %s: %s: %s", action.value, who, about, result)
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._emit(ACTION_SCHEMA, {"timestamp": timestamp, "who": who, "action": action.value, "about": about, "result": result})

    def note_start(self, build: Build) -> None:
        """Tell that a build's turn has come."""
        self.note(build.owner, Action.BUILD_STARTED, _named(build), build.source.commit)

    def note_end(self, build: Build) -> None:
        """Tell that a build has ended."""
        error = f" ({build.error['code']})" if build.error else ""
        self.note(build.owner, Action.BUILD_ENDED, _named(build), f"{build.state.value}{error}")

    def note_removed(self, image: str) -> None:
        """Tell that the service has removed an image that nobody asked for lately."""
        self.note(SERVICE, Action.IMAGE_REMOVED, image, "removed")

    def note_copy_removed(self, name: str) -> None:
        """Tell that the service has removed a working copy that nobody used for long."""
        self.note(SERVICE, Action.COPY_REMOVED, name, "removed")


def _named(build: Build) -> str:
    return f"{build.id} of {build.source.repo}"
