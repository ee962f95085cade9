"""The repositories under `tests/repos`: one folder per case.

- ``<case>/files/``: the files of the repository; ``@PYTHON@`` in them stands for this Python's ``major.minor``.
- ``<case>/verify.py``: run by the finished environment's own Python inside a working copy; any error means the case failed.
- ``<case>/expect.json``: what should come of it, see `Case`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.harness.git_server import GitServer, Repository
from tests.harness.repository import Content, Link, Submodule, files_in

FOLDER = Path(__file__).parent.parent / "repos"


@dataclass(frozen=True)
class Case:
    """A repository and what should come of it.

    Attributes:
        refused: a piece of the error's message or hint with which its build must fail; None if it must succeed.
        log: what a line of the build's log must hold; None if any log will do.
        start: the start script of the repository, relative to it; None if it has none.
        lock: versions that a uv.lock is made with.
        pylock: what a pylock.toml is made of.
        more: files beside those in the folder, text by path: names and files that this project's own repository should not hold.
        submodule: where the submodule of the repository is; None if it has none.
        bare: whether it is built without a hub and without JupyterLab, because what it shows does not depend on them.
    """

    name: str
    folder: Path
    refused: str | None = None
    log: str | None = None
    start: str | None = None
    lock: tuple[str, ...] = ()
    pylock: str = ""
    more: Mapping[str, str] = field(default_factory=dict)
    submodule: str | None = None
    bare: bool = False

    @property
    def verify(self) -> Path:
        """The script that looks at the result."""
        return self.folder / "verify.py"

    def files(self) -> dict[str, Content]:
        """Return the repository's files; makes the lock files that the case asks for."""
        python = ".".join(map(str, sys.version_info[:2])).encode()
        files: dict[str, Content] = {
            path: content.replace(b"@PYTHON@", python) if isinstance(content, bytes) else content
            for path, content in files_in(self.folder / "files").items()
        }
        if self.lock:
            files["uv.lock"] = _locked((self.folder / "files" / "pyproject.toml").read_bytes(), self.lock)
        if self.pylock:
            files["pylock.toml"] = _uv("pip", "compile", "--quiet", "--format=pylock.toml", "-", stdin=self.pylock.encode())
        return {**files, **self.more}

    def write(self, folder: Path) -> None:
        """Write the repository's files into a folder; a submodule is an empty one."""
        if self.submodule:
            (folder / self.submodule).mkdir()
        for path, content in self.files().items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Link):
                (folder / path).symlink_to(content.target)
            elif isinstance(content, str | bytes):
                (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)

    def serve(self, server: GitServer, owner: str) -> Repository:
        """Return the repository on a server, with what it has as a submodule beside it; an empty one has no commit."""
        files = self.files()
        if self.submodule:
            part = server.create(f"{owner}/{self.name}-part", {"part.txt": "part"})
            files[self.submodule] = Submodule(part.rev("main"))
        return server.create(f"{owner}/{self.name}", files or None)


def load(name: str) -> Case:
    """Return the case in `tests/repos/<name>`."""
    expected: dict[str, Any] = json.loads((FOLDER / name / "expect.json").read_text())
    expected["lock"] = tuple(expected.get("lock", ()))
    return Case(name, FOLDER / name, **expected)


def every() -> list[str]:
    """Return all cases."""
    return sorted(path.parent.name for path in FOLDER.glob("*/expect.json"))


def names(*, refused: bool, bare: bool | None = None) -> list[str]:
    """Return the cases that must be refused, or those that must not; of those, the bare ones or the others, or all."""
    found = [case for case in map(load, every()) if (case.refused is not None) == refused]
    return [case.name for case in found if bare is None or case.bare == bare]


def _locked(project: bytes, versions: tuple[str, ...]) -> bytes:
    """Return a uv.lock made on this machine: a lock names its package index, and that is each machine's own."""
    pins = [f"--upgrade-package={version}" for version in versions]
    with TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "pyproject.toml").write_bytes(project)
        _uv("lock", "--quiet", *pins, folder=path)
        return (path / "uv.lock").read_bytes()


def _uv(*arguments: str, folder: Path | None = None, stdin: bytes = b"") -> bytes:
    return subprocess.run([sys.executable, "-m", "uv", *arguments], cwd=folder, input=stdin, stdout=subprocess.PIPE, check=True).stdout
