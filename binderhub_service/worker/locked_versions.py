"""The versions in lock files that uv does not read, as lines of a requirements file; pure.

Sources: the lock files of Poetry 1.5 to 2 and of PDM 2: both have a list ``package`` of tables with ``name`` and ``version``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

NAMES = ("poetry.lock", "pdm.lock")
"""The files, the first that is there counts."""

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,200}[A-Za-z0-9])?")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.!+_-]{0,100}")
_MARKER = re.compile(r"[A-Za-z0-9 _.,<>=!~()'\"*+-]{1,2000}")
_NOT_OF_AN_INDEX = frozenset({"git", "path", "url"})
_USUAL_GROUPS = frozenset({"main", "default"})


def locked_versions(packages: Iterable[Any]) -> tuple[str, ...]:
    """Return ``name==version`` for each package that comes from a package index, with its marker.

    Left out are packages of other groups than the usual one, and those with several versions of which no marker says which one counts.
    """
    found = [package for package in packages if isinstance(package, Mapping) and _is_wanted(package)]
    counted = Counter(str(package["name"]).lower() for package in found)
    return tuple(
        f"{package['name']}=={package['version']}{f' ; {marker}' if marker else ''}"
        for package in found
        if (marker := _marker(package)) or counted[str(package["name"]).lower()] == 1
    )


def _is_wanted(package: Mapping[str, Any]) -> bool:
    if not _matches(_NAME, package.get("name")) or not _matches(_VERSION, package.get("version")):
        return False
    source = package.get("source")
    elsewhere = isinstance(source, Mapping) and source.get("type", "legacy") != "legacy"
    groups = package.get("groups")
    usual = not isinstance(groups, list) or not _USUAL_GROUPS.isdisjoint(map(str, groups))
    return usual and not elsewhere and _NOT_OF_AN_INDEX.isdisjoint(package)


def _marker(package: Mapping[str, Any]) -> str:
    marker = package.get("markers", package.get("marker", ""))
    if isinstance(marker, Mapping):  # by group
        marker = marker.get("main", "")
    return str(marker) if _matches(_MARKER, marker) else ""


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and bool(pattern.fullmatch(value))
