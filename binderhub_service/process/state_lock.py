"""One service for each state: who has the lock may use the state directory and the database in it."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from ..errors import Unavailable


@contextmanager
def state_errors_converted(path: Path) -> Iterator[None]:
    """Convert the system's errors about a file or folder that the service needs to start.

    Raises:
        Unavailable: it cannot be read or written.
    """
    try:
        yield
    except OSError as error:
        hint = "Ask an administrator to look at it, and at the space on its disk."
        raise Unavailable(f"The service cannot use {path}: {error.strerror or error}.", code="service_starting", hint=hint) from error


class StateLock:
    """An advisory lock on a file (`flock`); the system gives it up when the process ends, however that comes.

    Args:
        path: the lock's file, made when it is missing. It stays: to remove it would let two hold it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    async def take(self) -> None:
        """Take the lock.

        Raises:
            Unavailable: another process has it, or the file cannot be made.
        """
        with state_errors_converted(self._path):
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            raise Unavailable(
                "Another service uses the same state; this one waits until it has ended.", code="service_starting", hint="Try again in a moment."
            ) from error
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another process have the lock."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


class HubProcess:
    """The process of the hub that started the service.

    Args:
        pid: its process id; 0 if something else than a hub started the service, which then never counts as gone.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        try:
            self._process = psutil.Process(pid) if pid else None
        except psutil.NoSuchProcess:
            self._process = None

    def is_gone(self) -> bool:
        """Say whether the hub has ended; another process that got its id since does not count for it."""
        if not self._pid:
            return False
        try:
            return self._process is None or not self._process.is_running() or self._process.status() == psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return True
