"""A server that outlived its hub: its process is noted when it is started, and found again before another one is."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

import psutil

from binderhub_service.common.server_program import SINGLEUSER


def note(file: Path, pid: int) -> None:
    """Note in a file which process the server is; a process number alone could be another process's by then."""
    with suppress(psutil.Error):  # it has ended already
        text = json.dumps({"pid": pid, "created": psutil.Process(pid).create_time()})
        aside = file.with_name(f"{file.name}.new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(file)


def groups_in(working_copies: Path, uid: int) -> list[int]:
    """Return the process groups of an account's servers that work in a folder of copies, which nothing was noted about.

    What somebody else may write says nothing about what root may end; so only processes of the account itself are looked at.

    Args:
        working_copies: the folder.
        uid: the account.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if process.uids().real != uid or os.getpgid(process.pid) != process.pid or process.status() == psutil.STATUS_ZOMBIE:
                continue
            copy = Path(process.environ().get("JUPYTERHUB_ROOT_DIR", ""))
            if copy.parent == working_copies and any(Path(word).name == SINGLEUSER for word in process.cmdline()):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


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
