"""Which files define a repository's environment, and may it be shared between commits? Reads files, runs nothing.

Where files are looked for follows repo2docker: ``binder/``, else ``.binder/``, else the root; a configuration folder that
is there hides the root's files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Set
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from ..errors import BuildFailed
from . import files_elsewhere, local_paths, locked_versions, requirements_text, unread_files
from .definition import Definition
from .definition_files import DefinitionFiles, LeadsOut, normalised
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
# Where a repository has these alone, nothing is installed for it.
_NAME_NO_PACKAGES = frozenset({"start", "runtime.txt", ".python-version", ".dockerignore", ".containerignore"})
_OF_A_PROJECT = frozenset({"pyproject.toml", "uv.lock"})
_INCLUDE = re.compile(r"^(?:-r|--requirement|-c|--constraint)[\s=]*(?P<file>\S+)")
# How an environment.yml begins, and a list in it.
_OF_CONDA = re.compile(r"(?:(?:name|channels|dependencies|prefix|variables):(?:\s|$)|- \S)")
_SHOWN_CHARACTERS = 100
_CLAUSE = r"(?:(?:~=|===?|!=|[<>]=?)\s*)?\d+(?:\.(?:\d+|\*))*(?:(?:a|b|rc)\d+)?"
_REQUIRES_PYTHON = re.compile(rf"\s*{_CLAUSE}(?:\s*,\s*{_CLAUSE})*\s*(?:,\s*)?")
# A day may follow in a runtime.txt, which counts for R alone.
_PYTHON_VERSION = re.compile(r"^(?:c?python-)?(?P<version>\d+(?:\.\d+){0,2})(?:-\d{4}-\d\d-\d\d)?$")


def definition_in(root: Path, honoured: Set[str] = frozenset()) -> Definition:
    """Read the definition of the environment of the checkout at `root`.

    Args:
        honoured: names of files beyond those of a Python environment that the mode can honour.

    Raises:
        BuildFailed: a file cannot be honoured in this mode, cannot be understood, or leads out of the tree.
    """
    return _Reader(root, honoured).definition()


class _Reader:
    """Finds out what the definition's files say."""

    def __init__(self, root: Path, honoured: Set[str]) -> None:
        self._honoured = honoured
        self._files = DefinitionFiles(root)
        self._tied: list[str] = []
        self._rewritten: dict[str, str] = {}
        self._notes: list[str] = []
        self._early = False
        self._versions: tuple[str, ...] = ()
        self._all_of_lock = False

    def definition(self) -> Definition:
        folder = self._folder()
        self._refuse_what_needs_another_mode(folder)
        self._files.refuse_links_out(folder, self._honoured)
        for name, reason in WHOLE_TREE.items():
            path = self._files.path_if_file(folder, name)
            if path:
                self._files.take(path)
                return Definition(folder=folder, files=self._files.taken, tied_to_commit=f"{path} {reason}")
        self._read_what_others_honour(folder)
        requirements = self._files.path_if_file(folder, "requirements.txt")
        if requirements:
            self._read(requirements, partial(self._read_requirements, requirements, set()), None)
        project, locked, package, requires_python, indexes = self._read("pyproject.toml", partial(self._read_project, folder), _NO_PROJECT)
        pylock, locked_python = self._read_pylock(folder)
        post_build, start = self._files.path_if_file(folder, "postBuild"), self._files.path_if_file(folder, "start")
        if post_build:
            self._files.take(post_build)
            self._tied.append(f"{post_build} may use any file")
        if start:
            self._files.take(start)
        python = self._read("the Python version", partial(self._python_version, folder), None) or requires_python or locked_python
        self._note_what_is_not_read(folder, package=package)
        return Definition(
            folder=folder,
            files=self._files.taken,
            requirements=requirements,
            project=project,
            locked=locked,
            versions=self._versions,
            pylock=pylock,
            package=package,
            all_of_lock=self._all_of_lock,
            in_place=package and not self._files.path_if_file("", "pyproject.toml"),
            indexes=indexes,
            early=self._early,
            python=python,
            post_build=post_build,
            start=start,
            tied_to_commit="; ".join(self._tied) or None,
            rewritten=self._rewritten,
            notes=tuple(self._notes),
        )

    def _note_what_is_not_read(self, folder: str, *, package: bool) -> None:
        """Note files that have no effect; where another program decides what files mean, if there are no others."""
        root, read = self._files.root, self._read_names()
        more: set[str] = set()
        if self._honoured:
            more = files_elsewhere.unread_in(root / folder) - read
            read -= set() if package else _OF_A_PROJECT
        else:
            self._notes.extend(unread_files.notes(_names_of_files(root / folder), read))
            if folder:
                self._notes.extend(unread_files.notes_of_root(folder, _names_of_files(root), read))
        if not read - _NAME_NO_PACKAGES:
            self._notes.extend(files_elsewhere.note_of_files_elsewhere(root, folder, more))
        for other in sorted(root.iterdir()):
            if other.name.lower() in unread_files.FOLDERS and other.is_dir() and not other.is_symlink():
                self._notes.extend(unread_files.notes_of_folder(other.name, _names_of_files(other)))

    def _read_names(self) -> set[str]:
        return {PurePosixPath(path).name for path in self._files.taken}

    def _read(self, what: str, read: Callable[[], T], otherwise: T) -> T:
        """Return what `read` does. Where another program decides what files mean, an environment that cannot be read here belongs to its commit."""
        try:
            return read()
        except LeadsOut:
            raise
        except BuildFailed as error:
            if not self._honoured:
                raise
            self._tied.append(f"{what} cannot be read here ({error.message.rstrip('.')})")
            return otherwise

    def _folder(self) -> str:
        found = [name for name in _FOLDERS if (self._files.root / name).is_dir()]
        if len(found) > 1:
            raise BuildFailed(
                "The repository has both a binder and a .binder folder.", code="environment_ambiguous", hint="Keep one of the two folders."
            )
        return found[0] if found else ""

    def _refuse_what_needs_another_mode(self, folder: str) -> None:
        for name in _NOT_HERE:
            path = self._files.path_if_file(folder, name)
            if path and name not in self._honoured:
                raise BuildFailed(
                    f"The file {path} cannot be honoured in embedded mode, which makes Python environments only.",
                    code="environment_not_supported",
                    hint=f"Use a hub in one of the modes {_OTHER_MODES}, or describe the environment in a requirements.txt in a folder binder/.",
                )

    def _read_what_others_honour(self, folder: str) -> None:
        for name, rule in RULES.items():
            path = self._files.path_if_file(folder, name) if name in self._honoured else None
            reason = rule(self._files.text(path)) if path else None
            if reason:
                self._tied.append(f"{path} {reason}")

    def _read_requirements(self, path: str, seen: set[str]) -> None:
        if path in seen:
            return
        seen.add(path)
        here = PurePosixPath(path).parent
        text = self._files.text(path)
        of_conda = next(filter(_OF_CONDA.match, requirements_text.lines(text)), None)
        if of_conda:
            message = f"The line {of_conda[:_SHOWN_CHARACTERS]} of {path} is of an environment.yml, which is conda's."
            raise BuildFailed(message, code="environment_invalid", hint="Write the packages alone, one a line.")
        translation = requirements_text.for_uv(path, text)
        if translation.text.encode() != self._files.taken[path]:
            self._rewritten[path] = translation.text
        self._notes.extend(() if self._honoured else translation.notes)
        for line in requirements_text.lines(translation.text):
            self._early = self._early or line == "--pre"
            include = _INCLUDE.match(line)
            if include:
                if not local_paths.is_elsewhere(include["file"]):
                    self._read_requirements(normalised(here / include["file"]), seen)
            elif local_paths.in_requirement(line):
                self._tied.append(f"{path} names a local path ({line})")

    def _read_project(self, folder: str) -> _Project:
        """Return the path of pyproject.toml if its dependencies are wanted, whether it is locked, package or not, requires-python, indexes."""
        setup = self._files.path_if_file(folder, "setup.py") if not folder else None
        path = self._files.path_if_file(folder, "pyproject.toml")
        content = self._files.toml(path) if path else {}
        if path and (text := self._files.text(path)).encode() != self._files.taken[path]:
            self._rewritten[path] = text
        table = content.get("project")
        project = table if isinstance(table, dict) else {}
        lock = self._files.path_if_file(folder, "uv.lock") if project else None
        if lock and local_paths.in_lock(self._files.list_in(lock, self._files.toml(lock), "package")):
            self._tied.append(f"{lock} names local packages")
        local = local_paths.in_project(content) if project else None
        if local:
            self._tied.append(f"{path} names a local path ({local})")
        computed = "dependencies" in self._files.list_in(path, project, "dynamic")
        if folder and computed:
            self._tied.append(f"{path} has its dependencies computed, maybe from other files")
        package = bool(setup) or (not folder and ("build-system" in content or (bool(project) and computed)))
        if path and not lock and not self._honoured:
            self._read_versions(folder)
        why_none = _why_no_package(content, package=package or bool(project))
        if why_none:
            package = False
            self._all_of_lock = bool(self._versions)
            if not self._versions:
                self._notes.append(f"{path} {why_none}, so what it needs is not installed.")
        self._notes.extend(unread_files.unread_tables(path, content) if path and not self._honoured else ())
        if self._honoured and not package and project.get("dependencies"):
            self._notes.append(f"What {path} depends on is not installed: repo2docker does so for one in the root, with a build-system table.")
        if setup:
            self._files.take(setup)
        if package:
            self._tied.append(f"the repository itself is installed ({setup or path})")
        if path and not project and not package and not self._all_of_lock:
            self._files.taken.pop(path, None)  # settings of tools only
            self._rewritten.pop(path, None)
        return (path if project else None), bool(lock), package, self._requires_python(path, project), local_paths.indexes_of(content)

    def _read_versions(self, folder: str) -> None:
        """Note the versions of a lock file that uv does not read."""
        path = next(filter(None, (self._files.path_if_file(folder, name) for name in locked_versions.NAMES)), None)
        if path:
            self._files.take(path)
            self._versions = locked_versions.locked_versions(self._files.list_in(path, self._files.toml(path), "package"))

    def _read_pylock(self, folder: str) -> tuple[str | None, str | None]:
        """Return the path of pylock.toml and its requires-python, where this mode decides what files mean."""
        path = None if self._honoured else self._files.path_if_file(folder, "pylock.toml")
        if not path:
            return None, None
        self._files.take(path)
        content = self._files.toml(path)
        if local_paths.in_pylock(self._files.list_in(path, content, "packages")):
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

    def _python_version(self, folder: str) -> str | None:
        for name in ("runtime.txt", ".python-version"):
            path = self._files.path_if_file(folder, name)
            if not path:
                continue
            asked = next(requirements_text.lines(self._files.text(path)), "")
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


def _names_of_files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def _why_no_package(content: Mapping[str, Any], *, package: bool) -> str | None:
    """Return why what Poetry would install is not installed by the repository's own build; None if it is, or if Poetry has nothing to do with it.

    Args:
        package: whether there is a build system or a project.
    """
    tool = content.get("tool")
    poetry = tool.get("poetry") if isinstance(tool, dict) else None
    if not isinstance(poetry, dict):
        return None
    if poetry.get("package-mode") is False:
        return "says that this is no package (package-mode = false)"
    return "names packages for Poetry and no build system" if not package and poetry.get("dependencies") else None
