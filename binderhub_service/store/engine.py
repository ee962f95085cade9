"""The engine of a database: what its connections are told, and how one is cut that hangs."""

from __future__ import annotations

import contextlib
import os
import socket
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from ..errors import Unavailable

_CONNECT_SECONDS = 5
_KEEPALIVE_SECONDS = {"idle": 30, "interval": 10, "count": 3}
# A client that is gone while an answer is on its way to it is asked for no sign of life, but sent the answer again, for a quarter of an hour.
_UNANSWERED_MILLISECONDS = 60_000
_BY_LIBPQ = {"psycopg", "psycopg2"}
_JOURNAL_BYTES = 4 * 1024 * 1024  # SQLite gives back what its journal has taken beyond that
_DISK_FULL = "53100"  # PostgreSQL's SQLSTATE
# The server's side: a statement ends before the call that waits for it, and a client whose machine is gone is noticed within a minute.
_SESSION = (
    "SET statement_timeout = {statement}",
    *(f"SET tcp_keepalives_{name} = {value}" for name, value in _KEEPALIVE_SECONDS.items()),
    f"SET tcp_user_timeout = {_UNANSWERED_MILLISECONDS}",
)


class Database:
    """An engine with one connection at most, which another thread can cut.

    Args:
        url: an SQLAlchemy URL.
        limit_seconds: how long a statement may take.
        on_connect: called with each new connection of PostgreSQL's before anybody uses it; what it raises ends the connection.

    Raises:
        Unavailable: the URL is none, or names a kind of database for which nothing is installed.

    Attributes:
        engine: the engine.
        is_postgresql: whether it is PostgreSQL, through a driver that stands on libpq.
    """

    def __init__(self, url: str, limit_seconds: float, on_connect: Callable[[Any], None]) -> None:
        self._on_connect = on_connect
        self._statement_milliseconds = int(limit_seconds * 900)
        self._socket: socket.socket | None = None
        with _url_errors_converted():
            parsed = sa.make_url(url)
            self.is_postgresql = parsed.get_backend_name() == "postgresql" and parsed.get_driver_name() in _BY_LIBPQ
            self.engine = self._postgresql(parsed, limit_seconds) if self.is_postgresql else _other(parsed)
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", prepare_sqlite)

    def _postgresql(self, url: sa.URL, limit_seconds: float) -> sa.Engine:
        given = {name: value for name, value in _parameters(limit_seconds).items() if name not in url.query}
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=1, max_overflow=0, connect_args=given)
        sa.event.listen(engine, "do_connect", self._connect)
        sa.event.listen(engine, "close", self._closed)
        return engine

    def cut(self) -> None:
        """End the connection from another thread than the thread that waits for it, which meets an error then."""
        connected = self._socket
        if connected is not None:
            with contextlib.suppress(OSError):  # it has been closed meanwhile
                connected.shutdown(socket.SHUT_RDWR)

    def _connect(self, dialect: sa.Dialect, _record: object, arguments: tuple[Any, ...], parameters: dict[str, Any]) -> Any:
        connection: Any = dialect.connect(*arguments, **parameters)
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))  # of our own: the number of a closed one could be another's by now
        with contextlib.ExitStack() as if_it_fails:
            if_it_fails.callback(self._closed)
            if_it_fails.callback(connection.close)
            with connection.cursor() as cursor:
                for statement in _SESSION:
                    cursor.execute(statement.format(statement=self._statement_milliseconds))
                self._on_connect(cursor)
            connection.commit()
            if_it_fails.pop_all()
        return connection

    def _closed(self, *_: object) -> None:
        closed, self._socket = self._socket, None
        if closed is not None:
            closed.close()


def _other(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, pool_pre_ping=url.get_backend_name() != "sqlite")


@contextlib.contextmanager
def _url_errors_converted() -> Iterator[None]:
    """Convert what SQLAlchemy says of a URL; the URL itself, which may hold a password, is in no message.

    Raises:
        Unavailable: the URL cannot be read, or nothing that is installed knows such a database.
    """
    try:
        yield
    except (ArgumentError, ImportError, ValueError) as error:
        sentence = f"The setting BinderService.database_url {_why(error)}. An example is postgresql+psycopg://host/name."
        raise Unavailable(sentence, code="service_starting", hint="Correct it, then start the hub again.") from None


def _why(error: Exception) -> str:
    if isinstance(error, NoSuchModuleError):
        return f"names a kind of database that SQLAlchemy does not know ({str(error).rpartition(':')[2]})"
    return f"needs the package {error.name}, which is not installed" if isinstance(error, ImportError) else "cannot be read"


def sqlite_file(url: sa.URL) -> Path | None:
    """Return the file that a database is, if it is SQLite's."""
    name = url.database
    is_file = url.get_backend_name() == "sqlite" and name and not name.startswith((":", "file:"))
    return Path(name).absolute() if name and is_file else None


def copy_sqlite(source: Path, target: Path) -> None:
    """Copy an SQLite database as it is at this moment, with what is in its journal only, to one file; raises `sqlite3.Error` or `OSError`."""
    with contextlib.closing(sqlite3.connect(source)) as read, contextlib.closing(sqlite3.connect(target)) as written:
        read.backup(written)
        written.execute("PRAGMA journal_mode=DELETE")


def is_full(error: DBAPIError) -> bool:
    """Say whether the database has no space left for what it was to store."""
    state = getattr(error.orig, "sqlstate", None) or getattr(error.orig, "pgcode", None)
    return state == _DISK_FULL or getattr(error.orig, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL


def is_refusal(error: DBAPIError) -> bool:
    """Say whether PostgreSQL has answered and lets nobody in, e.g. because of the password; it gives no code while a connection is made."""
    said = str(error.orig)
    return "connection to server" in said and "FATAL:" in said


def prepare_sqlite(connection: Any, _record: object) -> None:
    """Tell a new connection to SQLite how to write; to delete must take little space, as it is what makes space."""
    small = ("secure_delete=FAST", f"journal_size_limit={_JOURNAL_BYTES}")
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON", *small):
        connection.execute(f"PRAGMA {pragma}")


def _parameters(limit_seconds: float) -> dict[str, Any]:
    """Return libpq's parameters that a URL need not name: a server that is gone is noticed while something is awaited of it."""
    keepalives = {f"keepalives_{name}": value for name, value in _KEEPALIVE_SECONDS.items()}
    return {"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": int(limit_seconds * 1000), "keepalives": 1, **keepalives}
