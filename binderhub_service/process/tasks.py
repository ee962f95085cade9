"""Long-lived tasks, watched: a task that has ended is known to the log, to the health page and to a metric."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from ..errors import BinderError, Unavailable

log = logging.getLogger("binderhub_service")


class Tasks:
    """The tasks that are to go on as long as the service does."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[None]] = {}
        self._ended: set[str] = set()

    @property
    def ended(self) -> list[str]:
        """The names of the tasks that have ended, which none should."""
        return sorted(self._ended)

    def start(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """Let a task run; its end, however it comes, is noted."""
        task = asyncio.create_task(work, name=name)
        self._running[name] = task
        task.add_done_callback(lambda done: self._note_end(name, done))

    def repeat(self, name: str, every_seconds: float, work: Callable[[], Awaitable[object]]) -> None:
        """Do some work now and then; an error is logged, and the work is done again at its next time."""
        self.start(name, _repeat(name, every_seconds, work))

    async def check(self) -> None:
        """Raise `Unavailable` if a task has ended."""
        if self._ended:
            raise Unavailable(
                f"A part of the service has ended: {', '.join(self.ended)}.",
                code="task_ended",
                hint="Ask an administrator to look at the service's log and to start it again.",
            )

    async def close(self) -> None:
        """End all tasks."""
        running, self._running = list(self._running.values()), {}
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)

    def _note_end(self, name: str, task: asyncio.Task[None]) -> None:
        if task.cancelled() and name not in self._running:
            return  # by `close`
        self._running.pop(name, None)
        self._ended.add(name)
        log.error("The task %r of the service has ended", name, exc_info=None if task.cancelled() else task.exception())


async def _repeat(name: str, every_seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    while True:
        await asyncio.sleep(every_seconds)
        try:
            await work()
        except BinderError as error:
            log.warning("The task %r was put off: %s", name, error.message)
        except Exception:
            log.exception("The task %r met an error that nobody expected; it goes on", name)
