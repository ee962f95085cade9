"""uv's cache in the state directory, where environments are: files of it are linked into them instead of being copied."""

from __future__ import annotations

import os
from pathlib import Path

from .layout import UV_CACHE
from .trees import remove_tree


class UvCache:
    """What the cache takes, and its removal.

    A file that an environment has as well, as a hard link, takes nothing of its own, and stays the environment's when the cache goes.

    Args:
        root: the directory that holds ``environments`` and the cache.

    Attributes:
        bytes: what the cache alone took when it was measured last.
    """

    def __init__(self, root: Path) -> None:
        self._folder = root / UV_CACHE
        self._removed = root / f"{UV_CACHE}.removed"
        self.bytes = 0

    def measure(self) -> int:
        """Look at all files and return what the cache alone takes, in bytes; what is gone meanwhile takes nothing."""
        self.bytes = sum(_own_bytes(os.path.join(folder, name)) for folder, _, names in os.walk(self._folder) for name in names)  # noqa: PTH118  # many
        return self.bytes

    def set_aside(self) -> None:
        """Let who looks for it next find none, at once; for when nobody uses it."""
        if self._folder.is_dir() and not self._removed.exists():
            self._folder.rename(self._removed)
            self.bytes = 0

    def remove_set_aside(self) -> None:
        """Remove what was set aside."""
        remove_tree(self._removed)


def _own_bytes(path: str) -> int:
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return 0
    return found.st_blocks * 512 if found.st_nlink == 1 else 0
