"""Everything that a build started, however it was forked or detached.

It is found in two ways: by a mark in its environment; and because the build process, on Linux, becomes the parent of what its
children leave behind, by descent. Only what has shed both, by ``env -i`` and the death of the build process, is not found.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Iterator, Sequence

import psutil

MARK = "BINDER_BUILD_ID"
_GONE_SECONDS = 5.0
_POLL_SECONDS = 0.01
_PR_SET_CHILD_SUBREAPER = 36


def end_all_of(build_id: str) -> None:
    """Kill every process that carries the build's mark, except this one; returns when they are gone."""
    while found := list(_marked(build_id)):
        if not _end(found):
            return


def adopt_orphans() -> None:
    """Become the parent of every process below this one whose own parent dies; where the system cannot, nothing happens."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def end_descendants_of(pid: int) -> None:
    """Kill everything below a process, but not the process itself; returns when all are gone."""
    while found := _living_below(pid):
        if not _end(found):
            return


def end_family_of(pid: int) -> None:
    """Kill a process and everything below it; the process is held first, so that it starts nothing meanwhile and keeps its orphans."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGSTOP)
        end_descendants_of(pid)
        os.kill(pid, signal.SIGKILL)


def end_children_of(pid: int) -> None:
    """Kill a process and everything below it."""
    try:
        process = psutil.Process(pid)
        family = [*process.children(recursive=True), process]
    except psutil.NoSuchProcess:
        return
    for member in family:
        _kill(member)


def _living_below(pid: int) -> list[psutil.Process]:
    try:
        return [process for process in psutil.Process(pid).children(recursive=True) if _is_living(process)]
    except psutil.NoSuchProcess:
        return []


def _is_living(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


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


def _end(processes: Sequence[psutil.Process]) -> bool:
    """Kill processes, and say whether they were gone in time; a process that only waits to be reaped is gone."""
    for process in processes:
        _kill(process)
    deadline = time.monotonic() + _GONE_SECONDS
    while any(map(_is_living, processes)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.NoSuchProcess:
        return
