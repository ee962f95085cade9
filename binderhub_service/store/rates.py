"""How often clients have asked in the period that goes on, in SQL, so that a restart forgives nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from .rows import utc
from .schema import rates
from .store import Store


@dataclass(frozen=True)
class Period:
    """A client's period.

    Attributes:
        ends: when the client begins anew.
        count: how often it has asked, the last time included, as far as that was counted.
    """

    ends: datetime
    count: int


class RateTable:
    """The table of rates; its methods raise `Unavailable` as the store does."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def count(self, client: str, now: datetime, seconds: float, limit: int) -> Period:
        """Count one more time for a client, and return its period, which ends no later than if it began now; others are forgotten at their end.

        Args:
            client: at most 64 characters; no address and no token, which are not to be kept.
            seconds: how long a period is that begins now.
            limit: what the count goes beyond by one at most.
        """
        found: list[Period] = []

        def transaction(connection: sa.Connection) -> None:
            connection.execute(rates.delete().where(rates.c.ends <= now))
            row = connection.execute(sa.select(rates).where(rates.c.client == client)).mappings().first()
            if row is None:
                found.append(Period(now + timedelta(seconds=seconds), 1))
                connection.execute(rates.insert().values(client=client, ends=found[0].ends, count=1))
                return
            ends = min(utc(row["ends"]), now + timedelta(seconds=seconds))  # the clock may have been set back
            found.append(Period(ends, min(row["count"], limit) + 1))
            if found[0].count != row["count"] or ends != utc(row["ends"]):
                connection.execute(rates.update().where(rates.c.client == client).values(count=found[0].count, ends=ends))

        await self._store.write(transaction)
        return found[0]
