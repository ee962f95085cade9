"""A database's calls: one after the other on a thread of their own, each within a time limit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from ..errors import Unavailable

_AGAIN_SECONDS = 0.5
T = TypeVar("T")


class Calls:
    """Runs calls in their order; a call that takes too long fails, and so does a call whose turn does not come in time.

    Args:
        cut: ends, from another thread, what the running call waits for; that call fails then.
    """

    def __init__(self, cut: Callable[[], None]) -> None:
        self._cut = cut
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="store")
        self._turn = threading.Lock()
        self._running: object = None

    async def run(self, work: Callable[[], T], limit_seconds: float) -> T:
        """Return what a call returns.

        Args:
            limit_seconds: how long it may wait and take together.

        Raises:
            Unavailable: its turn did not come in time; a call that was cut raises what `work` does then.
        """
        loop = asyncio.get_running_loop()
        future = self._thread.submit(lambda: self._take_turn(work))
        timer = loop.call_later(limit_seconds, self._end, work, future, loop)
        given_up = f"The service's database did not answer within {limit_seconds:g} seconds."
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise Unavailable(given_up, code="store_unavailable", hint="Try again in a moment; nothing was lost.") from None
        finally:
            if future.done():  # else the caller has gone and the call runs on, until its limit
                timer.cancel()

    def close(self) -> None:
        """Wait for the running call, and run no more."""
        self._thread.shutdown()

    def _take_turn(self, work: Callable[[], T]) -> T:
        self._running = work
        try:
            return work()
        finally:
            with self._turn:
                self._running = None

    def _end(self, work: Callable[[], Any], future: Future[Any], loop: asyncio.AbstractEventLoop) -> None:
        """Give a call up that waits, or cut it if it runs; again until it has ended: it may have been about to connect."""
        if future.done() or future.cancel():
            return
        with self._turn:  # never the next call
            if self._running is work:
                self._cut()
        loop.call_later(_AGAIN_SECONDS, self._end, work, future, loop)
