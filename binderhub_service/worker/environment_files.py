"""What files that only repo2docker honours say about the rest of the tree; pure.

Every rule leans to the safe side: an environment that is said to depend on the tree is built with every commit, which is
slow; without such a step, it is built from the files that define it and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

_SEPARATORS = re.compile(r"[\s\"'\[\]{},]+")
_LOCAL_OPTION = re.compile(r"^(?:-[ercf]|--editable|--requirement|--constraint|--find-links)")
_URL = re.compile(r"^(?:[a-z]+\+)?https?://", re.IGNORECASE)
_COMMENT = re.compile(r"(^|\s)#.*$", re.MULTILINE)


def _never(text: str) -> str | None:
    return None


def _conda(text: str) -> str | None:
    """Find what a conda environment takes from the tree: local paths and files in its list of pip requirements."""
    for word in _SEPARATORS.split(_COMMENT.sub("", text)):
        if word.startswith((".", "/")) or "file:" in word or (_LOCAL_OPTION.match(word) and not _URL.match(word)):
            return f"names a local path ({word})"
    return None


def _pipenv(text: str) -> str | None:
    found = re.search(r"\b(?:path|file|editable)\b", _COMMENT.sub("", text))
    return f"may name a local package ({found[0]})" if found else None


def _julia_project(text: str) -> str | None:
    import tomllib  # few builds need it, and it takes 10 ms

    try:
        project = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError):
        return "cannot be understood"
    return "says that the repository itself is a package" if {"name", "uuid"} & set(project) else _julia_manifest(text)


def _julia_manifest(text: str) -> str | None:
    return "names a local package" if re.search(r"\bpath\s*=", text) else None


def _always(reason: str) -> Callable[[str], str | None]:
    return lambda text: reason


WHOLE_TREE: Mapping[str, str] = {
    "Dockerfile": "may copy any file",
    "default.nix": "may use any file",
}
"""Files that decide alone how the image is made, and why the image then depends on the whole tree."""

RULES: Mapping[str, Callable[[str], str | None]] = {
    "environment.yml": _conda,
    "environment.yaml": _conda,
    "apt.txt": _never,
    "install.R": lambda text: "may load files" if re.search(r"\b(?:source|install_local|renv|file\.path|readLines|readRDS|load)\b", text) else None,
    "DESCRIPTION": _always("installs the repository itself"),
    "Project.toml": _julia_project,
    "JuliaProject.toml": _julia_project,
    "Manifest.toml": _julia_manifest,
    "JuliaManifest.toml": _julia_manifest,
    "REQUIRE": _never,
    "Pipfile": _pipenv,
    "Pipfile.lock": _pipenv,
    "requirements3.txt": _conda,
    ".dockerignore": _always("decides which files are in the image"),
    ".containerignore": _always("decides which files are in the image"),
}
"""By file name, what says why an environment that it defines depends on the tree; None if it does not."""

REPO2DOCKER_FILES = frozenset(WHOLE_TREE) | frozenset(RULES) | {"runtime.txt"}
"""Everything that repo2docker honours and a uv environment does not, or not in full."""
