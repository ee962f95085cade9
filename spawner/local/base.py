"""SimpleLocalProcessSpawner with what it lacks: starts that end when the server answers, or tell why it does not, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable
from typing import Any

from jupyterhub.spawner import SimpleLocalProcessSpawner

from ..readiness import StartTime, until_it_answers
from ..rejection import Rejection, server_ended

GROUP_END_SECONDS = 5.0


class LocalSpawner(SimpleLocalProcessSpawner):
    """Processes that are gone with all that they have started; people hear why one did not start."""

    proc: Any
    pid: int
    start_timeout: int
    http_timeout: int

    def start(self) -> Awaitable[tuple[str, int]]:
        """Start the process and return where its server answers.

        Raises:
            Rejection: it does not, with the reason.
        """
        return self._answering(super().start())

    def process_started(self) -> None:
        """Do what is to be done once the process runs, whether or not it will answer; nothing here."""

    def ended(self, status: int) -> Rejection:
        """Return why a server whose process ended with this status did not start."""
        return server_ended(status, "")

    async def _answering(self, started: Awaitable[tuple[str, int]]) -> tuple[str, int]:
        time = StartTime.from_now(self.start_timeout, self.http_timeout)
        ip, port = await started
        self.process_started()
        await until_it_answers(ip, port, self._look, time)
        return ip, port

    async def _look(self) -> None:
        status = self.proc.poll()
        if status is not None:
            await end_group(self.pid)  # the hub stops only what runs
            raise self.ended(status)

    async def stop(self, now: bool = False) -> None:
        """Stop the server, then whatever it leaves running: a start script's children, kernels in its process group."""
        group = self.pid
        await super().stop(now=now)
        if group > 1:
            await end_group(group)


async def end_group(group: int) -> None:
    """Ask the process group's processes to end; kill those that have not after a while."""
    if not _signal_group(group, signal.SIGTERM):
        return
    try:
        async with asyncio.timeout(GROUP_END_SECONDS):
            while _signal_group(group, 0):
                await asyncio.sleep(0.05)
    except TimeoutError:
        _signal_group(group, signal.SIGKILL)


def _signal_group(group: int, number: int) -> bool:
    """Send a signal to all processes of the group; say whether there was one."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True
