"""Prepared environments, in SQL."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from ..models import PreparedEnvironment
from .rows import utc
from .schema import prepared
from .store import Store


class PreparedTable:
    """The table of prepared environments; what its methods raise is what the store's raise."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[PreparedEnvironment]:
        """Return all, in the order of their names."""
        rows = await self._store.read(sa.select(prepared).order_by(prepared.c.name))
        return [PreparedEnvironment(**{**row, "set_at": utc(row["set_at"]), "refreshed": row["refreshed"] and utc(row["refreshed"])}) for row in rows]

    async def put(self, environment: PreparedEnvironment) -> None:
        """Write one, in place of another one of its name."""

        def transaction(connection: sa.Connection) -> None:
            connection.execute(prepared.delete().where(prepared.c.name == environment.name))
            connection.execute(prepared.insert().values(asdict(environment)))

        await self._store.write(transaction)

    async def remove(self, name: str) -> None:
        """Remove one; nothing happens if there is none."""
        await self._store.delete(prepared.delete().where(prepared.c.name == name))
