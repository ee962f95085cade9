"""What buildah says, and what its failures mean; pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import BuildFailed
from ..guards import disk_full
from .build_errors import KILLED, failed_instruction, invalid_dockerfile, no_base_image, not_built, out_of_memory
from .repo2docker_log import Log

_NOISE = re.compile(
    r"^(?:Getting image source signatures|Storing signatures|Copying (?:blob|config) \S+|Writing manifest to image destination"
    r"|time=\S+ level=error msg=\"\+\(UNHANDLED LOGLEVEL\).*|\[Warning\] one or more build args were not consumed: .*"
    r"|--> [0-9a-f]{11,64}|[0-9a-f]{64}|subprocess exited with status \d+)$"
)
_INSIDES = re.compile(r" &imagebuilder\.Step\{.*$")
_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)
_SYNTAX = re.compile(
    r"(?P<word>[Uu]nknown instruction: \"[^\"]*\")|^Error: (?P<empty>no (?:contents in \"[^\"]*\"|FROM statement found))"
    r"|STEP \"[^\"]*\": (?P<lacks>[A-Z]+ requires [^\n]+)|^Error: (?P<stage>COPY --from=\S+: no stage or image found with that name)"
    r"|(?P<case>repository name must be lowercase)|(?P<parse>Dockerfile parse error[^\n]*|Syntax error[^\n]*)",
    re.MULTILINE,
)
_BASE = re.compile(
    r"^Error: creating build container: (?:initializing source docker://(?P<name>\S+?): |short-name (?:resolution|\"(?P<short>[^\"]+)\"))"
    r"|^Error: creating build container: .*?copying system image from manifest list: (?P<blob>[^\n]+)",
    re.MULTILINE,
)
_STEP = re.compile(
    r"building at STEP \"(?P<step>(?:(?!building at STEP \").)*)\": (?:while running runtime: )?exit status (?P<status>\d+)"
    r"|building at STEP \"(?P<other>(?:(?!building at STEP \").)*?)\": "
)
_KILLED_STEP = "subprocess exited on killed"
_ENDING = re.compile(r"subprocess exited with status \d+|Error: exit status \d+")
_NO_PROGRAM = "executable file not found"
_FOLDER = re.compile(r"\"/[^\s\"]*/([^/\"]+)\"")


class BuildahLog(Log):
    """Makes the log of repo2docker with buildah into lines for people."""

    def lines(self, raw: str) -> Sequence[str]:
        """Return what a line of output has to say: ids, transfers and repetitions left out."""
        return [_INSIDES.sub("", line) for line in super().lines(raw) if not _NOISE.match(line)]


def ended_without_a_word(output: str) -> bool:
    """Say whether ``buildah run`` said no more than that the command ended.

    Under load it ends at times before it has passed on what a program said, or why it could not be started, also with status 0 (seen with 1.28.2,
    --isolation=chroot, once in 40 times).
    """
    return not _ENDING.sub("", output).strip()


def shell_status(status: int, output: str) -> int:
    """Return the exit status of ``buildah run`` as a shell would tell it: it has 1 for programs that are not there."""
    return 127 if status and _NO_PROGRAM in output else status


def error_from(tail: str, *, limited: bool) -> BuildFailed:
    """Return what the end of a failed build's log means.

    Args:
        limited: whether the build's memory was limited, so that a process that was killed had too little.
    """
    if _NO_SPACE.search(tail):
        return disk_full()
    syntax = _SYNTAX.search(tail)
    if syntax:
        return invalid_dockerfile(_FOLDER.sub(r"\1", next(why for why in syntax.groups() if why)))
    base = _BASE.search(tail)
    if base:
        return no_base_image(next((name for name in base.groups() if name), "that FROM names"))
    step = _STEP.search(tail)
    if step is None:
        return not_built(tail)
    status = KILLED if _KILLED_STEP in tail else step["status"] or ""
    return out_of_memory() if status == KILLED and limited else failed_instruction(step["step"] or step["other"], status, tail)
