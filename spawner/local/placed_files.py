"""Files of an image that are put into a person's folder, and follow newer images for as long as the person does not touch them.

A record, a file of JSON, has the size and the time of each as it was put there.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from binderhub_service.common.json_object import json_object

Record = dict[str, object]


def put_files(names: Iterable[str], source: Path, target: Path, record: Path) -> list[str]:
    """Put files of one folder into another; return the names of those that are new there or were replaced.

    What is there already is replaced only if it was put there and is untouched since.

    Args:
        names: the files' and links' paths in both folders.
        source, target: the image's folder, and the person's.
        record: where the record is kept.
    """
    known = read_record(record)
    placed = []
    for name in names:
        if _put(source / name, target / name, known.get(name)):
            known[name] = state_of(target / name)
            placed.append(name)
    if placed:
        write_record(record, known)
    return placed


def read_record(record: Path) -> Record:
    """Return a record; empty if there is none that can be read."""
    try:
        return json_object(record.read_bytes())
    except (OSError, ValueError):
        return {}


def write_record(record: Path, known: Record) -> None:
    """Write a record."""
    record.write_text(json.dumps(known), encoding="utf-8")


def state_of(path: Path) -> list[int]:
    """Return a file's size and time; nothing if there is none."""
    with contextlib.suppress(OSError):
        about = path.lstat()
        return [about.st_size, about.st_mtime_ns]
    return []


def _put(source: Path, target: Path, placed_as: object) -> bool:
    """Put one file in place unless the person has one of that name; say whether that was done."""
    if os.path.lexists(target):
        if state_of(target) != placed_as or state_of(source) == state_of(target) or (target.is_dir() and not target.is_symlink()):
            return False
        target.unlink()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):  # the person has a file where the image has a folder
        return False
    shutil.copy2(source, target, follow_symlinks=False)
    if not target.is_symlink():
        target.chmod(target.stat().st_mode | stat.S_IWUSR)
    return True
