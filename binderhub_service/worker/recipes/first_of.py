"""Which of several files describes the environment, where only one may."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

_FOLDERS = ("binder", ".binder")  # where repo2docker looks instead of in the root


def leave_out(content: Path, names: Sequence[str]) -> list[str]:
    """Remove from a checkout's root all files of some names but the first that is there; return a sentence for each that was removed.

    In a checkout with a folder ``binder`` nothing is removed: nothing in its root describes the environment.
    """
    if any((content / folder).is_dir() for folder in _FOLDERS):
        return []
    there = [name for name in names if (content / name).is_file()]
    for name in there[1:]:
        (content / name).unlink()
    return [f"The file {name} is left out: {there[0]} describes the environment." for name in there[1:]]
