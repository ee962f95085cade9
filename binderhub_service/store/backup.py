"""A database as one file: written while the service runs, and put back into a database of either kind.

The file is SQLite's, with the schema that the database has, whichever kind that is; so it moves a database from one kind to the other as well.
"""

from __future__ import annotations

import logging
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from ..common.redact import redact
from ..errors import Conflict, InvalidRequest, Unavailable
from . import schema_version
from .engine import Database, copy_sqlite, sqlite_file
from .lease import is_free

log = logging.getLogger("binderhub_service")
_LIMIT_SECONDS = 1800.0
_ROWS_AT_ONCE = 1000
# The lease belongs to a database and not to what is in it; the schema's number is set by the migrations.
_NOT_COPIED = frozenset({"lease", "alembic_version"})


def back_up(url: str, file: Path) -> str:
    """Write all that is in a database at this moment into a file, and return the number of its schema; a service may use the database meanwhile.

    Args:
        url: the database, as SQLAlchemy takes it.
        file: is replaced once the new one is complete.

    Raises:
        InvalidRequest: there is no database, or nothing in it yet.
        Unavailable: the database did not answer, or the file cannot be written.
    """
    with _errors_converted(), _part_of(file) as part, _engine(url, lambda _: None) as engine:
        schema = _schema_of(engine)
        if source := sqlite_file(engine.url):
            copy_sqlite(source, part)
        else:
            with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection, _engine(f"sqlite:///{part}") as target:
                schema_version.migrate(target, schema)
                with target.begin() as sink:
                    _copy_rows(connection, sink)
    return schema


def put_back(file: Path, url: str) -> None:
    """Replace all that is in a database by what is in a file of `back_up`.

    An SQLite database that is there is kept beside it, as ``NAME.before-restore``. In another one, all is replaced in one transaction.

    Raises:
        InvalidRequest: the file is no backup.
        Conflict: a service uses the database.
        Unavailable: the database did not answer, or the backup is of a newer version of this service.
    """
    with _errors_converted(), tempfile.TemporaryDirectory() as folder, _engine(url, _check_is_free) as target:
        if not file.is_file():
            raise InvalidRequest(f"There is no file {file}.")
        with _engine(f"sqlite:///{file}") as found:
            _schema_of(found)
            schema_version.check(found)
        if aim := sqlite_file(target.url):
            _keep_aside(aim)
            with _part_of(aim) as part:
                copy_sqlite(file, part)
            return
        copy = Path(folder, "backup")
        copy_sqlite(file, copy)
        with _engine(f"sqlite:///{copy}") as source:
            schema_version.check(target)
            for engine in (source, target):
                schema_version.migrate(engine)
            with source.connect() as connection, target.begin() as sink:
                _copy_rows(connection, sink)


def downgrade(url: str, schema: str) -> str:
    """Bring a database back to a former schema, and return the number of its schema then.

    Args:
        schema: its number; empty for the one before.

    Raises:
        InvalidRequest: there is no database, or no such schema before its own.
        Conflict: a service uses the database.
        Unavailable: the database did not answer, or is of a newer version of this service.
    """
    with _errors_converted(), _engine(url, _check_is_free) as engine:
        _schema_of(engine)
        schema_version.check(engine)
        schema_version.downgrade(engine, schema)
        return _schema_of(engine)


def file_of(url: str) -> Path | None:
    """Return the file that the database at a URL is, if it is SQLite's; raises `Unavailable` if that is no URL of a database."""
    with _engine(url) as engine:
        return sqlite_file(engine.url)


def keep_copy(url: str, place: Path) -> None:
    """Keep a copy of a database that is about to be migrated, as ``PLACE.schema-NUMBER``, for the way back; where that fails, the log says so."""
    with _engine(url) as engine:
        schema = schema_version.schema_of(engine)
    if schema is None or schema >= schema_version.SCHEMA_HEAD:
        return
    copy = place.with_name(f"{place.name}.schema-{schema}")
    upgrade = f"The database is brought from schema {schema} to {schema_version.SCHEMA_HEAD}"
    try:
        back_up(url, copy)
        log.info("%s; as it was it is kept in %s", upgrade, copy)
    except (InvalidRequest, Unavailable) as error:
        log.warning("%s without a copy of what it was: %s", upgrade, error.message)


@contextmanager
def _engine(url: str, on_connect: Callable[[Any], None] = lambda _: None) -> Iterator[sa.Engine]:
    """Give an engine without the service's own settings for SQLite: foreign keys would let a table that is made anew take others' rows along."""
    engine = Database(url, _LIMIT_SECONDS, on_connect).engine
    if engine.dialect.name == "sqlite":
        engine = sa.create_engine(engine.url)
    try:
        yield engine
    finally:
        engine.dispose()


def _schema_of(engine: sa.Engine) -> str:
    file = sqlite_file(engine.url)
    if file and not file.is_file():
        raise InvalidRequest(f"There is no database {file}.")
    if schema := schema_version.schema_of(engine):
        return schema
    raise InvalidRequest(f"There is nothing of this service in {file or 'the database'}.")


def _check_is_free(cursor: Any) -> None:
    if not is_free(cursor):
        raise Conflict("A service uses this database: stop it first.")


def _copy_rows(source: sa.Connection, target: sa.Connection) -> None:
    """Replace the rows of all tables of one database by those of another of the same schema."""
    read, written = _tables(source), _tables(target)
    names = [table.name for table in written.sorted_tables if table.name not in _NOT_COPIED]
    for name in reversed(names):
        target.execute(written.tables[name].delete())
    for name in names:
        rows = source.execution_options(yield_per=_ROWS_AT_ONCE).execute(read.tables[name].select()).mappings()
        for part in rows.partitions():
            target.execute(written.tables[name].insert(), [dict(row) for row in part])
        _go_on_counting(target, written.tables[name])


def _tables(connection: sa.Connection) -> sa.MetaData:
    """Return the tables that a database has; times are read and written in UTC, in which SQLite has them without saying so."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TIME ZONE 'UTC'")
    found = sa.MetaData()
    found.reflect(connection)
    for table in found.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.JSON):
                column.type = sa.JSON(none_as_null=True)
    return found


def _go_on_counting(connection: sa.Connection, table: sa.Table) -> None:
    """Let PostgreSQL number new rows behind those that were copied."""
    if connection.dialect.name != "postgresql":
        return
    for column in table.primary_key.columns:
        if isinstance(column.type, sa.Integer):
            largest = sa.select(sa.func.max(column)).scalar_subquery()
            counter = sa.func.pg_get_serial_sequence(table.name, column.name)
            connection.execute(sa.select(sa.func.setval(counter, sa.func.coalesce(largest, 1), largest.is_not(None))))


def _keep_aside(file: Path) -> None:
    for ending in ("", "-wal", "-shm"):
        old = file.with_name(f"{file.name}{ending}")
        if old.exists():
            old.replace(file.with_name(f"{file.name}.before-restore{ending}"))


@contextmanager
def _part_of(file: Path) -> Iterator[Path]:
    """Give the name of a file to write, which takes the place of another once it is complete."""
    part = file.with_name(f"{file.name}.part")
    part.unlink(missing_ok=True)
    try:
        yield part
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _errors_converted() -> Iterator[None]:
    """Convert the errors of databases and files; an operator may read what a driver says, but for credentials."""
    try:
        yield
    except DBAPIError as error:
        raise Unavailable(f"The database does not answer: {_first_line(error.orig)}") from error
    except sqlite3.Error as error:
        raise Unavailable(f"The database cannot be copied: {_first_line(error)}") from error
    except OSError as error:
        raise Unavailable(f"The file {error.filename} cannot be used: {error.strerror or error}.") from error


def _first_line(error: object) -> str:
    return redact(str(error).strip().partition("\n")[0])
