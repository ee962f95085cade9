"""Places for servers: a launch takes one, is refused, or waits in a queue until one is free.

The hub alone knows which servers there are; it is asked at most once in `LOOK_SECONDS`, however many launches there are. A launch
that was let through and that the hub may not know of yet counts as well, so launches at the same moment cannot exceed a bound.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

from cachetools import TTLCache

from .launch_quota import HubServer, LaunchLimits, QuotaReached, WantedServer

LOOK_SECONDS = 1.0
# For how long a launch that was let through counts though the hub never told of its server.
_TAKEN_SECONDS = 60.0
_KNOWN_WAITS = 20
# How many servers that were let through are remembered, and for how long: a start lasts that long at most, since its build may.
_MOST_LET_THROUGH = 10_000
_LET_THROUGH_SECONDS = 3600.0

Look = Callable[[], Awaitable[Sequence[HubServer]]]


class LaunchPlaces:
    """Gives places to launches.

    Args:
        limits: how many servers there may be.
        look: returns the servers that run or start.
        wait_seconds: how long a launch that came by `wait` may wait for a place; 0 refuses it at once.
        look_seconds: for how long what the hub said is taken for true.
    """

    def __init__(self, limits: LaunchLimits, look: Look, *, wait_seconds: float = 0, look_seconds: float = LOOK_SECONDS) -> None:
        self.limits = limits
        self.waits = wait_seconds > 0
        self._look = look
        self._wait_seconds = wait_seconds
        self._look_seconds = look_seconds
        self._taken: dict[tuple[str, str], tuple[float, HubServer]] = {}
        self._announced: TTLCache[tuple[str, str], bool] = TTLCache(_MOST_LET_THROUGH, _TAKEN_SECONDS)
        self._let_through: TTLCache[tuple[str, str], bool] = TTLCache(_MOST_LET_THROUGH, _LET_THROUGH_SECONDS)
        self._queue: list[WantedServer] = []
        self._waited: deque[float] = deque(maxlen=_KNOWN_WAITS)
        self._looked = float("-inf")
        self._servers: Sequence[HubServer] = ()
        self._looking = asyncio.Lock()

    async def check(self, wanted: WantedServer) -> None:
        """Check that a place is free now, without taking it.

        Raises:
            QuotaReached: there is none.
            Unavailable: the hub did not say which servers there are.
        """
        if self.limits.bounds(wanted):
            await self._refresh()
            self._check(wanted)

    async def check_countable(self) -> None:
        """Raise `Unavailable` if the hub does not say which servers there are."""
        await self._look()

    async def take(self, wanted: WantedServer) -> None:
        """Take a place; a server that is there, or has a place, needs no other.

        Raises:
            QuotaReached: there is none, or others have been waiting for it longer.
            Unavailable: as `check`.
        """
        if self.limits.bounds(wanted):
            await self._refresh()
            self._check(wanted, before=self._queue)
        self._take(wanted)

    def was_announced(self, server: tuple[str, str]) -> bool:
        """Say, once, whether a server that the hub starts has its place already: by a launch a moment ago, which was counted then."""
        return bool(self._announced.pop(server, False))

    async def admit(self, wanted: WantedServer) -> None:
        """Take a place for a server that the hub has begun to start; of others that start, only those that were let through count.

        The bound of all servers together is not looked at: the hub has one for those that it starts.

        Raises:
            QuotaReached: there is none.
            Unavailable: as `check`.
        """
        if wanted.quota or wanted.personal:
            await self._refresh()
            others = [one for one in self._servers if one.key != wanted.server.key and (one.is_ready or one.key in self._let_through)]
            taken = [one for _, one in self._taken.values() if one.key != wanted.server.key]
            LaunchLimits().check(wanted.repo_url, wanted.quota, wanted.count([*others, *taken]), wanted.personal)
            self._taken[wanted.server.key] = (time.monotonic(), wanted.server)  # the hub may not have told of it yet
        self._let_through[wanted.server.key] = True

    def give_back(self, wanted: WantedServer) -> None:
        """Free the place of a launch that failed."""
        for places in (self._taken, self._announced, self._let_through):
            places.pop(wanted.server.key, None)

    async def wait(self, wanted: WantedServer) -> AsyncGenerator[tuple[int, int | None]]:
        """Wait for a place and take it; yield the place in the queue, 1 for the next, and the seconds it may take, whenever that changes.

        Raises:
            QuotaReached: none became free in time, or launches do not wait here.
            Unavailable: as `check`.
        """
        begun = time.monotonic()
        self._queue.append(wanted)
        position = 0
        try:
            while self.limits.bounds(wanted):
                await self._refresh()
                before = self._queue[: _index(self._queue, wanted)]
                try:
                    self._check(wanted, before=before)
                except QuotaReached:
                    if time.monotonic() - begun >= self._wait_seconds:
                        raise
                else:
                    break
                if position != len(before) + 1:
                    position = len(before) + 1
                    yield position, self._estimate(position)
                await asyncio.sleep(self._look_seconds)
            self._take(wanted)
            if position:
                self._waited.append((time.monotonic() - begun) / position)
        finally:
            del self._queue[_index(self._queue, wanted)]

    def _estimate(self, position: int) -> int | None:
        """Return how long a place in the queue may take, judged by the launches that waited before; None where none did."""
        return round(position * sum(self._waited) / len(self._waited)) if self._waited else None

    def _check(self, wanted: WantedServer, before: Sequence[WantedServer] = ()) -> None:
        """Raise `QuotaReached` unless a place is free for a launch behind those that wait `before` it and could use that place."""
        taken = [server for _, server in self._taken.values()]
        if any(server.key == wanted.server.key for server in [*self._servers, *taken]):
            return
        ahead: list[HubServer] = []
        for other in before:
            if self._fits(other, [*taken, *ahead]):
                ahead.append(other.server)
        self.limits.check(wanted.repo_url, wanted.quota, wanted.count([*self._servers, *taken, *ahead]), wanted.personal)

    def _fits(self, wanted: WantedServer, taken: Sequence[HubServer]) -> bool:
        try:
            self.limits.check(wanted.repo_url, wanted.quota, wanted.count([*self._servers, *taken]), wanted.personal)
        except QuotaReached:
            return False
        return True

    def _take(self, wanted: WantedServer) -> None:
        self._announced[wanted.server.key] = self._let_through[wanted.server.key] = True
        if self.limits.bounds(wanted):
            self._taken[wanted.server.key] = (time.monotonic(), wanted.server)

    async def _refresh(self) -> None:
        """Ask the hub, unless it was asked a moment ago; those who come meanwhile share the answer."""
        async with self._looking:
            if time.monotonic() - self._looked < self._look_seconds:
                return
            self._servers = await self._look()
            self._looked = time.monotonic()
        known, latest = {server.key for server in self._servers}, self._looked - _TAKEN_SECONDS
        self._taken = {key: taken for key, taken in self._taken.items() if key not in known and taken[0] > latest}


def _index(queue: Sequence[WantedServer], wanted: WantedServer) -> int:
    """Return where the very launch is: equal ones may wait at the same time."""
    return next(index for index, waiting in enumerate(queue) if waiting is wanted)
