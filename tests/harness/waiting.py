"""Waiting for conditions, so that no test waits for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_for(condition: Callable[[], T], what: str, timeout_seconds: float = 60, every_seconds: float = 0.05) -> T:
    """Call `condition` until its answer is true and return that answer; fail saying `what` did not come in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout_seconds} s in vain for {what}")
        time.sleep(every_seconds)
    return answer
