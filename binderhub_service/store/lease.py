"""The lease on a database in PostgreSQL: one service writes at a time.

The session that writes holds an advisory lock, so that the right to write is lost together with the connection, and the next service
has it only when everything of the last one is committed or forgotten. A number in the database, the generation, tells a service that
connects again whether another one has had the database meanwhile.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from ..errors import Unavailable
from .schema import lease

# By database and schema; the first number is what tells this lock from other programs' advisory locks.
_LOCK = "SELECT pg_try_advisory_lock(1651076708, hashtext(coalesce(current_schema(), '')))"
_GENERATION = "SELECT generation FROM lease"
_HINT = "Try again in a moment; nothing was lost."


def is_free(cursor: Any) -> bool:
    """Take the lock for a connection that lasts for a command; say whether it was free."""
    cursor.execute(_LOCK)
    return bool(cursor.fetchone()[0])


class Lease:
    """One service's right to write.

    Attributes:
        lost: whether another service has had the database since this one did; it stays lost.
    """

    def __init__(self) -> None:
        self.lost = False
        self._generation: int | None = None

    def take(self, cursor: Any) -> None:
        """Take the lock for a new connection.

        Raises:
            Unavailable: another session has it, or another service has had it since.
        """
        is_ours = is_free(cursor)
        if self._generation is not None:
            cursor.execute(_GENERATION)
            self.lost = self.lost or cursor.fetchone()[0] != self._generation
        if self.lost:
            raise Unavailable("Another service has taken the database over; this one ends.", code="store_unavailable", hint=_HINT)
        if not is_ours and self._generation is None:
            raise Unavailable("Another service uses the same database; this one waits until it has ended.", code="service_starting", hint=_HINT)
        if not is_ours:  # most likely our own last connection, whose end the server has not noticed
            raise Unavailable("The service's database is not this service's own at the moment.", code="store_unavailable", hint=_HINT)

    def begin(self, engine: sa.Engine) -> None:
        """Note in the database that another service has it now."""
        with engine.begin() as connection:
            connection.execute(lease.update().values(generation=lease.c.generation + 1))
            generation = connection.execute(sa.select(lease.c.generation)).scalar_one()
        self._generation = generation
