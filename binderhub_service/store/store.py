"""Builds, their event logs and who asked for them, in SQL: SQLite in a file, or any database that SQLAlchemy speaks to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

import sqlalchemy as sa

from ..models import Batch, Build, Event, Kind, State
from .image_uses import ImageUses
from .records import Record, Records
from .requesters import StoredRequesters
from .rows import build_of, row_of
from .schema import builds, events, images, requesters

_UNFINISHED = (State.QUEUED.value, State.RUNNING.value)
_TYPICAL_BUILDS = 10


class Store(StoredRequesters, ImageUses):
    """The service's memory; see `SqlStore` for its arguments and what its methods raise."""

    @cached_property
    def _records(self) -> Records:
        """The records that wait to be stored."""
        return Records()

    async def create(self, build: Build, requester: str = "") -> None:
        """Add a build and its first requester.

        Args:
            requester: the account's key; by default the owner's name.
        """

        def transaction(connection: sa.Connection) -> None:
            connection.execute(builds.insert().values(row_of(build) | {"cursor": ""}))
            connection.execute(requesters.insert().values(name=requester or build.owner, build_id=build.id, wants=True))

        await self.write(transaction)

    async def record(self, build: Build, new_events: Sequence[Event], cursor: str) -> None:
        """Store the build as it is now together with the events that made it so, all or nothing; its image's name does not change.

        Events that are stored already are left alone: the answer to an earlier call may have been lost.
        """

        record = Record(build, new_events, cursor)
        self._records.add(record)
        try:
            await self._run(lambda: self._records.store(self._engine, record))
        finally:
            self._records.drop(record)

    async def get(self, build_id: str) -> Build | None:
        """Return a build, or None if no build has this id."""
        rows = await self.read(sa.select(builds).where(builds.c.id == build_id))
        return build_of(rows[0]) if rows else None

    async def newest_ready(self, image: str) -> Build | None:
        """Return the newest build that made an image, or None."""
        return await self._newest_of(image, State.READY)

    async def newest_failed(self, image: str) -> Build | None:
        """Return the newest build that failed to make an image, or None."""
        return await self._newest_of(image, State.FAILED)

    async def _newest_of(self, image: str, state: State) -> Build | None:
        query = sa.select(builds).where(builds.c.image == image, builds.c.state == state.value).order_by(builds.c.id.desc()).limit(1)
        rows = await self.read(query)
        return build_of(rows[0]) if rows else None

    async def unfinished(self) -> list[tuple[Build, str]]:
        """Return all builds that have not ended, oldest first, each with the cursor of its builder's last stored report."""
        rows = await self.read(sa.select(builds).where(builds.c.state.in_(_UNFINISHED)).order_by(builds.c.id))
        return [(build_of(row), row["cursor"]) for row in rows]

    async def typical_seconds(self, repo: str) -> float | None:
        """Return how long builds of a repository took lately, else all builds; None if there was none."""
        for where in ([builds.c.repo == repo], []):
            query = (
                sa.select(builds.c.started, builds.c.finished)
                .where(builds.c.state == State.READY.value, builds.c.started < builds.c.finished, *where)
                .order_by(builds.c.id.desc())
                .limit(_TYPICAL_BUILDS)
            )
            took: list[float] = [(row["finished"] - row["started"]).total_seconds() for row in await self.read(query)]
            if took:
                return sum(took) / len(took)
        return None

    async def newest(self, *, requester: str | None, filters: Mapping[str, str], before: str | None, limit: int) -> list[Build]:
        """Return builds, newest first.

        Args:
            requester: only builds that the account of this key asked for; None for everybody's.
            filters: wanted values of the columns ``state``, ``repo`` and ``owner``.
            before: only builds older than the one of this id.
        """
        query = sa.select(builds).where(*(builds.c[column] == value for column, value in filters.items()))
        newest = builds.c.id
        if requester is not None:
            query = query.join(requesters, requesters.c.build_id == builds.c.id).where(requesters.c.name == requester)
            newest = requesters.c.build_id
        if before:
            query = query.where(newest < before)
        return [build_of(row) for row in await self.read(query.order_by(newest.desc()).limit(limit))]

    async def events(self, build_id: str, after: int, limit: int) -> Batch:
        """Return at most `limit` events of an event log, from the one numbered `after` + 1 on."""
        query = sa.select(events).where(events.c.build_id == build_id, events.c.number > after).order_by(events.c.number).limit(limit)
        return Batch(Event(number=row["number"], kind=Kind(row["kind"]), data=row["data"]) for row in await self.read(query))

    async def log_bytes(self, build_id: str) -> int:
        """Return how much log of a build is stored, as JSON."""
        rows = await self.read(sa.select(builds.c.log_bytes).where(builds.c.id == build_id))
        return int(rows[0]["log_bytes"]) if rows else 0

    async def drop_logs(self, before: datetime, limit: int) -> int:
        """Drop the event logs of builds that ended before a time, but for their last event; return how many builds that were.

        Args:
            limit: at most so many builds at once.
        """
        with_logs = sa.exists().where(events.c.build_id == builds.c.id, events.c.kind != Kind.END.value)
        rows = await self.read(sa.select(builds.c.id).where(builds.c.finished < before, with_logs).limit(limit))
        await self._drop_logs_of([row["id"] for row in rows])
        return len(rows)

    async def drop_oldest_logs(self, keep_bytes: int, limit: int) -> int:
        """Drop the event logs of builds that ended first, but for their last event, until all logs together are small enough.

        Args:
            keep_bytes: how much log may stay, as JSON; the logs of builds that go on count, and stay.
            limit: at most so many builds at once.

        Returns:
            Of how many builds the log was dropped.
        """
        total = int((await self.read(sa.select(sa.func.coalesce(sa.func.sum(builds.c.log_bytes), 0).label("bytes"))))[0]["bytes"])
        if total <= keep_bytes:
            return 0
        query = sa.select(builds.c.id, builds.c.log_bytes).where(builds.c.finished.is_not(None), builds.c.log_bytes > 0)
        ids = []
        for row in await self.read(query.order_by(builds.c.finished).limit(limit)):
            if total > keep_bytes:
                ids.append(row["id"])
                total -= row["log_bytes"]
        await self._drop_logs_of(ids)
        return len(ids)

    async def _drop_logs_of(self, ids: Sequence[str]) -> None:
        def transaction(connection: sa.Connection) -> None:
            connection.execute(events.delete().where(events.c.build_id.in_(ids), events.c.kind != Kind.END.value))
            connection.execute(builds.update().where(builds.c.id.in_(ids)).values(log_bytes=0))

        if ids:
            await self.write(transaction)

    async def forget_builds(self, before: datetime, limit: int) -> int:
        """Forget builds that ended before a time, with their event logs and requesters; return how many that were.

        The newest build that made an image stays as long as the image is known: launches find the image by it.

        Args:
            limit: at most so many builds at once.
        """
        return await self._forget(sa.select(builds.c.id).where(builds.c.finished < before).limit(limit))

    async def forget_build(self, build_id: str) -> bool:
        """Forget a build as `forget_builds` does, whenever it ended; return whether it had ended and was not needed."""
        return bool(await self._forget(sa.select(builds.c.id).where(builds.c.id == build_id, builds.c.finished.is_not(None))))

    async def _forget(self, ended: sa.Select[tuple[str]]) -> int:
        newer = builds.alias()
        is_newest = ~sa.exists().where(newer.c.image == builds.c.image, newer.c.state == State.READY.value, newer.c.id > builds.c.id)
        is_needed = sa.and_(builds.c.state == State.READY.value, sa.exists().where(images.c.name == builds.c.image), is_newest)
        ids = [row["id"] for row in await self.read(ended.where(~is_needed))]
        if ids:  # the rest of them goes by cascade
            await self.delete(builds.delete().where(builds.c.id.in_(ids)))
        return len(ids)
