"""Packages that uv has installed from Git repositories: their files of Git LFS are pointers, as uv fetches none unless it is told to.

It is not told to, since then one file that the server does not give any more would end a build that needs it for nothing.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from ...common.terminal import plain
from .lfs import counted, is_pointer

_SHOWN_CHARACTERS = 100


def notes_on_pointers(environment: Path) -> list[str]:
    """Return a sentence for each package from Git that has pointers of Git LFS in place of files."""
    found = ((package, sum(map(is_pointer, _files_of(package)))) for package in sorted(_packages_from_git(environment)))
    return [
        f"In the package {plain(package.name.partition('-')[0])[:_SHOWN_CHARACTERS]}, {counted(count)} of Git LFS, "
        "not what that stands for: it is not fetched for packages that are installed from Git."
        for package, count in found
        if count
    ]


def _packages_from_git(environment: Path) -> Iterator[Path]:
    """Yield the folders with the records of packages that came from Git, as the specification of direct_url.json tells it."""
    for origin in environment.glob("lib/python*/site-packages/*.dist-info/direct_url.json"):
        try:
            content = json.loads(origin.read_bytes())
        except ValueError:
            continue
        if isinstance(content, dict) and isinstance(content.get("vcs_info"), dict) and content["vcs_info"].get("vcs") == "git":
            yield origin.parent


def _files_of(package: Path) -> Iterator[Path]:
    """Yield the files that a package has recorded."""
    record = package / "RECORD"
    lines = record.read_text(encoding="utf-8", errors="replace").splitlines() if record.is_file() else []
    yield from (package.parent / row[0] for row in csv.reader(lines) if row)
