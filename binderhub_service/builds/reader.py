"""Builds as they are now: those that wait or run from memory, all others from the store."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from ..errors import NotFound
from ..models import Batch, Build
from ..store.store import Store
from .active import ActiveBuilds
from .event_log import follow_stored


class BuildReader:
    """Reads builds and their events; `builds` decides who may read them."""

    def __init__(self, store: Store, active: ActiveBuilds) -> None:
        self._store = store
        self._active = active

    async def get(self, build_id: str) -> Build:
        """Return a build; raises `NotFound` if no build has this id."""
        active = self._active.get(build_id)
        build = active.build if active else await self._store.get(build_id)
        if build is None:
            raise NotFound("There is no build of this id.", code="build_not_found", hint="It may have been removed; ask for the repository again.")
        return build

    async def requesters(self, build_id: str) -> dict[str, bool]:
        """Return who asked for a build, each with whether they still want it."""
        return await self._store.requesters(build_id)

    async def newest(self, *, requester: str | None, filters: Mapping[str, str], before: str | None, limit: int) -> list[Build]:
        """Return builds, newest first; arguments are those of `Store.newest`."""
        stored = await self._store.newest(requester=requester, filters=filters, before=before, limit=limit)
        return [active.build if (active := self._active.get(build.id)) else build for build in stored]

    async def follow(self, build_id: str, after: int) -> AsyncGenerator[Batch]:
        """Yield a build's events behind number `after`, in batches, to the end of the build."""
        active = self._active.get(build_id)
        batches = active.event_log.follow(after) if active else follow_stored(self._store, build_id, after)
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def events_so_far(self, build_id: str) -> AsyncGenerator[Batch]:
        """Yield the stored events of a build, in batches."""
        async with aclosing(follow_stored(self._store, build_id, 0)) as batches:
            async for batch in batches:
                yield batch
