"""What a build has left in its home, put into a person's: kernels, configuration, data.

What the person wrote wins. A file that was put there and never changed follows the image; a record in the home says which those are.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
from pathlib import Path

from binderhub_service.common.json_object import json_object

RECORD = ".binder-home.json"
# What programs can make again.
_LEFT_OUT = frozenset({".cache"})


def put_into(home: Path, image_home: Path) -> int:
    """Put the files of an image's home into a person's home; return how many are new there or were replaced.

    Args:
        home: the person's home, which is made if it is missing.
        image_home: the image's; nothing happens if there is none.
    """
    if not image_home.is_dir():
        return 0
    home.mkdir(parents=True, exist_ok=True)
    record = _read(home)
    placed = 0
    for source in _files_in(image_home):
        name = str(source.relative_to(image_home))
        if _put(source, home / name, record.get(name)):
            record[name] = _state_of(home / name)
            placed += 1
    if placed:
        (home / RECORD).write_text(json.dumps(record), encoding="utf-8")
    return placed


def _files_in(image_home: Path) -> list[Path]:
    found: list[Path] = []
    for directory, folders, files in os.walk(image_home):
        if Path(directory) == image_home:
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
        links = [name for name in folders if Path(directory, name).is_symlink()]
        found.extend(path for name in (*files, *links) if (path := Path(directory, name)).is_symlink() or path.is_file())
    return found


def _put(source: Path, target: Path, placed_as: object) -> bool:
    """Put one file in place unless the person has one of that name; say whether that was done."""
    if os.path.lexists(target):
        if _state_of(target) != placed_as or _is_same(source, target):
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


def _is_same(source: Path, target: Path) -> bool:
    return _state_of(source) == _state_of(target)


def _state_of(path: Path) -> list[int]:
    with contextlib.suppress(OSError):
        about = path.lstat()
        return [about.st_size, about.st_mtime_ns]
    return []


def _read(home: Path) -> dict[str, object]:
    try:
        return json_object((home / RECORD).read_bytes())
    except (OSError, ValueError):
        return {}
