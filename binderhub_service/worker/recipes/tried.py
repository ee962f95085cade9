"""Which files an environment consists of: those of another environment, in which a server has been tried already?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from ...common import quick_imports

MARK_FILE = ".tried"
"""What an environment has in it in which a server was tried."""
# Scripts hold the environment's own path, the next says who asked for a package, and the record has no digest of itself.
_DIFFERS_ALWAYS = (b"../../../bin/", b"/REQUESTED,", b"/RECORD,,")
_NO_DIGEST = b",,"


def files_mark(environment: Path) -> str:
    """Return a digest that two environments share if they have one Python, the same files of packages, and servers that are started alike.

    Empty where a package has no record of its files, or one without their digests.

    Args:
        environment: it is made of packages alone.
    """
    try:
        return _mark_of(environment)
    except OSError:
        return ""


def _mark_of(environment: Path) -> str:
    digest = hashlib.sha256(Path(quick_imports.__file__).read_bytes() + (environment / "pyvenv.cfg").read_bytes())
    for package in sorted(environment.glob("lib/python*/site-packages/*.dist-info")):
        lines = [line for line in (package / "RECORD").read_bytes().splitlines() if not any(text in line for text in _DIFFERS_ALWAYS)]
        if any(line.endswith(_NO_DIGEST) for line in lines):
            return ""
        digest.update(f"\n{package.name}\n".encode() + b"\n".join(lines))
    return digest.hexdigest()


def note_tried(environment: Path, mark: str) -> None:
    """Note in an environment that a server starts in it."""
    (environment / MARK_FILE).write_text(mark, encoding="ascii")


def is_tried(mark: str, environments: Iterable[Path]) -> bool:
    """Say whether one of these environments has the same mark, and was tried."""
    return bool(mark) and any(_noted(environment) == mark for environment in environments)


def _noted(environment: Path) -> str:
    try:
        return (environment / MARK_FILE).read_text(encoding="ascii")
    except OSError:  # it was made by a script as well, or is gone meanwhile
        return ""
