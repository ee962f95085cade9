"""Where an environment imports packages that are installed in editable mode from, as folders of the checkout.

A server imports them from the person's copy instead, so that what people edit there has an effect.
Sources: Python's `site` module for ``.pth`` files; setuptools' "Development Mode" for the finders beside them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_MAPPING = re.compile(r"^MAPPING(?:: [^=\n]{1,80})? = (?P<mapping>\{[^\n]*\})$", re.MULTILINE)


def import_roots(prefix: Path, content: Path) -> list[str]:
    """Return the folders of the checkout, relative to it, that the environment at `prefix` imports from."""
    found: set[str] = set()
    for packages in prefix.glob("lib/python*/site-packages"):
        for folder in (*_of_path_files(packages), *_of_finders(packages)):
            if folder.is_relative_to(content):
                found.add(str(folder.relative_to(content)))
    return sorted(found)


def _of_path_files(packages: Path) -> Iterator[Path]:
    for file in packages.glob("*.pth"):
        for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("/"):
                yield Path(line.rstrip())


def _of_finders(packages: Path) -> Iterator[Path]:
    for file in packages.glob("__editable___*_finder.py"):
        match = _MAPPING.search(file.read_text(encoding="utf-8", errors="replace"))
        for name, path in _mapping(match["mapping"] if match else "{}").items():
            yield Path(path).parents[name.count(".")]


def _mapping(text: str) -> dict[str, str]:
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return {}
    items = value.items() if isinstance(value, dict) else ()
    return {name: path for name, path in items if isinstance(name, str) and isinstance(path, str) and path.count("/") > name.count(".")}
