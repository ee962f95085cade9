"""Everything that a build started, found by a mark in its environment, however it was forked or detached."""

from __future__ import annotations

import os
from collections.abc import Iterator

import psutil

MARK = "BINDER_BUILD_ID"
_GONE_SECONDS = 5.0


def end_all_of(build_id: str) -> None:
    """Kill every process that carries the build's mark, but not the one that calls; returns when they are gone."""
    while found := list(_marked(build_id)):
        for process in found:
            _kill(process)
        _, alive = psutil.wait_procs(found, timeout=_GONE_SECONDS)
        if alive:
            return


def end_children_of(pid: int) -> None:
    """Kill a process and everything below it."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        _kill(member)


def _marked(build_id: str) -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        if process.pid != os.getpid() and _mark_of(process) == build_id:
            yield process


def _mark_of(process: psutil.Process) -> str | None:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        mark: str | None = process.environ().get(MARK)
    except (psutil.Error, OSError):  # gone, or somebody else's
        return None
    return mark


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
