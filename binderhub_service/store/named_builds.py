"""Builds by the names that binder-build gives them, in SQL."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from ..models import NamedBuild, Template
from . import templates
from .rows import utc
from .schema import named_builds
from .store import Store


class NamedBuildTable:
    """The table of named builds; one row a name."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, name: str) -> NamedBuild | None:
        """Return what is known under a name, or None."""
        rows = await self._store.read(sa.select(named_builds).where(named_builds.c.name == name))
        return _named_build_from(rows[0]) if rows else None

    async def all(self) -> list[NamedBuild]:
        """Return all, in the order in which their names came."""
        return [_named_build_from(row) for row in await self._store.read(sa.select(named_builds).order_by(named_builds.c.number))]

    async def unsettled(self) -> list[NamedBuild]:
        """Return those whose end is not noted."""
        return [_named_build_from(row) for row in await self._store.read(sa.select(named_builds).where(sa.not_(named_builds.c.settled)))]

    async def put(self, named: NamedBuild) -> None:
        """Write one, in place of another one of its name."""

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(named_builds.update().where(named_builds.c.name == named.name).values(asdict(named))).rowcount:
                connection.execute(named_builds.insert().values(asdict(named)))

        await self._store.write(transaction)

    async def settle(self, named: NamedBuild, template: Template | None) -> None:
        """Note the end of one, unless it is noted or another build has its name now, and write the template that it made; all or nothing."""
        waits = sa.and_(named_builds.c.name == named.name, named_builds.c.build_id == named.build_id, sa.not_(named_builds.c.settled))

        def transaction(connection: sa.Connection) -> None:
            if connection.execute(named_builds.update().where(waits).values(asdict(named))).rowcount and template:
                templates.put(connection, template)

        await self._store.write(transaction)


def _named_build_from(row: sa.RowMapping) -> NamedBuild:
    return NamedBuild(**{name: value for name, value in row.items() if name != "number"} | {"started": utc(row["started"])})
