"""A process that has imported what a build needs, and waits for one."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

from ..worker.main import clean_environment


class SpareProcess:
    """One process that the next build is given to; it takes one job, and ends by itself where none comes or the service is gone.

    Args:
        recipe: the module of `worker.recipes` that makes images.
    """

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        """Start the process, unless it is there."""
        if self._process is not None and self._process.poll() is None:
            return
        self.end()
        self._process = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", "binderhub_service.worker.main", "--wait", self._recipe],
            start_new_session=True,
            umask=0o077,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=clean_environment(os.environ),
        )

    def give(self, directory: Path) -> subprocess.Popen[bytes] | None:
        """Give a job's directory to the process, and return it; None if there is none, or it has ended."""
        process, self._process = self._process, None
        if process is None:
            return None
        try:
            _write(process, os.fsencode(directory) + b"\n")
        except BrokenPipeError:
            process.wait()
            return None
        return process

    def end(self) -> None:
        """End the process, which has nothing to do yet."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with contextlib.suppress(BrokenPipeError):
                _write(process, b"")
            process.wait()


def _write(process: subprocess.Popen[bytes], text: bytes) -> None:
    """Write all that a process will ever read."""
    if process.stdin is not None and not process.stdin.closed:
        with process.stdin as pipe:
            pipe.write(text)
