"""The programs of this machine that the service cannot do without, and how old they may be."""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ..errors import Unavailable

# The first that reads GIT_CONFIG_GLOBAL (its release notes), by which builds do without anybody's own configuration.
_OLDEST_GIT = (2, 32)
# As the extra `embedded` says.
_OLDEST_UV = (0, 7)
_VERSION = re.compile(r"(\d{1,4})\.(\d{1,4})")
_ANSWER_SECONDS = 20


async def check_git() -> None:
    """Raise `Unavailable` unless there is a git that is new enough; the service goes on answering, also where git hangs."""
    await asyncio.to_thread(_check_version, "git", "git", _OLDEST_GIT)


def find_uv() -> str:
    """Return the uv program beside this Python, else the one on the path.

    Raises:
        Unavailable: there is none, or it is too old.
    """
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise Unavailable("Embedded mode needs uv; install it with: pip install 'binderspawner[embedded]'", code="service_starting")
    _check_version("uv", found, _OLDEST_UV)
    return found


def _check_version(name: str, program: str, oldest: tuple[int, int]) -> None:
    try:
        # A program of the operator's, by its name or its path.
        done = subprocess.run([program, "--version"], stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_SECONDS, check=False)  # noqa: S603
    except OSError as error:
        raise Unavailable(f"{name} cannot be run: {error.strerror or error}.", code="service_starting") from error
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{name} does not say its version within {_ANSWER_SECONDS} seconds.", code="service_starting") from error
    version = _VERSION.search(done.stdout.decode(errors="replace"))
    if version is None or tuple(map(int, version.groups())) < oldest:
        found = version.group() if version else "unknown"
        raise Unavailable(f"{name} {'.'.join(map(str, oldest))} or newer is needed; this one is {found}.", code="service_starting")
