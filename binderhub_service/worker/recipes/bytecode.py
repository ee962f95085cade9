"""Bytecode that is there already: another environment's, of the very same source files.

uv links the files of packages from its cache, so two environments with a package have one file between them, and what Python made of it
for the one is what it would make for the other. Where uv copies files, because its cache is on another disk or a ``postBuild`` may write
to them, nothing is the same file, and nothing is taken over.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

_FOLDER = "__pycache__"


def take_over(environment: Path, others: Iterable[Path]) -> int:
    """Link the bytecode of other environments into one; return how many files that were.

    Args:
        environment: a Python environment in which nobody works yet.
        others: complete ones; what is left is taken of an environment that is removed meanwhile.
    """
    return sum(_take_over_from(other, environment) for other in others)


def _take_over_from(other: Path, environment: Path) -> int:
    taken = 0
    for folder, names in _bytecode_of(other / "lib"):
        sources = Path(folder).parent
        target = environment / sources.relative_to(other)
        for name in names:
            source = f"{name.partition('.')[0]}.py"
            with contextlib.suppress(OSError):  # one is not there, or the bytecode is there already
                if (sources / source).samefile(target / source):
                    (target / _FOLDER).mkdir(exist_ok=True)
                    (target / _FOLDER / name).hardlink_to(Path(folder, name))
                    taken += 1
    return taken


def _bytecode_of(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Yield the folders of bytecode and what is in each."""
    for path, _, names in os.walk(folder):
        if path.endswith(f"{os.sep}{_FOLDER}"):
            yield path, names
