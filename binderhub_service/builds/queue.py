"""Who is next, and when: round robin between people, first come first served within one person; pure."""

from __future__ import annotations

import heapq
from collections import OrderedDict, deque
from collections.abc import Sequence


class Queue:
    """Waiting builds."""

    def __init__(self) -> None:
        self._by_owner: OrderedDict[str, deque[str]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._by_owner.values()))

    def __contains__(self, build_id: str) -> bool:
        return any(build_id in waiting for waiting in self._by_owner.values())

    def add(self, build_id: str, owner: str) -> None:
        """Put a build behind the owner's others; a new owner comes after those who wait already."""
        self._by_owner.setdefault(owner, deque()).append(build_id)

    def take(self) -> str | None:
        """Remove and return the next build, or None; its owner's others now wait behind everybody else's next."""
        if not self._by_owner:
            return None
        owner, waiting = self._by_owner.popitem(last=False)
        build_id = waiting.popleft()
        if waiting:
            self._by_owner[owner] = waiting
        return build_id

    def remove(self, build_id: str) -> None:
        """Remove a build wherever it waits; nothing happens if it does not."""
        for owner, waiting in list(self._by_owner.items()):
            if build_id in waiting:
                waiting.remove(build_id)
                if not waiting:
                    del self._by_owner[owner]
                return

    def in_order(self) -> list[str]:
        """Return the waiting builds, next one first."""
        rows = [list(waiting) for waiting in self._by_owner.values()]
        longest = max(map(len, rows), default=0)
        return [row[round_number] for round_number in range(longest) for row in rows if round_number < len(row)]


def waits_seconds(*, remaining: Sequence[float | None], durations: Sequence[float | None], places: int) -> list[int | None]:
    """Return how long each waiting build waits for its turn, in order; None from where on that cannot be known.

    Args:
        remaining: how long each running build will still take.
        durations: how long each waiting build will take once it runs.
        places: how many run at a time.
    """
    known = [seconds for seconds in remaining if seconds is not None]
    if len(known) < len(remaining):
        return [None] * len(durations)
    free_at = [*known, *[0.0] * (places - len(known))]
    heapq.heapify(free_at)
    waits: list[int | None] = []
    for duration in durations:
        begin = heapq.heappop(free_at)
        waits.append(round(begin))
        if duration is None:
            break
        heapq.heappush(free_at, begin + duration)
    return waits + [None] * (len(durations) - len(waits))
