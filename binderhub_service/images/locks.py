"""Locks between processes of one machine."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(folder: Path, key: str, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Keep everybody else from making or removing what the key names meanwhile; the lock ends with the process.

    Args:
        folder: the directory of the lock's file.
        on_wait: called if somebody else has the lock; what it raises is raised here, instead of waiting.
    """
    descriptor = _taken(folder / f"{key}.lock", on_wait)
    try:
        yield
    finally:
        os.close(descriptor)


def remove_idle_locks(folder: Path) -> None:
    """Remove the files of locks that nobody has; who waits for one or takes it meanwhile finds that it is gone, and makes another."""
    for path in folder.glob("*.lock"):
        with contextlib.suppress(FileNotFoundError):
            descriptor = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_at(descriptor, path):
                    path.unlink()  # while it is held: nobody else has it, and the next holder looks whether it is there
            except BlockingIOError:
                pass
            finally:
                os.close(descriptor)


def _taken(path: Path, on_wait: Callable[[], None]) -> int:
    """Return the descriptor of a lock that is held, and whose file is the file that others find."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        with contextlib.ExitStack() as opened:
            opened.callback(os.close, descriptor)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_at(descriptor, path):
                opened.pop_all()
                return descriptor


def _is_at(descriptor: int, path: Path) -> bool:
    """Say whether a path leads to an open file."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
