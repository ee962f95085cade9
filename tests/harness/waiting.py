"""Waiting for conditions, so that no test waits for the clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
# Times are what a machine needs that does nothing else; in a whole run many tests, pods and builds share it.
SHARED_BY = 3
# After this it will not come any more.
HANGS_SECONDS = 60 * SHARED_BY
# A look at a hub takes 20 ms of a processor, on both sides: what has been waited for for long is looked at less often, a tenth of that time late.
LONGEST_PAUSE_SECONDS = 0.5


def wait_for(condition: Callable[[], T], what: str, timeout_seconds: float = 60, every_seconds: float = 0.05) -> T:
    """Call `condition` until its answer is true and return that answer; fail saying `what` did not come in time, or in thrice that.

    Args:
        every_seconds: the pause between two looks, at first.
    """
    begun = time.monotonic()
    while not (answer := condition()):
        waited = time.monotonic() - begun
        if waited > timeout_seconds * SHARED_BY:
            raise TimeoutError(f"waited {timeout_seconds * SHARED_BY} s in vain for {what}")
        time.sleep(max(every_seconds, min(waited / 10, LONGEST_PAUSE_SECONDS)))
    return answer


async def until(condition: Callable[[], object], what: str) -> None:
    """Let the loop run until `condition()` is true; fail saying `what` did not come."""
    deadline, pause_seconds = time.monotonic() + HANGS_SECONDS, 0.005
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {HANGS_SECONDS} s in vain for {what}")
        await asyncio.sleep(pause_seconds)
        pause_seconds = min(1.5 * pause_seconds, 0.02)


def within() -> asyncio.Timeout:
    """Return a context that ends what hangs. Time that a test is about is measured by the test, not by this."""
    return asyncio.timeout(HANGS_SECONDS)


async def in_time(coming: Awaitable[T]) -> T:
    """Return what is awaited, unless it hangs."""
    async with within():
        return await coming
