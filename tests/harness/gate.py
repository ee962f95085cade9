"""A gate in the middle of a build, so that tests can be sure that it is in the middle."""

from __future__ import annotations

from pathlib import Path

from tests.harness.waiting import wait_for

BEFORE = "standing at the gate"
AFTER = "went through the gate"


class Gate:
    """A postBuild script that waits until it is let through.

    Attributes:
        post_build: the script's text.
    """

    def __init__(self, folder: Path) -> None:
        self._reached = folder / "reached"
        self._open = folder / "open"
        self.post_build = f"#!/bin/sh\necho '{BEFORE}'\n: > '{self._reached}'\nwhile [ ! -e '{self._open}' ]; do sleep 0.05; done\necho '{AFTER}'\n"

    def wait_until_reached(self, timeout_seconds: float = 90) -> None:
        """Wait until a build stands at the gate."""
        wait_for(self._reached.exists, "a build at the gate", timeout_seconds)

    def open(self) -> None:
        """Let builds through, this one and all to come."""
        self._open.touch()
