"""Prints what pip may install in an image of zero-to-jupyterhub's hub: ``python3 constraints.py constraints.txt > all.txt``.

What the image has stays in its version, because it was frozen and tested by others; what it lacks comes in the version that constraints.txt
names. A package of the image whose version is too old for this project is moved only if its line in constraints.txt says ``# moved``, and that is
told. If another one is too old, pip refuses.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import distributions
from pathlib import Path

from packaging.version import Version

_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?P<marker>[^#\n]*)(?P<moved># moved)?")


def same(name: str) -> str:
    """Return a package's name in the one spelling that tells packages apart."""
    return re.sub(r"[-_.]+", "-", name).lower()


def constraints(there: dict[str, str], text: str) -> tuple[list[str], list[str]]:
    """Return the lines for pip, and what is moved, in words.

    Args:
        there: versions of what the image has, by `same` name.
        text: constraints.txt.
    """
    lines, moves = [f"{name}=={version}" for name, version in there.items()], []
    for found in _LINE.finditer(text):
        name, version = same(found["name"]), found["version"]
        if name not in there:
            lines.append(f"{name}=={version}{found['marker']}".rstrip())
        elif found["moved"] and Version(there[name]) < Version(version):
            lines[lines.index(f"{name}=={there[name]}")] = f"{name}=={version}"
            moves.append(f"{name} is moved from {there[name]} to {version}.")
    return lines, moves


if __name__ == "__main__":
    in_image = {same(one.metadata["Name"]): one.version for one in distributions()}
    printed, told = constraints(in_image, Path(sys.argv[1]).read_text())
    sys.stdout.write("\n".join(printed) + "\n")
    sys.stderr.write("".join(f"{sentence}\n" for sentence in told))
