"""How a build process tells its story, and runs commands as part of it."""

from __future__ import annotations

import json
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..models import Kind, Phase

_MAX_LINE_BYTES = 16 * 1024
_TAIL_LINES = 50


@dataclass(frozen=True)
class Finished:
    """How a command ended: its exit status and the end of its output."""

    status: int
    tail: str


class Teller:
    """Writes reports for the service to read, each as it happens."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def phase(self, phase: Phase, message: str) -> None:
        """Tell that something new begins."""
        self._write(Kind.PHASE, {"phase": phase, "message": message})

    def log(self, text: str) -> None:
        """Tell a line of the log."""
        self._write(Kind.LOG, {"text": text})

    def _write(self, kind: Kind, data: Mapping[str, Any]) -> None:
        self._file.write(json.dumps({"kind": kind, "data": data}).encode() + b"\n")

    def run(self, command: Sequence[str], *, cwd: Path, environment: Mapping[str, str]) -> Finished:
        """Run a command to its end, telling its output line by line."""
        process = subprocess.Popen(
            command, cwd=cwd, env=dict(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdout is not None  # noqa: S101  # because stdout=PIPE
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        with process.stdout as output:
            while line := output.readline(_MAX_LINE_BYTES):
                text = line.decode(errors="replace").rstrip("\r\n")
                self.log(text)
                tail.append(text)
        return Finished(process.wait(), "\n".join(tail))
