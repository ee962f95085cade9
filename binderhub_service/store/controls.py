"""What administrators have switched, in SQL."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from ..errors import NotFound
from ..models import Control
from .rows import utc
from .schema import controls
from .store import Store


class ControlTable:
    """The table of controls; what its methods raise is what the store's raise, and more where it is said."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> list[Control]:
        """Return all controls, in the order of their kinds and patterns."""
        rows = await self._store.read(sa.select(controls).order_by(controls.c.kind, controls.c.pattern))
        return [Control(**{**row, "set_at": utc(row["set_at"])}) for row in rows]

    async def put(self, control: Control) -> None:
        """Write a control, in place of another one of its kind and pattern."""

        def transaction(connection: sa.Connection) -> None:
            connection.execute(_delete(control.kind, control.pattern))
            connection.execute(controls.insert().values(asdict(control)))

        await self._store.write(transaction)

    async def remove(self, kind: str, pattern: str) -> None:
        """Remove a control; raises `NotFound`."""

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(_delete(kind, pattern)).rowcount:
                what = f"{kind} for {pattern}" if pattern else kind
                raise NotFound(f"Nothing is set as {what}.", code="control_not_found", hint="GET controls lists all.")

        await self._store.write(transaction)


def _delete(kind: str, pattern: str) -> sa.Delete:
    return controls.delete().where(controls.c.kind == kind, controls.c.pattern == pattern)
