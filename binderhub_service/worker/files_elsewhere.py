"""Files that describe an environment and lie where nothing reads them; told where a repository would else be a plain JupyterLab without a word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Set
from itertools import islice
from pathlib import Path

from .unread_files import is_like_environment_yml, is_like_requirements, unread_names

_IN_ROOT = frozenset({".devcontainer.json", "docker-compose.yml", "docker-compose.yaml", "compose.yml", "compose.yaml", "Aptfile", "packages.txt"})
_IN_FOLDERS = frozenset(
    {"Dockerfile", "devcontainer.json", "pyproject.toml", "setup.py", "uv.lock", "pylock.toml", "Pipfile", "Pipfile.lock", "apt.txt", "postBuild"}
    | {"install.R", "renv.lock", "Project.toml", "default.nix", "flake.nix", "shell.nix", "pixi.toml"}
)
_HIDDEN_FOLDERS = frozenset({".devcontainer", ".docker"})
_NOT_LOOKED_INTO = frozenset({"binder", ".binder", "node_modules"})
_REQUIREMENTS_FOLDER = re.compile(r"requirements?|reqs?", re.IGNORECASE)
_PRINTED = re.compile(r"[\w.+ -]{1,100}")
_MOST_FOLDERS, _MOST_FILES, _MOST_NAMED = 200, 1000, 3


def note_of_files_elsewhere(root: Path, folder: str, more: Set[str]) -> list[str]:
    """Return a sentence about files that describe an environment and are not read; none if there are none.

    Args:
        root: the checkout.
        folder: where files are looked for, relative to it.
        more: names of other files that have no effect.
    """
    found = [*sorted(more | (_files_in(root) & _IN_ROOT)), *_in_folders(root, "")]
    if folder:
        found += _in_folders(root / folder, f"{folder}/")
    if not found:
        return []
    count = len(found) - _MOST_NAMED
    named = ", ".join(found[:_MOST_NAMED]) + (f" and {count} more" if count > 0 else "")
    included = next((path for path in found if path.endswith(".txt") and "/" in path and not path.endswith("/apt.txt")), "")
    example = f", e.g. a requirements.txt with the line -r {included}" if included and not folder else ""
    place = f"the folder {folder}" if folder else "the root or a folder binder/"
    verb = "is" if len(found) == 1 else "are"
    return [f"Nothing is installed: {named} {verb} not read; only requirements.txt and the like in {place} are{example}."]


def unread_in(folder: Path) -> set[str]:
    """Return the names of a folder's files that other tools read, and of those that are called much like files that are read."""
    return unread_names(_files_in(folder))


def _files_in(folder: Path) -> set[str]:
    return {path.name for path in islice(folder.iterdir(), _MOST_FILES) if path.is_file() and not path.is_symlink() and _PRINTED.fullmatch(path.name)}


def _in_folders(place: Path, shown: str) -> Iterator[str]:
    """Yield the files one folder below a place, by their paths as they are shown."""
    for inner in islice(sorted(place.iterdir()), _MOST_FOLDERS):
        name = inner.name
        hidden = name in _NOT_LOOKED_INTO or (name.startswith(".") and name not in _HIDDEN_FOLDERS) or not _PRINTED.fullmatch(name)
        if hidden or inner.is_symlink() or not inner.is_dir():
            continue
        of_requirements = _REQUIREMENTS_FOLDER.fullmatch(name)
        for file in sorted(_files_in(inner)):
            if file in _IN_FOLDERS or is_like_requirements(file) or is_like_environment_yml(file) or (of_requirements and file.endswith(".txt")):
                yield f"{shown}{name}/{file}"
