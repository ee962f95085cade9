"""Files that other tools read and embedded mode does not, and what it says about them; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from typing import Any

_NOTES = {
    "poetry.lock": "poetry.lock is not read: there is no pyproject.toml beside it, or another lock file counts",
    "pdm.lock": "pdm.lock is not read: there is no pyproject.toml beside it, or another lock file counts",
    "pixi.toml": "pixi.toml is not read: name its packages in requirements.txt",
    "uv.lock": "uv.lock is not read: there is no pyproject.toml with a project table beside it",
    "pixi.lock": "pixi.lock is not read",
    "conda-lock.yml": "conda-lock.yml is not read",
    "renv.lock": "renv.lock is not read: install R's packages in install.R, in docker and Kubernetes mode",
    "Manifest.toml": "Manifest.toml is not read: there is no Project.toml beside it",
    "JuliaManifest.toml": "JuliaManifest.toml is not read: there is no JuliaProject.toml beside it",
    "flake.nix": "flake.nix is not read: only default.nix is, in docker and Kubernetes mode",
    "shell.nix": "shell.nix is not read: only default.nix is, in docker and Kubernetes mode",
    "requirements.in": "requirements.in is not read: only requirements.txt is",
    "dev-requirements.txt": "dev-requirements.txt is not read: include it in requirements.txt if it is needed",
    "requirements-dev.txt": "requirements-dev.txt is not read: include it in requirements.txt if it is needed",
}
_PACKAGES = frozenset({"setup.py", "pyproject.toml"})
_READ_ELSEWHERE = frozenset({"environment.yaml"})
# By their names in small letters, since files of other spellings are not read by anything.
_NAMES = (
    "requirements.txt",
    "pyproject.toml",
    "setup.py",
    "runtime.txt",
    "postBuild",
    "start",
    "environment.yml",
    "apt.txt",
    "Dockerfile",
    "Pipfile",
    "install.R",
)
_SPELLINGS = (
    {name.lower(): name for name in _NAMES}
    | {f"{name.lower()}.txt": name for name in _NAMES}  # as editors on Windows save them
    | {f"postbuild{end}": "postBuild" for end in (".sh", ".bash", ".py")}
)
_OTHER_REQUIREMENTS = re.compile(r"(?:requirements?|reqs?)\d?(?:[-_.][A-Za-z0-9._-]{1,100})?\.txt|requirements?(?:\.in|\.pip)?")
_OTHER_ENVIRONMENTS = re.compile(r"(?:env|environment|enviroment|conda|conda[-_]env(?:ironment)?)(?:[-_.][A-Za-z0-9._-]{1,100})?\.ya?ml")
# A pyproject.toml, setup.py or Dockerfile in the root may be there for something else.
_MEANT_FOR_US = ("requirements.txt", "runtime.txt", "postBuild", "start", "environment.yml", "apt.txt", "install.R", "Project.toml", "Pipfile")
FOLDERS = frozenset({"binder", ".binder"})


def notes(names: Set[str], read: Set[str]) -> list[str]:
    """Return a sentence for every file that describes an environment and has no effect.

    Args:
        names: of the files that are there.
        read: names of files that have an effect.
    """
    found = [note for name, note in _NOTES.items() if name in names - read]
    for name in sorted(names - set(_NOTES) - read):
        usual = _usual(name)
        if usual == "environment.yml":
            found.append(f"{name} is not read: only environment.yml is, in docker and Kubernetes mode")
        elif usual not in names:
            found.append(f"{name} is not read: {usual} would be")
    if "setup.cfg" in names and not names & _PACKAGES:
        found.append("setup.cfg alone makes no package: a pyproject.toml or setup.py beside it would")
    return [f"The file {note}." for note in found]


def is_like_requirements(name: str) -> bool:
    """Say whether a file is called requirements.txt, or much like it."""
    return bool(_OTHER_REQUIREMENTS.fullmatch(name))


def is_like_environment_yml(name: str) -> bool:
    """Say whether a file is called environment.yml, or much like it."""
    return bool(_OTHER_ENVIRONMENTS.fullmatch(name))


def unread_names(names: Set[str]) -> set[str]:
    """Return those of a folder's files that other tools read, and those that are called much like files that are read."""
    return {name for name in names if name in _NOTES or _usual(name) != name}


def _usual(name: str) -> str:
    """Return what a file that is read is called, for a name much like it; any other name as it is."""
    if name in _READ_ELSEWHERE:
        return name
    if is_like_requirements(name):
        return "requirements.txt"
    return "environment.yml" if is_like_environment_yml(name) else _SPELLINGS.get(name.lower(), name)


def notes_of_root(folder: str, names: Set[str], read: Set[str]) -> list[str]:
    """Return a sentence for every file in the root that a folder hides.

    Args:
        folder: the folder that hides the root.
        names: of the files in the root.
        read: names of files that have an effect.
    """
    return [
        f"The file {name} in the root is not read: where there is a folder {folder}, only what is in it is."
        for name in _MEANT_FOR_US
        if name in names - read
    ]


def notes_of_folder(folder: str, names: Set[str]) -> list[str]:
    """Return a sentence for every file that would have an effect if the name of its folder, in the root, were in small letters.

    Args:
        folder: the folder's name.
        names: of the files in it.
    """
    usual = folder.lower()
    read = sorted(names & frozenset(_NAMES)) if usual in FOLDERS and folder not in FOLDERS else ()
    return [f"The file {folder}/{name} is not read: {usual}/{name} would be." for name in read]


def unread_tables(path: str, content: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every table of a pyproject.toml that names packages for a tool that is not used here."""
    tool = content.get("tool")
    tables = tool if isinstance(tool, Mapping) else {}
    groups = "dependency-groups" in content and "project" not in content and "build-system" not in content
    found = [name for name in ("pixi", "conda-lock") if isinstance(tables.get(name), Mapping) and tables[name].get("dependencies")]
    said = [f"The file {path} names packages for {name} (tool.{name}.dependencies), which are not installed." for name in found]
    return [*said, *([f"The file {path} names packages in dependency-groups only, which are not installed."] if groups else [])]
