"""Which files define a repository's environment, and may it be shared between commits? Reads files, runs nothing.

Where files are looked for follows repo2docker: ``binder/``, else ``.binder/``, else the root; a configuration folder that
is there hides the root's files.
"""

from __future__ import annotations

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ..errors import BuildFailed
from . import local_paths, requirements_text, unread_files
from .environment_files import RULES, WHOLE_TREE

T = TypeVar("T")
_Project = tuple[str | None, bool, bool, str | None, tuple[tuple[str, bool], ...]]
_NO_PROJECT: _Project = (None, False, False, None, ())
_FOLDERS = ("binder", ".binder")
_OTHER_MODES = "docker, kubernetes"
_NOT_HERE = (
    "Dockerfile",
    "environment.yml",
    "environment.yaml",
    "apt.txt",
    "install.R",
    "DESCRIPTION",
    "Project.toml",
    "JuliaProject.toml",
    "REQUIRE",
    "default.nix",
    "Pipfile",
    "Pipfile.lock",
)
_MAX_FILE_BYTES = 10 * 1024 * 1024
_INCLUDE = re.compile(r"^(?:-r|--requirement|-c|--constraint)[\s=]*(?P<file>\S+)")
_CLAUSE = r"(?:(?:~=|===?|!=|[<>]=?)\s*)?\d+(?:\.(?:\d+|\*))*(?:(?:a|b|rc)\d+)?"
_REQUIRES_PYTHON = re.compile(rf"\s*{_CLAUSE}(?:\s*,\s*{_CLAUSE})*\s*(?:,\s*)?")
_PYTHON_VERSION = re.compile(r"^(?:python-)?(?P<version>\d+(?:\.\d+){0,2})$")


@dataclass(frozen=True)
class Definition:
    """What a repository says about its environment.

    Attributes:
        folder: where the files are, relative to the root: ``""``, ``binder`` or ``.binder``.
        files: the contents of all files that define it, by path.
        requirements: path of requirements.txt, or None.
        project: path of a pyproject.toml whose dependencies are wanted, or None.
        locked: whether a uv.lock beside `project` pins them.
        pylock: path of pylock.toml (PEP 751), or None.
        package: whether the repository itself is installed as a package.
        in_place: whether its build may import what is installed, as with a setup.py alone: it then needs the requirements first.
        indexes: the package indexes that `project` adds, each with whether it takes the place of the usual one.
        early: whether alphas, betas and candidates are wanted of all that the requirements name, as pip's ``--pre`` says.
        python: the Python version asked for (``3.12``, ``>=3.11``), or None.
        post_build: path of the postBuild script, or None.
        start: path of the start script, or None.
        tied_to_commit: why the environment depends on more of the tree than `files`; None if it can be shared.
        rewritten: the text that uv reads instead of a file's own, by path: other encodings, and what only pip takes.
        notes: sentences about what the repository says and this mode does not honour.
    """

    folder: str = ""
    files: Mapping[str, bytes] = field(default_factory=dict)
    requirements: str | None = None
    project: str | None = None
    locked: bool = False
    pylock: str | None = None
    package: bool = False
    in_place: bool = False
    indexes: tuple[tuple[str, bool], ...] = ()
    early: bool = False
    python: str | None = None
    post_build: str | None = None
    start: str | None = None
    tied_to_commit: str | None = None
    rewritten: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def key(self, commit: str, settings: str) -> str:
        """Return the environment's key: equal for equal environments, whatever else the commits contain.

        Args:
            commit: the commit that the definition was read from; counts only if `tied_to_commit`.
            settings: everything else that shapes the environment (base packages, Python), as text.
        """
        parts = {
            "settings": settings,
            "files": {path: hashlib.sha256(content).hexdigest() for path, content in sorted(self.files.items())},
            "commit": commit if self.tied_to_commit else None,
        }
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def definition_in(root: Path, honoured: Set[str] = frozenset()) -> Definition:
    """Read the definition of the environment of the checkout at `root`.

    Args:
        honoured: names of files beyond those of a Python environment that the mode can honour.

    Raises:
        BuildFailed: a file cannot be honoured in this mode, cannot be understood, or leads out of the tree.
    """
    return _Reader(root, honoured).definition()


class _Reader:
    """Reads the definition's files from a checkout whose content is hostile: no link may lead out of it."""

    def __init__(self, root: Path, honoured: Set[str]) -> None:
        self._root = root.resolve()
        self._honoured = honoured
        self._files: dict[str, bytes] = {}
        self._tied: list[str] = []
        self._rewritten: dict[str, str] = {}
        self._notes: list[str] = []
        self._early = False

    def definition(self) -> Definition:
        folder = self._folder()
        self._refuse_what_needs_another_mode(folder)
        self._refuse_links_out(folder)
        for name, reason in WHOLE_TREE.items():
            path = self._path_if_file(folder, name)
            if path:
                self._take(path)
                return Definition(folder=folder, files=self._files, tied_to_commit=f"{path} {reason}")
        self._read_what_others_honour(folder)
        requirements = self._path_if_file(folder, "requirements.txt")
        if requirements:
            self._read(requirements, partial(self._read_requirements, requirements, set()), None)
        project, locked, package, requires_python, indexes = self._read("pyproject.toml", partial(self._read_project, folder), _NO_PROJECT)
        pylock, locked_python = self._read_pylock(folder)
        post_build, start = self._path_if_file(folder, "postBuild"), self._path_if_file(folder, "start")
        if post_build:
            self._take(post_build)
            self._tied.append(f"{post_build} may use any file")
        if start:
            self._take(start)
        python = self._read("the Python version", partial(self._python_version, folder), None) or requires_python or locked_python
        self._notes.extend(unread_files.notes({path.name for path in (self._root / folder).iterdir()}))
        return Definition(
            folder=folder,
            files=self._files,
            requirements=requirements,
            project=project,
            locked=locked,
            pylock=pylock,
            package=package,
            in_place=package and not self._path_if_file("", "pyproject.toml"),
            indexes=indexes,
            early=self._early,
            python=python,
            post_build=post_build,
            start=start,
            tied_to_commit="; ".join(self._tied) or None,
            rewritten=self._rewritten,
            notes=tuple(self._notes),
        )

    def _read(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        """Return what `read` does. Where another program decides what files mean, an environment that cannot be read here belongs to its commit."""
        try:
            return read()
        except _LeadsOut:
            raise
        except BuildFailed as error:
            if not self._honoured:
                raise
            self._tied.append(f"{what} cannot be read here ({error.message.rstrip('.')})")
            return otherwise

    def _folder(self) -> str:
        found = [name for name in _FOLDERS if (self._root / name).is_dir()]
        if len(found) > 1:
            raise BuildFailed(
                "The repository has both a binder and a .binder folder.", code="environment_ambiguous", hint="Keep one of the two folders."
            )
        return found[0] if found else ""

    def _refuse_what_needs_another_mode(self, folder: str) -> None:
        for name in _NOT_HERE:
            path = self._path_if_file(folder, name)
            if path and name not in self._honoured:
                raise BuildFailed(
                    f"The file {path} cannot be honoured in embedded mode, which makes Python environments only.",
                    code="environment_not_supported",
                    hint=f"Use a hub in one of the modes {_OTHER_MODES}, or describe the environment in a requirements.txt in a folder binder/.",
                )

    def _refuse_links_out(self, folder: str) -> None:
        """Refuse links that would make a program on this machine read a file of this machine."""
        for name in ("", *sorted(self._honoured)):
            path = self._root / folder / name
            if path.is_symlink() and not path.resolve().is_relative_to(self._root):
                raise _leads_out(str(PurePosixPath(folder) / name))

    def _read_what_others_honour(self, folder: str) -> None:
        for name, rule in RULES.items():
            path = self._path_if_file(folder, name) if name in self._honoured else None
            reason = rule(self._text(path)) if path else None
            if reason:
                self._tied.append(f"{path} {reason}")

    def _path_if_file(self, folder: str, name: str) -> str | None:
        path = str(PurePosixPath(folder) / name)
        return path if (self._root / path).is_file() else None

    def _take(self, path: str) -> bytes:
        """Return a file's content and note that it is part of the definition."""
        try:
            real = (self._root / path).resolve()
            there = real.is_file()
        except (OSError, RuntimeError, ValueError) as error:  # a link to itself, a name that is too long or holds a zero byte
            raise BuildFailed(f"The file {path!r} cannot be read.", code="environment_invalid", hint="Correct what names it.") from error
        if not real.is_relative_to(self._root):
            raise _leads_out(path)
        if not there:
            raise BuildFailed(f"The file {path} does not exist.", code="environment_invalid", hint="Add it, or remove what names it.")
        if real.stat().st_size > _MAX_FILE_BYTES:
            raise BuildFailed(f"The file {path} is larger than {_MAX_FILE_BYTES} bytes.", code="environment_invalid", hint="Make it smaller.")
        self._files[path] = real.read_bytes()
        return self._files[path]

    def _text(self, path: str) -> str:
        try:
            return requirements_text.decoded(self._take(path))
        except UnicodeDecodeError as error:
            raise BuildFailed(f"The file {path} is not UTF-8 text.", code="environment_invalid", hint="Save it as UTF-8.") from error

    def _read_requirements(self, path: str, seen: set[str]) -> None:
        if path in seen:
            return
        seen.add(path)
        here = PurePosixPath(path).parent
        translation = requirements_text.for_uv(path, self._text(path))
        if translation.text.encode() != self._files[path]:
            self._rewritten[path] = translation.text
        self._notes.extend(translation.notes)
        for line in requirements_text.lines(translation.text):
            self._early = self._early or line == "--pre"
            include = _INCLUDE.match(line)
            if include:
                if not local_paths.is_elsewhere(include["file"]):
                    self._read_requirements(_normalised(here / include["file"]), seen)
            elif local_paths.in_requirement(line):
                self._tied.append(f"{path} names a local path ({line})")

    def _read_project(self, folder: str) -> _Project:
        """Return the path of pyproject.toml if its dependencies are wanted, whether it is locked, package or not, requires-python, indexes."""
        setup = self._path_if_file(folder, "setup.py") if not folder else None
        path = self._path_if_file(folder, "pyproject.toml")
        content = self._toml(path) if path else {}
        table = content.get("project")
        project = table if isinstance(table, dict) else {}
        lock = self._path_if_file(folder, "uv.lock") if project else None
        if lock and local_paths.in_lock(self._list(lock, self._toml(lock), "package")):
            self._tied.append(f"{lock} names local packages")
        local = local_paths.in_project(content) if project else None
        if local:
            self._tied.append(f"{path} names a local path ({local})")
        computed = "dependencies" in self._list(path, project, "dynamic")
        if folder and computed:
            self._tied.append(f"{path} has its dependencies computed, maybe from other files")
        package = bool(setup) or (not folder and ("build-system" in content or (bool(project) and computed)))
        if package and _is_no_package(content):
            self._notes.append(f"{path} says that this is no package (package-mode = false), so what it needs is not installed.")
            package = False
        if setup:
            self._take(setup)
        if package:
            self._tied.append(f"the repository itself is installed ({setup or path})")
        if path and not project and not package:
            self._files.pop(path, None)  # settings of tools only
        return (path if project else None), bool(lock), package, self._requires_python(path, project), local_paths.indexes_of(content)

    def _read_pylock(self, folder: str) -> tuple[str | None, str | None]:
        """Return the path of pylock.toml and its requires-python, where this mode decides what files mean."""
        path = None if self._honoured else self._path_if_file(folder, "pylock.toml")
        if not path:
            return None, None
        self._take(path)
        content = self._toml(path)
        if local_paths.in_pylock(self._list(path, content, "packages")):
            self._tied.append(f"{path} names local packages")
        return path, self._requires_python(path, content)

    def _requires_python(self, path: str | None, project: Mapping[str, Any]) -> str | None:
        """Return what the project requires; the tool that it is given to would also take the path of a program for a Python."""
        required = project.get("requires-python")
        if not isinstance(required, str):
            return None
        if not _REQUIRES_PYTHON.fullmatch(required):
            if self._honoured:
                return None
            raise BuildFailed(
                f"In the file {path}, requires-python is {required!r}, which is no range of versions.",
                code="environment_invalid",
                hint='Write ">=3.11" or the like.',
            )
        return required

    def _list(self, path: str | None, table: Mapping[str, Any], name: str) -> list[Any]:
        value = table.get(name, [])
        if not isinstance(value, list):
            raise BuildFailed(f"In the file {path}, {name} is not a list.", code="environment_invalid", hint="Correct the file.")
        return value

    def _toml(self, path: str) -> dict[str, Any]:
        try:
            return tomllib.loads(self._text(path))
        except RecursionError as error:
            message = f"The file {path} is nested too deeply to be read."
            raise BuildFailed(message, code="environment_invalid", hint="Write it with fewer brackets in one another.") from error
        except tomllib.TOMLDecodeError as error:
            raise BuildFailed(f"The file {path} is not valid TOML: {error}.", code="environment_invalid", hint="Correct the file.") from error

    def _python_version(self, folder: str) -> str | None:
        for name in ("runtime.txt", ".python-version"):
            path = self._path_if_file(folder, name)
            if not path:
                continue
            asked = next(requirements_text.lines(self._text(path)), "")
            if not asked:
                continue
            match = _PYTHON_VERSION.match(asked)
            if not match and self._honoured:
                return None
            if not match and name == ".python-version":
                self._notes.append(f"The file {path} names {asked!r}, which is no version of Python, so it is not honoured.")
                continue
            if not match:
                raise BuildFailed(
                    f"The file {path} asks for {asked!r}, which is not a Python version that embedded mode can honour.",
                    code="environment_not_supported",
                    hint=f"Write python-3.12 or the like, or use a hub that runs in one of the modes {_OTHER_MODES}.",
                )
            return match["version"]
        return None


class _LeadsOut(BuildFailed):
    """A file of the repository is a link out of it."""


def _leads_out(path: str) -> BuildFailed:
    return _LeadsOut(f"The file {path} leads out of the repository.", code="environment_invalid", hint="Replace the link by a file.")


def _is_no_package(content: Mapping[str, Any]) -> bool:
    """Say whether Poetry is told that the repository is none."""
    tool = content.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    return isinstance(poetry, dict) and poetry.get("package-mode") is False


def _normalised(path: PurePosixPath) -> str:
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".":
            parts.append(part)
    return str(PurePosixPath(*parts))
