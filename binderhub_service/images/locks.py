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
        on_wait: called if somebody else has the lock.
    """
    descriptor = os.open(folder / f"{key}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
