"""What repo2docker and the engines behind it say, made readable, and what their failures mean; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from ...errors import BinderError, Unavailable
from ..guards import disk_full
from .build_errors import KILLED, failed_instruction, invalid_dockerfile, no_base_image, not_built, out_of_memory

_FAILED = "failed"
_TRANSFER = re.compile(r"^#\d+ (?:sha256:[0-9a-f]+ [\d.]+[kMG]?B / |extracting sha256:[0-9a-f]+ [\d.]+s$)")
_INSTRUCTION = re.compile(
    r"executor failed running \[(?P<old>(?:(?!executor failed running \[).)*?)\]: exit code: (?P<old_status>\d+)"
    r"|process \"(?P<new>(?:(?!process \").)*?)\" did not complete successfully: (?:exit code: (?P<new_status>\d+)|(?P<why>[^\n]+))"
    r"|The command '(?P<classic>(?:(?!The command ').)*?)' returned a non-zero code: (?P<classic_status>\d+)"
)
_FAILED_STEP = re.compile(r"^ > \[[^\]\n]*\d/\d+\] (?P<step>.+?):?$", re.MULTILINE)
_ENGINE = re.compile(r"Cannot connect to the Docker daemon|error during connect|engine initialization|fetching server API version", re.IGNORECASE)
_TOOLS = re.compile(
    r"The (?P<what>\S+ commandline client|buildx plugin) must be installed"
    r"|^(?:docker: )?(?:unknown flag: --progress|'buildx' is not a docker command|unknown command: docker buildx)",
    re.MULTILINE,
)
_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
_MEMORY = re.compile(r"ResourceExhausted|cannot allocate memory|signal: killed|OOM", re.IGNORECASE)
_BASE = re.compile(
    r"^ > \[internal\] load metadata for (?P<buildkit>\S+?):?$|pull access denied for (?P<denied>[^\s,]+)|manifest for (?P<manifest>\S+) not found"
    r"|failed to resolve source metadata for (?P<source>\S+): |Get \"(?P<classic>https?://[^/\"]+/v2/)",
    re.MULTILINE,
)
_SYNTAX = re.compile(
    r"parse error (?:on )?line (?P<line>\d+): (?P<why>[^\n]+)|(?P<word>unknown instruction: \S+)"
    r"|(?P<empty>the Dockerfile \(.{0,300}\) cannot be empty|no build stage in current context|file with no instructions)"
    r"|(?P<other>failed to (?:read dockerfile|create LLB definition)[^\n]*)",
    re.IGNORECASE,
)


class Lines:
    """Makes an engine's output into lines for people.

    Attributes:
        failed: whether the output says so; a program's exit status does not always.
    """

    def __init__(self) -> None:
        self.failed = False
        self._last = ""

    def lines(self, raw: str) -> Sequence[str]:
        """Return what a line of output has to say: transfers and repetitions left out."""
        told = []
        for line in re.split(r"[\r\n]+", self._message(raw)):
            if line.strip() and line != self._last and not _TRANSFER.match(line):
                told.append(line)
                self._last = line
        return told

    def _message(self, raw: str) -> str:
        return raw


class Log(Lines):
    """Makes repo2docker's JSON log, with what the engine says in it, into lines for people."""

    def _message(self, raw: str) -> str:
        try:
            content = json.loads(raw)
        except ValueError:
            return raw
        if not isinstance(content, dict) or "message" not in content:
            return raw
        if content.get("phase") == _FAILED or content.get("exc_info"):
            self.failed = True
        return str(content["message"])


def error_from(tail: str, *, limited: bool) -> BinderError:
    """Return what the end of a failed build's log means.

    Args:
        limited: whether the build's memory was limited, so that a process that was killed had too little.
    """
    if _ENGINE.search(tail):
        return Unavailable("The container engine does not answer.", code="engine_unavailable", hint="Ask an administrator to start it.")
    tools = _TOOLS.search(tail)
    if tools:
        return Unavailable(
            f"The {tools['what'] or 'buildx plugin'} is missing.", code="engine_tools_missing", hint="Ask an administrator to install it."
        )
    if _NO_SPACE.search(tail):
        return disk_full()
    return _failed_step(tail, limited) or _failed_base(tail) or _failed_syntax(tail) or not_built(tail)


def _failed_step(tail: str, limited: bool) -> BinderError | None:
    step, found = _FAILED_STEP.search(tail), _INSTRUCTION.search(tail)
    if found is None and step is None:
        return None
    parts = found.groupdict() if found else {}
    status = next((parts[name] for name in ("old_status", "new_status", "classic_status") if parts.get(name)), "")
    if (status == KILLED and limited) or _MEMORY.search(parts.get("why") or ""):
        return out_of_memory()
    return failed_instruction(step["step"] if step else next(parts[name] for name in ("old", "new", "classic") if parts.get(name)), status, tail)


def _failed_base(tail: str) -> BinderError | None:
    found = _BASE.search(tail)
    return no_base_image(next(name for name in found.groups() if name)) if found else None


def _failed_syntax(tail: str) -> BinderError | None:
    found = _SYNTAX.search(tail)
    if found is None:
        return None
    return invalid_dockerfile(next(found[name] for name in ("why", "word", "empty", "other") if found[name]), found["line"] or "")
