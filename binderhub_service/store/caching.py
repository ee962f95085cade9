"""A store that answers from memory what cannot have changed, for crowds that ask the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Generic, TypeVar

import sqlalchemy as sa
from cachetools import LRUCache

from ..models import Batch, Build, Event, Kind, State
from .sql_store import LIMIT_SECONDS
from .store import Store

_KEPT_BUILDS = 2000
_KEPT_EVENT_BYTES = 8 * 1024 * 1024
_EVENT_OVERHEAD_BYTES = 200

Page = tuple[str, int, int]
K = TypeVar("K")
V = TypeVar("V")


class _Answers(Generic[K, V]):
    """Answers of the database that hold until they are dropped.

    An answer that was being read while something was dropped may be older than that, and is not kept.
    """

    def __init__(self, kept: LRUCache[K, V]) -> None:
        self.kept = kept
        self._drops = 0

    async def get(self, key: K, read: Callable[[], Awaitable[V]], holds: Callable[[V], object] = lambda answer: answer is not None) -> V:
        """Return the kept answer, else read it.

        Args:
            holds: says of an answer whether it may be kept.
        """
        if key in self.kept:
            return self.kept[key]
        drops = self._drops
        answer = await read()
        if drops == self._drops and holds(answer):
            self.kept[key] = answer
        return answer

    def drop(self, key: K) -> None:
        """Read this answer again next time."""
        self._drops += 1
        self.kept.pop(key, None)

    def drop_all(self) -> None:
        """Read every answer again next time."""
        self._drops += 1
        self.kept.clear()


class CachingStore(Store):
    """Remembers builds that have ended, who asked for them, and pages of event logs that are written to the end.

    It must be the only writer to its database, as the service is: builds end in the process that follows them.
    """

    def __init__(self, url: str, on_answer: Callable[[float], None] = lambda seconds: None, limit_seconds: float = LIMIT_SECONDS) -> None:
        super().__init__(url, on_answer, limit_seconds)
        self._ended: _Answers[str, Build | None] = _Answers(LRUCache(_KEPT_BUILDS))
        self._newest_ready: _Answers[str, Build | None] = _Answers(LRUCache(_KEPT_BUILDS))
        self._requesters: _Answers[str, dict[str, bool]] = _Answers(LRUCache(_KEPT_BUILDS))
        self._typical_seconds: _Answers[str, float | None] = _Answers(LRUCache(_KEPT_BUILDS))
        self._pages: _Answers[Page, Batch] = _Answers(LRUCache(_KEPT_EVENT_BYTES, getsizeof=_size_of))
        self._reading: dict[Page, asyncio.Task[Batch]] = {}

    async def create(self, build: Build, requester: str = "") -> None:
        """Add a build, and remember who asked for it."""
        await super().create(build, requester)
        self._requesters.kept[build.id] = {requester or build.owner: True}

    async def record(self, build: Build, new_events: Sequence[Event], cursor: str) -> None:
        """Store, and remember a build that has ended."""
        await super().record(build, new_events, cursor)
        if build.state.ended:
            self._ended.kept[build.id] = build
        if build.state is State.READY:
            self._newest_ready.drop(build.image.name)
            self._typical_seconds.drop_all()

    async def get(self, build_id: str) -> Build | None:
        """Return a build, from memory if it has ended."""
        return await self._ended.get(build_id, partial(super().get, build_id), lambda build: build is not None and build.state.ended)

    async def newest_ready(self, image: str) -> Build | None:
        """Return the newest build that made an image; the same until another one does."""
        return await self._newest_ready.get(image, partial(super().newest_ready, image))

    async def typical_seconds(self, repo: str) -> float | None:
        """Return how long builds took lately; the same until another one is ready."""
        return await self._typical_seconds.get(repo, partial(super().typical_seconds, repo), lambda _: True)

    async def requesters(self, build_id: str) -> dict[str, bool]:
        """Return who asked for a build."""
        return dict(await self._requesters.get(build_id, partial(super().requesters, build_id)))

    async def set_requester(self, build_id: str, name: str, *, wants: bool) -> None:
        """Note who wants a build, unless that is known."""
        if (await self.requesters(build_id)).get(name) is wants:
            return
        await super().set_requester(build_id, name, wants=wants)
        self._requesters.drop(build_id)

    async def adopt(self, name: str, key: str, since: datetime) -> None:
        """Give an account what its name has, and forget what was remembered of who asked."""
        await super().adopt(name, key, since)
        self._requesters.drop_all()

    async def rename_requester(self, former: str, key: str) -> None:
        """Give an account what its former key has, and forget what was remembered of who asked."""
        await super().rename_requester(former, key)
        self._requesters.drop_all()

    async def events(self, build_id: str, after: int, limit: int) -> Batch:
        """Return events; readers that want the same page at the same time share one answer."""
        page = (build_id, after, limit)
        if page in self._pages.kept:
            return self._pages.kept[page]
        task = self._reading.get(page)
        if task is None:
            task = asyncio.create_task(self._read_page(page))
            self._reading[page] = task
            task.add_done_callback(lambda _: self._reading.pop(page, None))
        return await asyncio.shield(task)

    async def drop_logs(self, before: datetime, limit: int) -> int:
        """Drop event logs, and forget what was remembered of any."""
        dropped = await super().drop_logs(before, limit)
        self._drop_pages()
        return dropped

    async def drop_oldest_logs(self, keep_bytes: int, limit: int) -> int:
        """Drop event logs, and forget what was remembered of any."""
        dropped = await super().drop_oldest_logs(keep_bytes, limit)
        if dropped:
            self._drop_pages()
        return dropped

    def _drop_pages(self) -> None:
        self._pages.drop_all()
        self._reading.clear()  # nobody joins a reading that began before

    async def _forget(self, ended: sa.Select[tuple[str]]) -> int:
        """Forget builds, and what was remembered of any."""
        forgotten = await super()._forget(ended)
        if forgotten:
            for answers in (self._ended, self._newest_ready, self._requesters, self._typical_seconds, self._pages):
                answers.drop_all()
            self._reading.clear()
        return forgotten

    async def _read_page(self, page: Page) -> Batch:
        def holds(found: Batch) -> bool:
            is_whole = len(found) == page[2] or (bool(found) and found[-1].kind is Kind.END)
            return is_whole and _size_of(found) <= _KEPT_EVENT_BYTES

        return await self._pages.get(page, partial(super().events, *page), holds)


def _size_of(events: Sequence[Event]) -> int:
    return sum(2 * len(event.data) + _EVENT_OVERHEAD_BYTES for event in events)
