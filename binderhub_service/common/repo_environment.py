"""What scripts of a repository and its servers find in their environment, the same in a build and in a server.

The names are repo2docker's.
"""

from __future__ import annotations

import codecs
import os
import pwd
from pathlib import Path

IMAGE_HOME = "home"
"""The folder of a Python environment that is the home of its build; servers find in their own what it holds."""
_FIRST_LINE_BYTES = 256


def repo_variables(prefix: Path, repo_dir: Path, user: str) -> dict[str, str]:
    """Return the environment variables about a repository.

    Args:
        prefix: the Python environment's folder.
        repo_dir: the folder with the repository's content.
        user: the system user's name.
    """
    return {"REPO_DIR": str(repo_dir), "NB_PYTHON_PREFIX": str(prefix), "KERNEL_PYTHON_PREFIX": str(prefix), "NB_USER": user}


def system_user() -> str:
    """Return the name of the system's user that runs this process; the number where the system knows no name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def script_problem(name: str, content: bytes) -> tuple[str, str] | None:
    """Return why a script cannot run and what to do about it, each a sentence; None if nothing speaks against it.

    Args:
        name: how sentences name it.
        content: the script, or its beginning.
    """
    if b"\0" in content[:_FIRST_LINE_BYTES] and content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return f"The script {name} is saved as UTF-16, so it cannot run.", "Save it as UTF-8, without a byte order mark."
    first, _, _ = content[:_FIRST_LINE_BYTES].partition(b"\n")
    if first.endswith(b"\r"):
        return f"The script {name} has Windows line endings (from line 1 on), so it cannot run.", "Save it with Unix line endings (LF)."
    return None
