"""Who asked for builds, by the keys of their accounts, in SQL."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from .schema import builds, requesters
from .sql_store import SqlStore


class StoredRequesters(SqlStore):
    """The table of requesters; see `SqlStore`."""

    async def requesters(self, build_id: str) -> dict[str, bool]:
        """Return the keys of all accounts that asked for a build, and whether they still want it."""
        rows = await self.read(sa.select(requesters).where(requesters.c.build_id == build_id))
        return {row["name"]: row["wants"] for row in rows}

    async def set_requester(self, build_id: str, name: str, *, wants: bool) -> None:
        """Note that somebody asked for a build, or does not want it any more."""
        where = sa.and_(requesters.c.build_id == build_id, requesters.c.name == name)

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(requesters.update().where(where).values(wants=wants)).rowcount:
                connection.execute(requesters.insert().values(build_id=build_id, name=name, wants=wants))

        await self.write(transaction)

    async def adopt(self, name: str, key: str, since: datetime) -> None:
        """Give an account what is stored under its name alone, but for builds from before a time."""
        asked = sa.select(requesters.c.build_id).join(builds, builds.c.id == requesters.c.build_id)
        await self.write(lambda connection: _give(connection, asked.where(requesters.c.name == name, builds.c.created >= since), name, key))

    async def adopt_between(self, after: str, before: str, key: str) -> None:
        """Give an account what is stored under keys between two others that name the same; databases sort names in ways of their own."""
        name = key.rpartition("/")[0]
        keys = sa.select(requesters.c.name).where(requesters.c.name > after, requesters.c.name < before, requesters.c.name != key).distinct()
        for row in await self.read(keys):
            if row["name"].rpartition("/")[0] == name:
                await self.rename_requester(row["name"], key)

    async def rename_requester(self, former: str, key: str) -> None:
        """Give an account that has another key now what is stored under the former."""
        asked = sa.select(requesters.c.build_id).where(requesters.c.name == former)
        await self.write(lambda connection: _give(connection, asked, former, key))


def _give(connection: sa.Connection, asked: sa.Select[tuple[str]], former: str, key: str) -> None:
    """Let another key have asked for builds; where it has already, what it wants stays."""
    has = sa.select(requesters.c.build_id).where(requesters.c.name == key)
    given, had = set(connection.scalars(asked)), set(connection.scalars(has))
    row = sa.and_(requesters.c.name == former, requesters.c.build_id == sa.bindparam("given"))
    for statement, ids in ((requesters.update().where(row).values(name=key), given - had), (requesters.delete().where(row), given & had)):
        if ids:
            connection.execute(statement, [{"given": build_id} for build_id in sorted(ids)])
