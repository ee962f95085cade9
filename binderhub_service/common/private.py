"""Folders and files that are for one user of this machine alone."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

_FOLDER, _FILE, _TRAVERSED = 0o700, 0o600, 0o711
_MORE_THAN_TRAVERSE = 0o066
"""What others must not have on a folder. An operator may let them through (``0711``), to paths whose names they know."""


def private_folder(folder: Path) -> Path:
    """Return a folder that nobody else can list or write to; it is made, with its parents, if it is not there.

    A folder that is there and belongs to somebody else, or that all users share (``/tmp``), is left as it is.

    Raises:
        OSError: it cannot be made.
    """
    try:
        folder.mkdir(mode=_FOLDER, parents=True)
    except FileExistsError:
        keep_private([folder])
    return folder


def keep_private(paths: Iterable[Path]) -> None:
    """Take from others what they may do with folders and files of ours; what is not there or not ours is left alone."""
    for path in paths:
        try:
            found = path.lstat()
        except OSError:
            continue
        if found.st_uid != os.geteuid() or found.st_mode & stat.S_ISVTX:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_mode & _MORE_THAN_TRAVERSE:
            path.chmod(_FOLDER)
        elif stat.S_ISREG(found.st_mode) and found.st_mode & 0o077:
            path.chmod(found.st_mode & _FILE)


def let_through(folders: Iterable[Path]) -> None:
    """Let other users of this machine through folders of ours, which are made if they are not there; nobody else can list them or write to them.

    Raises:
        OSError: one cannot be made, or is not ours.
    """
    for folder in folders:
        private_folder(folder).chmod(_TRAVERSED)


def cookie_secret(state: Path) -> bytes:
    """Return the key that login cookies are signed with, made once, so that a restart signs nobody out."""
    path = state / "cookie_secret"
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()


def keep_secret(path: Path, text: str) -> Path | None:
    """Keep a text in a file that nobody else may read, and return the file; keep none, and return None, if there is no text."""
    path.unlink(missing_ok=True)
    if not text:
        return None
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text if text.endswith("\n") else f"{text}\n")
    return path
