"""Waiting for conditions, so that no test waits for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
# Times are what a machine needs that does nothing else; in a whole run many tests, pods and builds share it.
SHARED_BY = 3


def wait_for(condition: Callable[[], T], what: str, timeout_seconds: float = 60, every_seconds: float = 0.05) -> T:
    """Call `condition` until its answer is true and return that answer; fail saying `what` did not come in time, or in thrice that."""
    deadline = time.monotonic() + timeout_seconds * SHARED_BY
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds * SHARED_BY} s in vain for {what}")
        time.sleep(every_seconds)
    return answer
