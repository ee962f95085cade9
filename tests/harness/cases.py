"""The repositories under `tests/repos`: one folder per case.

- ``<case>/files/``: exactly the files of the repository; ``@PYTHON@`` in them stands for this Python's ``major.minor``.
- ``<case>/verify.py``: run by the finished environment's own Python inside a working copy; any error means the case failed.
- ``<case>/expect.json``: what should come of it, see `Case`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.harness.repository import files_in

FOLDER = Path(__file__).parent.parent / "repos"


@dataclass(frozen=True)
class Case:
    """A repository and what should come of it.

    Attributes:
        refused: a piece of the error's message or hint with which its build must fail; None if it must succeed.
        log: a line that must be in the build's log; None if any log will do.
        start: the start script of the repository, relative to it; None if it has none.
    """

    name: str
    folder: Path
    refused: str | None = None
    log: str | None = None
    start: str | None = None
    lock: tuple[str, ...] = ()

    @property
    def verify(self) -> Path:
        """The script that looks at the result."""
        return self.folder / "verify.py"

    def files(self) -> dict[str, bytes]:
        """Return the repository's files; makes a uv.lock with the versions in `lock` if the case asks for one."""
        python = ".".join(map(str, sys.version_info[:2])).encode()
        files = {path: content.replace(b"@PYTHON@", python) for path, content in files_in(self.folder / "files").items()}
        if self.lock:
            files["uv.lock"] = _locked(files["pyproject.toml"], self.lock)
        return files


def load(name: str) -> Case:
    """Return the case in `tests/repos/<name>`."""
    expected: dict[str, Any] = json.loads((FOLDER / name / "expect.json").read_text())
    expected["lock"] = tuple(expected.get("lock", ()))
    return Case(name, FOLDER / name, **expected)


def names(*, refused: bool) -> list[str]:
    """Return the cases that must be refused, or those that must not."""
    every = sorted(path.parent.name for path in FOLDER.glob("*/expect.json"))
    return [name for name in every if (load(name).refused is not None) == refused]


def _locked(project: bytes, versions: tuple[str, ...]) -> bytes:
    """Return a uv.lock made on this machine: a lock names its package index, and that is each machine's own."""
    pins = [f"--upgrade-package={version}" for version in versions]
    with TemporaryDirectory() as folder:
        path = Path(folder)
        (path / "pyproject.toml").write_bytes(project)
        subprocess.run([sys.executable, "-m", "uv", "lock", "--quiet", *pins], cwd=path, check=True)
        return (path / "uv.lock").read_bytes()
