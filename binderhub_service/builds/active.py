"""Builds that wait or run: one record each, from the beginning to the stored end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..models import Build
from .event_log import EventLog


@dataclass(eq=False)
class ActiveBuild:
    """A build that waits or runs.

    Attributes:
        event_log: holds the build's record, and its events from now on.
        task: runs the build to its end, or ends it before its turn; None while it waits.
        has_place: whether it counts as running, from its start until its builder has forgotten it.
        is_ending: whether it was cancelled or gave up waiting; no request joins it.
        position: the place in the queue that was last told; 0 before that.
        queue_timer: ends the wait for a turn.
    """

    event_log: EventLog
    task: asyncio.Task[None] | None = None
    has_place: bool = False
    is_ending: bool = False
    position: int = 0
    queue_timer: asyncio.TimerHandle | None = None

    @property
    def build(self) -> Build:
        """The build's record as it is now."""
        return self.event_log.build

    async def wait(self) -> None:
        """Wait for the end of its task, if it has one."""
        if self.task:
            await asyncio.wait([self.task])

    def stop_queue_timer(self) -> None:
        """Let the build wait for its turn no longer; its timer would keep the event log in memory."""
        if self.queue_timer:
            self.queue_timer.cancel()
            self.queue_timer = None


class ActiveBuilds:
    """All builds that wait or run, by id."""

    def __init__(self) -> None:
        self._by_id: dict[str, ActiveBuild] = {}
        self._by_image: dict[str, ActiveBuild] = {}

    def add(self, active: ActiveBuild) -> None:
        """Add a build."""
        self._by_id[active.build.id] = self._by_image[active.build.image.name] = active

    def drop(self, active: ActiveBuild) -> None:
        """Forget a build whose end is stored; nothing happens if it is not there."""
        self._by_id.pop(active.build.id, None)
        if self._by_image.get(active.build.image.name) is active:
            del self._by_image[active.build.image.name]

    def get(self, build_id: str) -> ActiveBuild | None:
        """Return a build, or None if its end is stored or it is not known."""
        active = self._by_id.get(build_id)
        return None if active is None or active.event_log.over else active

    def waiting(self, build_id: str) -> ActiveBuild:
        """Return a build that is in the queue; raises `KeyError`."""
        return self._by_id[build_id]

    def making(self, image: str) -> ActiveBuild | None:
        """Return the build that makes an image, or None."""
        active = self._by_image.get(image)
        return None if active is None or active.event_log.over else active

    def unfinished(self) -> list[ActiveBuild]:
        """Return the builds whose end is not stored yet, oldest first."""
        return [active for active in self._by_id.values() if not active.event_log.over]

    def with_place(self) -> list[ActiveBuild]:
        """Return the builds that count as running."""
        return [active for active in self._by_id.values() if active.has_place]

    def tasks(self) -> list[asyncio.Task[None]]:
        """Return the tasks that run builds or end them."""
        return [active.task for active in self._by_id.values() if active.task]
