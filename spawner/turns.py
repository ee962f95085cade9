"""Lets only as many servers start at a time as the machine can start; pure asyncio.

Many that start at once take the processors from each other, and all of them are ready at the end; one after the other, the first are ready soon,
and the last no later.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

# Who takes longer goes on, but the next may start: servers that hang must not keep others from it for long.
HELD_SECONDS = 30.0


class Turns:
    """Places for starts, given in the order in which they are asked for.

    Args:
        held_seconds: for how long a start keeps its place at most.
    """

    def __init__(self, held_seconds: float = HELD_SECONDS) -> None:
        self._held_seconds = held_seconds
        self._places: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()
        self._waiting = 0

    @asynccontextmanager
    async def turn(self, places: int, on_wait: Callable[[int], None]) -> AsyncIterator[None]:
        """Wait for a place, and keep it while the block runs.

        Args:
            places: how many there are; 0 for any number. What the first start says holds.
            on_wait: called with how many wait, this one included, if there is no place now.
        """
        if not places:
            yield
            return
        loop = asyncio.get_running_loop()
        free = self._places.setdefault(loop, asyncio.Semaphore(places))
        await self._take(free, on_wait)
        is_held = [True]

        def give_back() -> None:
            if is_held.pop():
                free.release()

        timer = loop.call_later(self._held_seconds, give_back)
        try:
            yield
        finally:
            timer.cancel()
            if is_held:
                give_back()

    async def _take(self, free: asyncio.Semaphore, on_wait: Callable[[int], None]) -> None:
        self._waiting += 1
        try:
            if free.locked():
                on_wait(self._waiting)
            await free.acquire()
        finally:
            self._waiting -= 1


TURNS = Turns()
"""Of all servers of this hub."""
