"""What a build process may use of the machine, looked at while its commands run."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ..errors import BuildFailed
from .job import ProcessLimits

_MEGABYTE = 1024 * 1024


class Guard:
    """Watches the disk for one build.

    Args:
        root: a directory on the disk that has to keep some space.
        content: the checkout, if its size is to be watched.
    """

    def __init__(self, limits: ProcessLimits, root: Path, content: Path | None = None) -> None:
        self._limits = limits
        self._root = root
        self._content = content

    def check(self) -> None:
        """Raise `BuildFailed` if the build has used more than it may."""
        free = shutil.disk_usage(self._root).free
        if self._limits.free_bytes and free < self._limits.free_bytes:
            raise disk_full()
        if self._content and self._limits.content_bytes and size_of(self._content) > self._limits.content_bytes:
            raise BuildFailed(
                f"The repository is larger than the {self._limits.content_bytes // _MEGABYTE} MB that are allowed.",
                code="content_too_large",
                hint="Move large files out of the repository and download them in a postBuild script or a notebook.",
            )


def disk_full() -> BuildFailed:
    """Return the error of a build that finds no space."""
    return BuildFailed("The disk of the build machine is full.", code="disk_full", hint="Ask an administrator to make space, then ask again.")


def size_of(folder: Path) -> int:
    """Return how many bytes the files below a folder hold; what vanishes meanwhile does not count."""
    total = 0
    for directory, _, files in os.walk(folder):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size  # noqa: PTH118  # ten times as fast as Path, on big trees
            except FileNotFoundError:
                continue
    return total
