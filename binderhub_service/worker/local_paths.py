"""What in a definition of an environment leads to a path of a machine, be it the checkout or another folder; pure.

An environment may be shared only if everything that is installed into it is named by the definition's own files, or is fetched from
elsewhere. What is not certainly elsewhere counts as local: then the environment belongs to its commit, which is slow and never wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_ELSEWHERE = re.compile(r"(?:[a-z]+\+)?(?:https?|ssh|git)://", re.IGNORECASE)
_PATH_OPTION = re.compile(r"(?:-e|--editable|-f|--find-links|-i|--index-url|--extra-index-url)(?:[\s=]+|$)(?P<target>\S*)")
_ARCHIVE = re.compile(r"\.(?:whl|zip|tar|tar\.gz|tgz|tar\.bz2)$", re.IGNORECASE)
_NAMED = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\s*\[[^\]]*\])?\s*@\s*(?P<target>.*)", re.DOTALL)
_LOCAL_SOURCES = frozenset({"path", "editable", "directory", "workspace"})
_LOCATIONS = ("registry", "url", "git", "index")
_TABLES_OF_UV = ("sources", "index", "workspace")


def is_elsewhere(target: str) -> bool:
    """Say whether a target is an address on a network."""
    return bool(_ELSEWHERE.match(target))


def in_requirement(line: str) -> bool:
    """Say whether a line of a requirements file, without comment, names a path."""
    option = _PATH_OPTION.match(line)
    if option:
        return not is_elsewhere(option["target"])
    if line.startswith("-"):
        return False
    if is_elsewhere(line):
        return False
    named = _NAMED.match(line)
    if named:
        return not is_elsewhere(named["target"])
    first = line.split(";")[0].split()[0]
    return first.startswith((".", "/", "file:")) or "/" in first or "${" in first or bool(_ARCHIVE.search(first))


def in_project(content: Mapping[str, Any]) -> str | None:
    """Return what in a pyproject.toml leads to a path: a requirement, a source or an index; None if nothing does."""
    tool = _table(content, "tool")
    uv = _table(tool, "uv")
    for requirement in (*_texts(_requirements(content)), *_texts([uv.get(name) for name in uv if name not in _TABLES_OF_UV])):
        if requirement.strip() and in_requirement(requirement.strip()):
            return requirement
    if uv.get("workspace"):
        return "tool.uv.workspace"
    for name, source in _table(uv, "sources").items():
        if any(map(_is_local_source, source if isinstance(source, list) else [source])):
            return f"tool.uv.sources.{name}"
    if any(not is_elsewhere(str(index.get("url", ""))) for index in _indexes(content)):
        return "tool.uv.index"
    return None


def indexes_of(content: Mapping[str, Any]) -> tuple[tuple[str, bool], ...]:
    """Return the addresses of the indexes that a pyproject.toml adds for all packages, each with whether it is the default one."""
    return tuple((str(index["url"]), bool(index.get("default"))) for index in _indexes(content) if "url" in index and not index.get("explicit"))


def in_lock(packages: list[Any]) -> bool:
    """Say whether a package of a uv.lock comes from a path; the project itself, ``virtual = "."``, is none."""
    sources = [package.get("source", {}) for package in packages if isinstance(package, dict)]
    return any(_is_local_source(source) for source in sources if source != {"virtual": "."})


def in_pylock(packages: list[Any]) -> bool:
    """Say whether a package of a pylock.toml is, or may be, a file or a folder of the repository (PEP 751)."""
    return any(_has_path(package) for package in packages)


def _has_path(value: object) -> bool:
    if isinstance(value, Mapping):
        is_local = "path" in value or ("url" in value and not is_elsewhere(str(value["url"])))
        return is_local or any(map(_has_path, value.values()))
    return isinstance(value, list) and any(map(_has_path, value))


def _indexes(content: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    found = _table(_table(content, "tool"), "uv").get("index")
    return [index for index in found if isinstance(index, dict)] if isinstance(found, list) else []


def _is_local_source(source: object) -> bool:
    if not isinstance(source, dict):
        return True
    if _LOCAL_SOURCES & set(source) or "virtual" in source:
        return True
    # The name of an index is no address; the index itself is looked at.
    return any(name in source and name != "index" and not is_elsewhere(str(source[name])) for name in _LOCATIONS)


def _requirements(content: Mapping[str, Any]) -> list[Any]:
    project = _table(content, "project")
    return [project.get("dependencies"), project.get("optional-dependencies"), content.get("dependency-groups")]


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = content.get(name)
    return table if isinstance(table, dict) else {}


def _texts(value: object) -> Iterator[str]:
    """Yield all texts in a value of TOML, however deep."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _texts(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _texts(part)
