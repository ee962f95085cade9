"""Bytecode that is there already: another environment's, of the same source files.

uv links the files of packages from its cache, so two environments with a package have one file between them, and what Python made of it
for the one is what it would make for the other. Where uv copies files, because its cache is on another disk or a ``postBuild`` may write
to them, a file with the same content is given the same time, which Python compares, and a copy of the bytecode.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

_FOLDER = "__pycache__"


def take_over(environment: Path, others: Iterable[Path]) -> int:
    """Give one environment the bytecode of others, by links or by copies, as its files are; return how many files that were.

    Args:
        environment: a Python environment in which nobody works yet, and which may be written to.
        others: complete ones in which no script of a repository ran; what is left is taken of an environment that is removed meanwhile.
    """
    return sum(_take_over_from(other, environment) for other in others)


def _take_over_from(other: Path, environment: Path) -> int:
    taken = 0
    for folder in _folders_of_bytecode(other / "lib"):
        sources = Path(folder).parent
        target = environment / sources.relative_to(other)
        there = _names_in(target / _FOLDER)
        for name in _names_in(folder) - there:
            source = f"{name.partition('.')[0]}.py"
            with contextlib.suppress(OSError):  # a file is not there
                taken += _take_file(Path(folder, name), sources / source, target / source)
    return taken


def _names_in(folder: Path | str) -> set[str]:
    """Return what is in a folder; nothing if it is not there."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except OSError:
        return set()


def _take_file(bytecode: Path, source: Path, target: Path) -> bool:
    """Give `target`, which has none, the bytecode of `source` unless it is another file; raises `OSError` if one of them is not there."""
    made = target.with_name(_FOLDER) / bytecode.name
    theirs, ours = source.stat(), target.stat()
    if os.path.samestat(theirs, ours):
        made.parent.mkdir(exist_ok=True)
        made.hardlink_to(bytecode)
        return True
    # A file with other links may be in uv's cache, and its time is that of other bytecode.
    if ours.st_nlink > 1 or theirs.st_size != ours.st_size or source.read_bytes() != target.read_bytes():
        return False
    made.parent.mkdir(exist_ok=True)
    os.utime(target, ns=(theirs.st_mtime_ns, theirs.st_mtime_ns))
    aside = made.with_name(f"{made.name}.copy")  # half a file, where the disk is full, would be a module that cannot be imported
    shutil.copyfile(bytecode, aside)
    aside.rename(made)
    return True


def _folders_of_bytecode(folder: Path | str) -> Iterator[str]:
    """Yield the folders of bytecode; quicker than `os.walk`, which looks at each folder twice."""
    try:
        with os.scandir(folder) as entries:
            below = [entry for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # it is gone meanwhile
        return
    for entry in below:
        if entry.name == _FOLDER:
            yield entry.path
        else:
            yield from _folders_of_bytecode(entry.path)
