"""How builds are stored with their events: what several builds tell at the same moment is one transaction."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import NoResultFound, SQLAlchemyError

from ..models import Build, Event, Kind
from .rows import changing_row, event_row
from .schema import builds, events

_EVENTS_AT_ONCE = 2000

_KNOWN = sa.select(builds.c.id, builds.c.last_event).where(builds.c.id.in_(sa.bindparam("ids", expanding=True)))
_CHANGING = ("state", "phase", "started", "finished", "error", "environment", "digest", "last_event", "cursor")
_UPDATE = (
    builds.update()
    .where(builds.c.id == sa.bindparam("of"))
    .values({name: sa.bindparam(f"new_{name}", type_=builds.c[name].type) for name in _CHANGING})
    .values(log_bytes=builds.c.log_bytes + sa.bindparam("more_log_bytes", type_=sa.BigInteger))
)


@dataclass(frozen=True, eq=False)
class Record:
    """A build as it is now, with the events that made it so and the cursor of its builder's last report."""

    build: Build
    events: Sequence[Event]
    cursor: str


class Records:
    """The records that wait to be stored. Each has a call of its own, which stores with its record the others that wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[Record] = []

    def add(self, record: Record) -> None:
        """Let a record wait, until it is stored or dropped."""
        with self._lock:
            self._waiting.append(record)

    def drop(self, record: Record) -> None:
        """Let a record wait no longer, which has been stored or could not be."""
        with self._lock:
            self._waiting = [other for other in self._waiting if other is not record]

    def store(self, engine: sa.Engine, record: Record) -> None:
        """Store a record, unless another one's call has done so, and those that wait with it; if another cannot be stored, it is left alone.

        Raises:
            SQLAlchemyError, UnicodeEncodeError: it cannot be stored; then nothing of it is.
        """
        together = self._beginning_with(record)
        if not together:
            return
        try:
            _store(engine, together)
        except (SQLAlchemyError, UnicodeEncodeError):
            if len(together) == 1:
                raise
            together = [record]
            _store(engine, together)
        for stored in together:
            self.drop(stored)

    def _beginning_with(self, record: Record) -> list[Record]:
        """Return a record that waits and those that came later, as many as one transaction may take; nothing if it does not wait."""
        with self._lock:
            waiting = list(self._waiting)
        found = next((place for place, other in enumerate(waiting) if other is record), len(waiting))
        left = _EVENTS_AT_ONCE + (len(record.events) if found < len(waiting) else 0)
        together = []
        for other in waiting[found:]:
            left -= len(other.events)
            if left < 0:
                break
            together.append(other)
        return together


def _store(engine: sa.Engine, records: Sequence[Record]) -> None:
    """Store records in one transaction; events that are stored already are left alone."""
    with engine.begin() as connection:
        known = {build_id: last for build_id, last in connection.execute(_KNOWN, {"ids": [record.build.id for record in records]})}
        updates, rows = [], []
        for record in records:
            build = record.build
            if build.id not in known:
                raise NoResultFound(f"There is no build {build.id}.")
            new = [event_row(build, event) for event in record.events if event.number > known[build.id]]
            log_bytes = sum(len(row["data"]) for row in new if row["kind"] == Kind.LOG.value)
            changing = changing_row(build) | {"cursor": record.cursor}
            updates.append({"of": build.id, "more_log_bytes": log_bytes} | {f"new_{name}": changing[name] for name in _CHANGING})
            rows += new
        connection.execute(_UPDATE, updates)
        if rows:
            connection.execute(events.insert(), rows)
