"""A database that is asked on one thread beside the event loop, so the order of calls is the order of their effects."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DataError, DBAPIError

from ..errors import InvalidRequest, Unavailable
from . import schema_version
from .backup import keep_copy
from .calls import Calls
from .engine import Database, is_full, is_refusal, sqlite_file
from .lease import Lease
from .schema import images

LIMIT_SECONDS = 20.0
_CHECK_SECONDS = 3.0
_MIGRATION_SECONDS = 1800.0
_HINT = "Try again in a moment; nothing was lost."
T = TypeVar("T")
log = logging.getLogger("binderhub_service")


class SqlStore:
    """What all tables have in common: opening, closing, reading, writing.

    Args:
        url: an SQLAlchemy URL, e.g. ``sqlite:///service.sqlite`` or ``postgresql+psycopg://user@host/name``.
        on_answer: called with the seconds that every answer took.
        limit_seconds: how long a call may wait and take together.

    Every method raises `Unavailable` when the database cannot be asked; then nothing of the call has happened.
    """

    def __init__(self, url: str, on_answer: Callable[[float], None] = lambda seconds: None, limit_seconds: float = LIMIT_SECONDS) -> None:
        self._lease = Lease()
        self._url = url
        self._database = Database(url, limit_seconds, self._lease.take)
        self._engine = self._database.engine
        self._calls = Calls(self._database.cut)
        self._limit_seconds = limit_seconds
        self._on_answer = on_answer
        self._closed = False
        self._problem = ""

    @property
    def lost(self) -> bool:
        """Whether another service has taken the database over; then nothing can be read or written any more."""
        return self._lease.lost

    @property
    def file(self) -> Path | None:
        """The file that the database is, if it is SQLite's."""
        return sqlite_file(self._engine.url)

    async def open(self, copies: Path | None = None) -> None:
        """Bring the schema, and what the database knows about the size of its tables, up to date; from then on it is this store's.

        What an SQLite database was before is kept beside it, for the way back.

        Args:
            copies: where what another database was is kept; None to keep none.

        Raises:
            Unavailable: the database cannot be asked, or another service uses it.
        """
        if not await self._run(lambda: schema_version.is_current(self._engine)):
            if place := self.file or (copies and copies / "database"):
                await self._run(lambda: keep_copy(self._url, place), _MIGRATION_SECONDS)
            await self._run(lambda: schema_version.migrate(self._engine), _MIGRATION_SECONDS)
        if self._database.is_postgresql:
            await self._run(lambda: self._lease.begin(self._engine))
        await self.analyze()

    async def analyze(self) -> None:
        """Let the database look at the size of its tables, so that it chooses the right indexes; takes milliseconds."""
        await self._run(lambda: schema_version.analyze(self._engine))

    async def close(self) -> None:
        """Finish what was asked and close the database; later calls find it unavailable."""
        await self._run(self._engine.dispose, _MIGRATION_SECONDS)
        self._closed = True
        self._calls.close()

    async def check(self) -> None:
        """Raise `Unavailable` unless the database answers soon."""
        await self._run(lambda: _select_one(self._engine), min(self._limit_seconds, _CHECK_SECONDS))

    async def check_schema(self) -> None:
        """Raise `Unavailable` unless the database answers, and is new or of a schema that this version knows; nothing is changed."""
        await self._run(lambda: schema_version.check(self._engine))

    async def check_write(self) -> None:
        """Raise `Unavailable` unless something can be written soon; nothing of it stays."""
        await self._run(lambda: _write_something(self._engine), min(self._limit_seconds, _CHECK_SECONDS))

    async def reusable_bytes(self) -> int:
        """Return how much of its file SQLite will use again before it takes more of the disk; 0 for other databases."""
        return await self._run(lambda: _free_pages_bytes(self._engine)) if self._engine.dialect.name == "sqlite" else 0

    async def read(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        """Return the rows of a query."""

        def read() -> Sequence[sa.RowMapping]:
            with self._engine.connect() as connection:
                return connection.execute(query).mappings().all()

        return await self._run(read)

    async def write(self, transaction: Callable[[sa.Connection], None]) -> None:
        """Run a transaction; what it raises undoes it."""

        def write() -> None:
            with self._engine.begin() as connection:
                transaction(connection)

        await self._run(write)

    async def delete(self, statement: sa.Delete) -> None:
        """Delete rows."""

        def transaction(connection: sa.Connection) -> None:
            connection.execute(statement)

        await self.write(transaction)

    async def _run(self, work: Callable[[], T], limit_seconds: float | None = None) -> T:
        if self._closed:
            raise Unavailable("The service is stopping.", code="store_unavailable", hint=_HINT)
        begun = time.perf_counter()
        try:
            return await self._calls.run(work, self._limit_seconds if limit_seconds is None else limit_seconds)
        except (DataError, UnicodeEncodeError) as error:  # the latter for half a character, which no driver can write
            raise InvalidRequest("The database cannot hold or look for such a value.") from error
        except DBAPIError as error:
            self._note(str(error.orig).strip().partition("\n")[0])
            if is_full(error):
                raise Unavailable(
                    "The disk of the service's database is full.", code="disk_full", hint="Ask an administrator to make space, then ask again."
                ) from error
            if is_refusal(error):
                sentence = "The service's database refuses the connection; the service's log says why."
                raise Unavailable(sentence, code="store_unavailable", hint="Try again later, or ask an administrator.") from error
            raise Unavailable("The service's database did not answer.", code="store_unavailable", hint=_HINT) from error
        finally:
            self._on_answer(time.perf_counter() - begun)

    def _note(self, problem: str) -> None:
        """Let the log have the driver's own words about a problem, once; they may name hosts and users, which people need not know."""
        if problem != self._problem:
            log.warning("The database's driver says: %s", problem)
        self._problem = problem


def _select_one(engine: sa.Engine) -> None:
    with engine.connect() as connection:
        connection.execute(sa.select(sa.literal(1)))


def _write_something(engine: sa.Engine) -> None:
    """Write a row and remove it: a transaction that is rolled back may never reach the disk. A database without tables is left alone."""
    with engine.begin() as connection:
        if not sa.inspect(connection).has_table(images.name):
            return
        connection.execute(images.insert().values(name="", last_used=datetime.now(UTC)))
        connection.execute(images.delete().where(images.c.name == ""))


def _free_pages_bytes(engine: sa.Engine) -> int:
    with engine.connect() as connection:
        count, size = (int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in ("freelist_count", "page_size"))
        return count * size
