"""A store that answers from memory what cannot have changed, for crowds that ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime

from cachetools import LRUCache

from ..models import Batch, Build, Event, Kind, State
from .store import Store

_KEPT_BUILDS = 2000
_KEPT_EVENT_BYTES = 8 * 1024 * 1024
_EVENT_OVERHEAD_BYTES = 200

Page = tuple[str, int, int]


class CachingStore(Store):
    """Remembers builds that have ended, who asked for them, and pages of event logs that are written to the end.

    It must be the only writer to its database, as the service is: builds end in the process that follows them.
    """

    def __init__(self, url: str, on_answer: Callable[[float], None] = lambda seconds: None) -> None:
        super().__init__(url, on_answer)
        self._ended: LRUCache[str, Build] = LRUCache(_KEPT_BUILDS)
        self._newest_ready: LRUCache[str, Build] = LRUCache(_KEPT_BUILDS)
        self._requesters: LRUCache[str, dict[str, bool]] = LRUCache(_KEPT_BUILDS)
        self._pages: LRUCache[Page, Batch] = LRUCache(_KEPT_EVENT_BYTES, getsizeof=_size_of)
        self._reading: dict[Page, asyncio.Task[Batch]] = {}

    async def record(self, build: Build, new_events: Sequence[Event], cursor: str) -> None:
        """Store, and remember a build that has ended."""
        await super().record(build, new_events, cursor)
        if build.state.ended:
            self._ended[build.id] = build
        if build.state is State.READY:
            self._newest_ready.pop(build.image.name, None)

    async def get(self, build_id: str) -> Build | None:
        """Return a build, from memory if it has ended."""
        build = self._ended.get(build_id) or await super().get(build_id)
        if build is not None and build.state.ended:
            self._ended[build_id] = build
        return build

    async def newest_ready(self, image: str) -> Build | None:
        """Return the newest build that made an image; the same until another one does."""
        build = self._newest_ready.get(image) or await super().newest_ready(image)
        if build is not None:
            self._newest_ready[image] = build
        return build

    async def requesters(self, build_id: str) -> dict[str, bool]:
        """Return who asked for a build."""
        if build_id not in self._requesters:
            self._requesters[build_id] = await super().requesters(build_id)
        return dict(self._requesters[build_id])

    async def set_requester(self, build_id: str, name: str, *, wants: bool) -> None:
        """Note who wants a build, unless that is known."""
        if (await self.requesters(build_id)).get(name) is wants:
            return
        await super().set_requester(build_id, name, wants=wants)
        self._requesters.pop(build_id, None)

    async def events(self, build_id: str, after: int, limit: int) -> Batch:
        """Return events; readers that want the same page at the same time share one answer."""
        page = (build_id, after, limit)
        if page in self._pages:
            return self._pages[page]
        task = self._reading.get(page)
        if task is None:
            task = asyncio.create_task(self._read_page(page))
            self._reading[page] = task
            task.add_done_callback(lambda _: self._reading.pop(page, None))
        return await asyncio.shield(task)

    async def drop_logs(self, before: datetime, limit: int) -> int:
        """Drop event logs, and forget what was remembered of any."""
        dropped = await super().drop_logs(before, limit)
        self._pages.clear()
        return dropped

    async def _read_page(self, page: Page) -> Batch:
        found = await super().events(*page)
        whole = len(found) == page[2] or (found and found[-1].kind is Kind.END)
        if whole and _size_of(found) <= _KEPT_EVENT_BYTES:
            self._pages[page] = found
        return found


def _size_of(events: Sequence[Event]) -> int:
    return sum(2 * len(event.data) + _EVENT_OVERHEAD_BYTES for event in events)
