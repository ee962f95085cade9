"""A server that outlived its hub: its process is noted when it is started, and found again before another one is."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import psutil


def note(file: Path, pid: int) -> None:
    """Note in a file which process the server is; a process number alone could be another process's by then."""
    with suppress(psutil.Error):  # it has ended already
        text = json.dumps({"pid": pid, "created": psutil.Process(pid).create_time()})
        aside = file.with_name(f"{file.name}.new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(file)


def group_of(file: Path, working_copies: Path) -> int | None:
    """Return the process group of the server that was noted in a file, if it runs still; None if none does.

    Args:
        working_copies: the folder of the copies that the server may work in, as its environment says.
    """
    try:
        noted = json.loads(file.read_text(encoding="utf-8"))
        process = psutil.Process(int(noted["pid"]))
        copy = Path(process.environ().get("JUPYTERHUB_ROOT_DIR", ""))
        same = process.create_time() == noted["created"] and process.status() != psutil.STATUS_ZOMBIE
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return process.pid if same and copy.parent == working_copies and os.getpgid(process.pid) == process.pid else None
