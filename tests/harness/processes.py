"""Which processes belong to a hub of the tests, and how they end."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from binderhub_service.worker.job import JobDirectory
from tests.harness.waiting import wait_for

GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


def processes_of(directory: Path) -> list[psutil.Process]:
    """Return the living processes that work in `directory`, or name it in their arguments or their environment.

    A hub of the tests keeps everything in a directory of its own, so these are its proxy, its service, its servers,
    their kernels and its builds, however detached they are.
    """
    return [process for process in psutil.process_iter() if process.pid != os.getpid() and _names(process, str(directory))]


def _names(process: psutil.Process, text: str) -> bool:
    with contextlib.suppress(*GONE):
        return process.status() != psutil.STATUS_ZOMBIE and any(
            text in words for words in (process.cwd(), *process.cmdline(), *process.environ().values())
        )
    return False


def describe(processes: Iterable[psutil.Process]) -> str:
    """Return one line per process, for a failing test's message."""
    lines = []
    for process in processes:
        with contextlib.suppress(*GONE):
            lines.append(f"{process.pid}: {' '.join(process.cmdline())}")
    return "\n".join(lines)


def end_builds(state: Path) -> None:
    """Kill the sessions of the detached builds below `state`; their leaders' ids are in ``builds/*/pid``."""
    for file in state.glob("builds/*/pid"):
        with contextlib.suppress(ProcessLookupError, ValueError, FileNotFoundError):
            if JobDirectory(file.parent).is_running():
                os.killpg(int(file.read_text().split()[0]), signal.SIGKILL)


def session_of(leader: int) -> list[int]:
    """Return the living processes in the session that process `leader` began."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(*GONE, ProcessLookupError):
            if process.status() != psutil.STATUS_ZOMBIE and os.getsid(process.pid) == leader:
                found.append(process.pid)
    return found


def assert_none_left(directory: Path, timeout_seconds: float = 15) -> None:
    """Fail, naming them, if processes of `directory` do not end by themselves in time; end them in any case."""
    try:
        wait_for(lambda: not processes_of(directory), "the end of all processes", timeout_seconds, every_seconds=0.2)
    except TimeoutError:
        event_log = describe(processes_of(directory))
        end_all(directory)
        raise AssertionError(f"processes were left behind:\n{event_log}") from None


def end_all(directory: Path) -> None:
    """Kill all processes of `directory`."""
    for process in processes_of(directory):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
