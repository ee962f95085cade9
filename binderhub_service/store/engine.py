"""The engine of a database: what its connections are told, and how one is cut that hangs."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

_CONNECT_SECONDS = 5
_KEEPALIVE_SECONDS = {"idle": 30, "interval": 10, "count": 3}
_BY_LIBPQ = {"psycopg", "psycopg2"}
# The server's side: a statement ends before the call that waits for it, and a client whose machine is gone is noticed within a minute.
_SESSION = (
    "SET statement_timeout = {statement}",
    *(f"SET tcp_keepalives_{name} = {value}" for name, value in _KEEPALIVE_SECONDS.items()),
)


class Database:
    """An engine with one connection at most, which another thread can cut.

    Args:
        url: an SQLAlchemy URL.
        limit_seconds: how long a statement may take.
        on_connect: called with each new connection of PostgreSQL's before anybody uses it; what it raises ends the connection.

    Attributes:
        engine: the engine.
        is_postgresql: whether it is PostgreSQL, through a driver that stands on libpq.
    """

    def __init__(self, url: str, limit_seconds: float, on_connect: Callable[[Any], None]) -> None:
        parsed = sa.make_url(url)
        self.is_postgresql = parsed.get_backend_name() == "postgresql" and parsed.get_driver_name() in _BY_LIBPQ
        self._on_connect = on_connect
        self._statement_milliseconds = int(limit_seconds * 900)
        self._socket: socket.socket | None = None
        if self.is_postgresql:
            given = {name: value for name, value in _parameters(limit_seconds).items() if name not in parsed.query}
            self.engine = sa.create_engine(parsed, pool_pre_ping=True, pool_size=1, max_overflow=0, connect_args=given)
            sa.event.listen(self.engine, "do_connect", self._connect)
            sa.event.listen(self.engine, "close", self._closed)
        else:
            self.engine = sa.create_engine(parsed, pool_pre_ping=parsed.get_backend_name() != "sqlite")
        if self.engine.dialect.name == "sqlite":
            sa.event.listen(self.engine, "connect", prepare_sqlite)

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


def prepare_sqlite(connection: Any, _record: object) -> None:
    """Tell a new connection to SQLite how to write."""
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}")


def _parameters(limit_seconds: float) -> dict[str, Any]:
    """Return libpq's parameters that a URL need not name: a server that is gone is noticed while something is awaited of it."""
    keepalives = {f"keepalives_{name}": value for name, value in _KEEPALIVE_SECONDS.items()}
    return {"connect_timeout": _CONNECT_SECONDS, "tcp_user_timeout": int(limit_seconds * 1000), "keepalives": 1, **keepalives}
