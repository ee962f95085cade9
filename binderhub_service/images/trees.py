"""Directories that nobody is to write to once they are made: many servers run from one environment.

This keeps accidents away, not attackers: in embedded mode servers run as the user who owns the environments and may give themselves the
right back, and root needs none.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

_WRITE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def make_read_only(folder: Path) -> None:
    """Take the right to write from everything below a folder, and from itself; links are not followed."""
    _change_modes(folder, lambda mode: mode & ~_WRITE)


def make_writable(folder: Path) -> None:
    """Give the owner the right to write to everything below a folder, and to itself; links are not followed."""
    _change_modes(folder, lambda mode: mode | stat.S_IWUSR)


def remove_tree(folder: Path) -> None:
    """Remove a folder as far as that is possible, also a read-only folder; nothing happens if there is none."""
    with contextlib.suppress(OSError):
        _change_modes(folder, lambda mode: mode | stat.S_IRWXU, of_files=False)
    shutil.rmtree(folder, ignore_errors=True)


def _change_modes(folder: Path, change: Callable[[int], int], *, of_files: bool = True) -> None:
    """Change a folder's own mode before it is read, and then what is in it."""
    _change_mode(str(folder), change)
    for directory, folders, files in os.walk(folder):
        for name in (*folders, *(files if of_files else ())):
            _change_mode(os.path.join(directory, name), change)  # noqa: PTH118  # ten times as fast as Path, on big trees


def _change_mode(path: str, change: Callable[[int], int]) -> None:
    mode = os.lstat(path).st_mode
    if not stat.S_ISLNK(mode) and change(mode) != mode:
        os.chmod(path, stat.S_IMODE(change(mode)))  # noqa: PTH101  # as above
