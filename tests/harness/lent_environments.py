"""Environments that earlier hubs of a run made, for the builds of the next ones to take bytecode from.

A state directory of a test is new; each would have JupyterLab compiled and tried anew, which takes nine seconds of a processor. The processes that
run tests side by side lend to each other: a folder of the run, which an environment variable names, has a link for each state directory.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from binderhub_service.images.layout import MADE
from binderhub_service.worker.recipes.tried import MARK_FILE

_MOST = 2
_FOLDER = "BINDER_TEST_LENT"


def begin_lending() -> None:
    """Make the run's folder, unless this process is a worker of a run that has it; `end_lending` removes it."""
    if _FOLDER not in os.environ:
        os.environ[_FOLDER] = tempfile.mkdtemp(prefix="lent-")
        os.environ[f"{_FOLDER}_BY"] = str(os.getpid())


def end_lending() -> None:
    """Remove the run's folder, if this process made it."""
    if os.environ.get(f"{_FOLDER}_BY") == str(os.getpid()):
        shutil.rmtree(os.environ.pop(_FOLDER), ignore_errors=True)


def lend_environments(state: Path, service: Mapping[str, Any]) -> None:
    """Put links to environments of the run's first hubs, with a server that is known to start, into a state directory that nothing has used yet.

    Args:
        service: the settings of the service; hubs lend to those whose environments are of the same packages.
    """
    folder = state / "environments"
    if (folder.exists() and any(folder.iterdir())) or _FOLDER not in os.environ:
        return
    shared = Path(os.environ[_FOLDER], hashlib.sha256(json.dumps(service.get("EmbeddedMode", {}), sort_keys=True).encode()).hexdigest()[:16])
    shared.mkdir(exist_ok=True)
    marks = [mark for other in shared.iterdir() for mark in (other / "environments" / MADE).glob(f"*/{MARK_FILE}")]
    (shared / secrets.token_hex(8)).symlink_to(state)
    if not marks:
        return
    state.mkdir(mode=0o700, exist_ok=True)
    folder.mkdir(exist_ok=True)
    for number, mark in enumerate(sorted(marks, key=_written_at)[:_MOST]):  # the first has the bytecode of all that its packages may import
        (folder / f"lent-{number}").symlink_to(mark.parent.resolve())


def _written_at(mark: Path) -> float:
    """Return when a server was tried; never if the environment is gone."""
    with contextlib.suppress(FileNotFoundError):
        return mark.stat().st_mtime
    return math.inf
