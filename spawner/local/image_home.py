"""What a build has left in its home, put into a person's: kernels, configuration, data; what the person wrote wins."""

from __future__ import annotations

import os
from pathlib import Path

from .placed_files import put_files

RECORD = ".binder-home.json"
# What programs can make again.
_LEFT_OUT = frozenset({".cache", ".npm"})


def put_into(home: Path, image_home: Path) -> int:
    """Put the files of an image's home into a person's home; return how many are new there or were replaced.

    Args:
        home: the person's home, which is made if it is missing.
        image_home: the image's; nothing happens if there is none.
    """
    if not image_home.is_dir():
        return 0
    home.mkdir(parents=True, exist_ok=True)
    return len(put_files(_files_in(image_home), image_home, home, home / RECORD))


def _files_in(image_home: Path) -> list[str]:
    found: list[Path] = []
    for directory, folders, files in os.walk(image_home):
        if Path(directory) == image_home:
            folders[:] = [name for name in folders if name not in _LEFT_OUT]
        links = [name for name in folders if Path(directory, name).is_symlink()]
        found.extend(path for name in (*files, *links) if (path := Path(directory, name)).is_symlink() or path.is_file())
    return [str(path.relative_to(image_home)) for path in found]
