"""How a build process reports its events, and runs commands whose output it reports."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import subprocess
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

from ..models import Kind, Phase
from .guards import Guard, disk_full
from .processes import end_children_of

_MAX_LINE_BYTES = 16 * 1024
_READ_BYTES = 64 * 1024
_TAIL_LINES = 50
_GUARD_SECONDS = 1.0
_POLL_SECONDS = 0.1
_SURVIVORS_SECONDS = 1.0


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit status and the end of its output."""

    status: int
    tail: str


class Reporter:
    """Writes reports for the service to read, each as it happens.

    Args:
        target: the file to append to.
        log_bytes: how much log the service keeps; 0 for all. Twice as much is written, since the service takes credentials
            out before it counts; what comes after is dropped, as the service has cut it by then.
    """

    def __init__(self, target: Path | FileIO, log_bytes: int = 0) -> None:
        self._file = target.open("ab", buffering=0) if isinstance(target, Path) else target
        self._left = 2 * log_bytes or float("inf")

    def phase(self, phase: Phase, message: str) -> None:
        """Tell that something new begins."""
        self._write([{"kind": Kind.PHASE, "data": {"phase": phase, "message": message}}])

    def made(self) -> None:
        """Tell that the image is where servers find it, before it is tried; what that shows is told by how the build ends."""
        self._write([{"kind": Kind.PHASE, "data": {"made": True, "message": "Looking whether a server starts from the image"}}])

    def log(self, *lines: str) -> None:
        """Tell lines of the log."""
        told = []
        for line in lines:
            if self._left < 0:
                break
            told.append({"kind": Kind.LOG, "data": {"text": line}})
            self._left -= len(json.dumps(told[-1]["data"]))
        self._write(told)

    def run(
        self,
        command: Sequence[str],
        *,
        cwd: Path,
        environment: Mapping[str, str],
        guard: Guard,
        translate: Callable[[str], Sequence[str]] | None = None,
        niceness: int = 0,
    ) -> Finished:
        """Run a command to its end, telling its output line by line; what it leaves running does not hold it up.

        Args:
            translate: makes of a line what people are to read, one line, several or none; without it, they read the line.
            niceness: how far others go before the command, in `nice`'s units.

        Raises:
            BuildFailed: the guard says so; the command is killed.
        """
        read, write = os.pipe()
        os.set_blocking(read, False)
        with os.fdopen(read, "rb", buffering=0) as output:
            process = subprocess.Popen(  # noqa: S603  # a list, no shell; recipes put what people typed behind options
                command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=write, stderr=write
            )
            os.close(write)
            if niceness:
                with contextlib.suppress(ProcessLookupError):  # it has ended
                    os.setpriority(os.PRIO_PROCESS, process.pid, niceness)
            try:
                tail = self._report_output(process, output.fileno(), guard, translate)
            finally:
                if process.poll() is None:
                    end_children_of(process.pid)
                    process.wait()
        return Finished(process.returncode, "\n".join(tail))

    def _report_output(
        self, process: subprocess.Popen[bytes], output: int, guard: Guard, translate: Callable[[str], Sequence[str]] | None
    ) -> Sequence[str]:
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        rest = b""
        closed = False
        next_check = 0.0
        last_read = float("inf")
        while True:
            if time.monotonic() >= next_check:
                guard.check()
                next_check = time.monotonic() + _GUARD_SECONDS
            ended = process.poll() is not None  # before reading: what it wrote is all there
            last_read = min(last_read, time.monotonic() + _SURVIVORS_SECONDS) if ended else last_read
            chunk = None if closed else _read(output, 0 if ended else _POLL_SECONDS)
            closed = closed or chunk == b""
            fresh = rest + (chunk or b"")
            if self._left < 0 and not translate:  # nobody reads it any more
                fresh = _last_lines(fresh)
            lines, rest = _split(fresh, last=closed or (ended and chunk is None))
            if translate:
                lines = [line for raw in lines for line in translate(raw)]
            self.log(*lines)
            tail.extend(lines)
            if ended and (not chunk or time.monotonic() > last_read):
                return tail
            if closed and not ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_POLL_SECONDS)

    def _write(self, told: Sequence[Mapping[str, Any]]) -> None:
        text = b"".join(json.dumps(report).encode() + b"\n" for report in told)
        try:
            if self._file.write(text) < len(text):
                raise disk_full()
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full() from error
            raise


def _read(descriptor: int, timeout_seconds: float) -> bytes | None:
    """Return what can be read: None if there is nothing yet, nothing if there will never be more."""
    select.select([descriptor], [], [], timeout_seconds)
    try:
        return os.read(descriptor, _READ_BYTES)
    except BlockingIOError:
        return None


def _last_lines(text: bytes) -> bytes:
    """Return as many lines of a text as the end of an output has, and what comes behind them."""
    return b"\n".join(text.rsplit(b"\n", _TAIL_LINES + 1)[-_TAIL_LINES - 1 :])


def _split(text: bytes, *, last: bool) -> tuple[list[str], bytes]:
    """Return the whole lines in `text` and what is left of it; lines that are too long are cut into several."""
    parts = text.split(b"\n")
    rest = parts.pop()
    if rest and (last or len(rest) >= _MAX_LINE_BYTES):
        parts.append(rest)
        rest = b""
    pieces = [part[at : at + _MAX_LINE_BYTES] for part in parts for at in range(0, max(1, len(part)), _MAX_LINE_BYTES)]
    return [piece.decode(errors="replace").rstrip("\r") for piece in pieces], rest
