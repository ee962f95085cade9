"""The live end of a build's event log: numbers events, stores them in batches, and hands them to any number of followers."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from ..errors import BinderError, Unavailable
from ..models import Batch, Build, Event, Kind, Phase, iso, now, seconds_between
from ..store.store import Store

log = logging.getLogger("binderhub_service")
_BATCH_SECONDS = 0.05
_FIRST_RETRY_SECONDS = 0.1
_LAST_RETRY_SECONDS = 5.0
_MAX_WAITING_EVENTS = 1000
_MAX_WAITING_BYTES = 1024 * 1024
_KEPT_BYTES = 4 * 1024 * 1024  # of the newest events; who is further behind reads from the store
_PAGE_EVENTS = 500
_ORDER = list(Phase)
_MESSAGES = {
    Phase.QUEUED: "Waiting for a free place",
    Phase.FETCHING: "Fetching the repository",
    Phase.BUILDING: "Building",
    Phase.PUSHING: "Pushing the image",
    Phase.DONE: "Done",
}


class EventLog:
    """One build's event log while the build is going on.

    An event is seen by followers only once it is stored, so a number never means two things, whatever is killed.

    Args:
        build: the build as it is stored.
        cursor: the cursor of the builder's last stored report.
        log_bytes: how much log is stored already, as JSON.

    Attributes:
        typical_seconds: how long such builds took before, if that is known.
        resumed: whether it was running already when the service started.
        is_made: whether servers can be started from the image, as far as this service was told.
        unstored: why lines of the log were lost that could not be stored; the build is to end then.
        followers: how many follow now.
    """

    def __init__(self, store: Store, build: Build, cursor: str = "", log_bytes: int = 0) -> None:
        self.build = build
        self._store = store
        self._cursor = cursor
        self._waiting: list[Event] = []
        self._waiting_bytes = 0
        self._recent: list[Event] = []
        self._recent_bytes = 0
        self._over = False
        self._shared = Batch()
        self._changed = asyncio.Event()
        self._writing = asyncio.Lock()
        self._last_number = build.last_event
        self._flushing: asyncio.Task[None] | None = None
        self._log_bytes = log_bytes
        self.resumed = False
        self.is_made = False
        self.unstored: BinderError | None = None
        self.typical_seconds: float | None = None
        self.followers = 0

    @property
    def over(self) -> bool:
        """Whether the end of the build is stored."""
        return self._over

    @property
    def cursor(self) -> str:
        """The cursor of the builder's last report."""
        return self._cursor

    def running_seconds(self) -> float:
        """Return for how long the build has been running; 0 before it does, and while the clock is behind its start."""
        return seconds_between(self.build.started, now()) if self.build.started else 0.0

    def remaining_seconds(self) -> float | None:
        """Return how long the build will still run, judged by the past; None if that is not known."""
        return None if self.typical_seconds is None else max(0.0, self.typical_seconds - self.running_seconds())

    def append_log(self, text: str, *, cursor: str | None = None, limit_bytes: int = 0) -> None:
        """Add a line of the log; beyond the limit, say once that it is cut.

        What counts is what is stored, as JSON. A log that was cut is stored up to its limit at least, so that it stays
        cut after a restart.
        """
        data = json.dumps({"text": text})
        left = limit_bytes - self._log_bytes
        self._log_bytes += len(data)
        if not limit_bytes or len(data) <= left:
            self._add(Kind.LOG, data, cursor)
        elif left >= 0:
            self.append(Kind.LOG, {"text": text[:left]}, cursor=cursor)
            self.append(Kind.LOG, {"text": f"The log is cut here, at {limit_bytes} bytes. The build goes on."}, cursor=cursor)

    def append(self, kind: Kind, data: Mapping[str, Any], *, cursor: str | None = None) -> None:
        """Add an event; it is stored, with the record as it is then, in the next batch."""
        self._add(kind, json.dumps(data), cursor)

    def move_to(self, phase: Phase, message: str | None = None, *, cursor: str | None = None) -> None:
        """Move the build on to a phase and tell so; a builder that was attached to again may tell an old one, and that moves nothing."""
        if _ORDER.index(phase) > _ORDER.index(self.build.phase):
            self.update(phase=phase)
            self.append(Kind.PHASE, {"phase": phase, "message": message or _MESSAGES[phase], "time": iso(now())}, cursor=cursor)

    def _add(self, kind: Kind, data: str, cursor: str | None) -> None:
        self._last_number += 1
        self._waiting.append(Event(self._last_number, kind, data))
        self._waiting_bytes += len(data)
        if cursor is not None:
            self._cursor = cursor
        if self._flushing is None or self._flushing.done():
            self._flushing = asyncio.create_task(self._flush_soon())

    def update(self, **changes: Any) -> None:
        """Change the build's record; it is stored with the next event."""
        self.build = replace(self.build, **changes)

    async def flush_if_full(self) -> None:
        """Store what waits if it has become much; the builder waits meanwhile, so memory stays bounded."""
        if len(self._waiting) >= _MAX_WAITING_EVENTS or self._waiting_bytes >= _MAX_WAITING_BYTES:
            await self.flush()

    async def flush(self) -> None:
        """Store everything told so far, then let followers see it; goes on trying while the database is away."""
        await asyncio.shield(asyncio.create_task(self._flush()))  # a write that was begun is never given up half-way

    async def _flush_soon(self) -> None:
        while self._waiting:  # what is told while a batch is written is in the next one
            await asyncio.sleep(_BATCH_SECONDS)
            await self._flush()

    async def _flush(self) -> None:
        async with self._writing:
            batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
            wait_seconds = _FIRST_RETRY_SECONDS
            while batch:
                record = replace(self.build, last_event=batch[-1].number)
                try:
                    await self._store.record(record, batch, self._cursor)
                    break
                except Unavailable as error:
                    if error.code == "disk_full" and any(event.kind is Kind.LOG for event in batch):
                        batch = self._lose_lines(batch, error)
                        continue
                    log.warning("The event log of build %s cannot be stored now; trying again in %g s", record.id, wait_seconds)
                    await asyncio.sleep(wait_seconds)
                    wait_seconds = min(2 * wait_seconds, _LAST_RETRY_SECONDS)
            if batch:
                self.update(last_event=batch[-1].number)
                self._show(batch)

    def _lose_lines(self, batch: Sequence[Event], why: BinderError) -> list[Event]:
        """Return a batch without its lines of the log, for which there is no space; nobody has seen their numbers."""
        self.unstored = why
        kept = [event for event in batch if event.kind is not Kind.LOG]
        first = self.build.last_event + 1
        numbered = [replace(event, number=number) for number, event in enumerate([*kept, *self._waiting], first)]
        self._waiting, self._last_number = numbered[len(kept) :], first + len(numbered) - 1
        return numbered[: len(kept)]

    def _show(self, batch: Sequence[Event]) -> None:
        self._over = batch[-1].kind is Kind.END
        self._recent.extend(batch)
        self._recent_bytes += sum(len(event.data) for event in batch)
        while self._recent_bytes > _KEPT_BYTES:
            dropped = len(self._recent) // 2 + 1
            self._recent_bytes -= sum(len(event.data) for event in self._recent[:dropped])
            del self._recent[:dropped]
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def follow(self, after: int) -> AsyncGenerator[Batch]:
        """Yield the event log in batches from the event behind `after` on, live, until its end."""
        self.followers += 1
        try:
            while True:
                changed = self._changed
                batch = await self._next_batch(after)
                if not batch:
                    if self._over:
                        return  # the follower has seen the end, or says that it has seen more
                    await changed.wait()
                    continue
                yield batch
                after = batch[-1].number
                if batch[-1].kind is Kind.END:
                    return
        finally:
            self.followers -= 1

    async def _next_batch(self, after: int) -> Batch:
        if not self._recent or after + 1 < self._recent[0].number:
            return await self._store.events(self.build.id, after, _PAGE_EVENTS)
        start = after + 1 - self._recent[0].number
        batch = Batch(self._recent[start : start + _PAGE_EVENTS])
        if batch and self._shared and (batch[0], batch[-1]) == (self._shared[0], self._shared[-1]):
            return self._shared
        self._shared = batch
        return batch


async def follow_stored(store: Store, build_id: str, after: int) -> AsyncGenerator[Batch]:
    """Yield the stored event log of a build that has ended, in batches."""
    while batch := await store.events(build_id, after, _PAGE_EVENTS):
        yield batch
        after = batch[-1].number
