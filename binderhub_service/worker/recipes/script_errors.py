"""Why a script of a repository cannot run, or has failed, where its text or its last words tell; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ...common.repo_environment import script_problem
from ...errors import BuildFailed

_NOT_FOUND = re.compile(r"(?P<program>[A-Za-z0-9._+-]{1,100}): (?:command )?not found[ \t\r]*$", re.MULTILINE)
# Programs of other modes' images.
_OF_OTHER_MODES = {
    "conda": "conda",
    "mamba": "conda",
    "sudo": "rights of an administrator",
    "apt": "packages of the system",
    "apt-get": "packages of the system",
}
# What bash, the kernel and env say of scripts that a script calls; a program that is missing in the first line of one is most often "bash\r".
_CALLED_WINDOWS = re.compile(
    r"(?<![\w./+-])(?P<script>[\w./+-]{1,200}): "
    r"(?:line \d{1,9}: [^\n]{0,500}\\r'|cannot execute: required file not found|[^\n:]{0,200}\^M: bad interpreter)"
)
_NOT_EXECUTABLE = re.compile(r": (?:line )?\d{1,9}: (?P<script>[\w.+-][\w./+-]{0,200}): Permission denied[ \t\r]*$", re.MULTILINE)
_USER_INSTALL = "Can not perform a '--user' install"
_WINDOWS_LINE = re.compile(rb"\r\n")


def check_scripts(scripts: Mapping[str, bytes]) -> None:
    """Raise `BuildFailed` if one of a repository's scripts cannot run on this system.

    Args:
        scripts: their contents, by path.
    """
    for path, content in scripts.items():
        if problem := script_problem(path, content):
            raise BuildFailed(problem[0], code="script_invalid", hint=problem[1])


def why_script_failed(script: bytes, tail: str) -> str:
    """Return why a script failed and what to do, as sentences; empty if nothing tells.

    Args:
        script: its content.
        tail: the end of what it printed.
    """
    if _WINDOWS_LINE.search(script):
        return "It has Windows line endings: save it with Unix line endings (LF)."
    if called := _CALLED_WINDOWS.search(tail):
        return f"The script {called['script']} that it calls has Windows line endings, or its first line a program that is not here."
    if called := _NOT_EXECUTABLE.search(tail):
        path = called["script"]
        return f"{path} is not executable: call it with bash, or mark it by git update-index --chmod=+x {path}."
    if _USER_INSTALL in tail:
        return "Leave --user out of pip install: in embedded mode, what pip installs is the image's own without it."
    missing = _NOT_FOUND.findall(tail)
    if not missing:
        return ""
    program = missing[-1]
    if program in _OF_OTHER_MODES:
        return (
            f"There is no {program} here: embedded mode has no {_OF_OTHER_MODES[program]}. Leave it out, or use a hub in docker or kubernetes mode."
        )
    return f"The program {program} is not here: have requirements.txt install it, or leave it out."
