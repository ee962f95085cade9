"""Records of a public hub's temporary users, kept so that a kill of the service leaves none behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import sqlalchemy as sa

from .schema import temporary_users
from .store import Store


@dataclass(frozen=True)
class TemporaryUser:
    """A user of the hub who was made for one launch.

    Attributes:
        name: at the hub.
        client: a digest of who asked for what; no two clients have the same.
        created: when the record was made, which is before the user is.
        is_delivered: whether a client was told where the server is.
    """

    name: str
    client: str
    created: datetime
    is_delivered: bool = False


class TemporaryUserRecords:
    """The records, in the service's store; every method raises `Unavailable` as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, user: TemporaryUser) -> None:
        """Add a record."""
        row = {"name": user.name, "client": user.client, "created": user.created, "is_delivered": user.is_delivered}

        def transaction(connection: sa.Connection) -> None:
            connection.execute(temporary_users.insert().values(row))

        await self._store.write(transaction)

    async def get(self, name: str) -> TemporaryUser | None:
        """Return the record of a user; None if there is none."""
        found = await self._select(temporary_users.c.name == name)
        return found[0] if found else None

    async def of_client(self, client: str) -> TemporaryUser | None:
        """Return the newest record of a client; None if there is none."""
        found = await self._select(temporary_users.c.client == client)
        return found[-1] if found else None

    async def all(self) -> list[TemporaryUser]:
        """Return all records, oldest first."""
        return await self._select(sa.true())

    async def set_delivered(self, name: str, *, is_delivered: bool) -> None:
        """Note whether a client was told where the server is."""

        def transaction(connection: sa.Connection) -> None:
            connection.execute(temporary_users.update().where(temporary_users.c.name == name).values(is_delivered=is_delivered))

        await self._store.write(transaction)

    async def forget(self, name: str) -> None:
        """Remove a record."""

        def transaction(connection: sa.Connection) -> None:
            connection.execute(temporary_users.delete().where(temporary_users.c.name == name))

        await self._store.write(transaction)

    async def _select(self, where: sa.ColumnElement[bool]) -> list[TemporaryUser]:
        rows = await self._store.read(sa.select(temporary_users).where(where).order_by(temporary_users.c.created, temporary_users.c.name))
        return [TemporaryUser(**{**row, "created": _utc(row["created"])}) for row in rows]


def _utc(time: datetime) -> datetime:
    return time if time.tzinfo else time.replace(tzinfo=UTC)
