"""HTTP to a container engine: over a socket file, TCP or TLS, with a connection for every question.

The standard library is enough for that, and every build process is the sooner at work for not loading more.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode

_CONNECT_SECONDS = 5.0
_READ_BYTES = 64 * 1024
PROBLEMS = (OSError, http.client.HTTPException)
"""What questions raise when there is no answer, or half of one; `TimeoutError` if none came in time."""


@dataclass(frozen=True)
class Answer:
    """What an engine said."""

    status: int
    content: bytes

    def json(self) -> Any:
        """Return what the content means; raises `ValueError`."""
        return json.loads(self.content)


class Wire:
    """The way to one engine; safe to share between threads.

    Args:
        host: ``unix:///path`` or ``tcp://host:port``.
        certificates: the directory with ca.pem, cert.pem and key.pem if the engine asks for TLS; else empty.
    """

    def __init__(self, host: str, certificates: str) -> None:
        scheme, _, self._place = host.partition("://")
        self._is_file = scheme == "unix"
        self._context = _context(Path(certificates)) if certificates else None

    def ask(self, method: str, path: str, *, timeout_seconds: float, **more: Any) -> Answer:
        """Return the whole answer, whatever its status is; raises one of `PROBLEMS`."""
        with self.open(method, path, timeout_seconds=timeout_seconds, **more) as response:
            return Answer(response.status, response.read())

    @contextlib.contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        timeout_seconds: float,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: bytes | IO[bytes] | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        """Yield an answer that is to be read as it comes; raises one of `PROBLEMS`.

        Args:
            timeout_seconds: how long the engine may say nothing.
        """
        connection = self._connection()
        with contextlib.closing(connection):
            try:
                connection.connect()
            except TimeoutError as error:
                raise ConnectionError("no connection in time") from error
            connection.sock.settimeout(timeout_seconds)
            connection.request(method, f"{path}?{urlencode(params)}" if params else path, body, dict(headers or {}))
            yield connection.getresponse()

    def _connection(self) -> http.client.HTTPConnection:
        if self._is_file:
            return _FileConnection(self._place)
        if self._context:
            return http.client.HTTPSConnection(self._place, timeout=_CONNECT_SECONDS, context=self._context)
        return http.client.HTTPConnection(self._place, timeout=_CONNECT_SECONDS)


def lines_of(response: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the lines of an answer as they come; raises one of `PROBLEMS` if it ends before its end.

    To iterate over the response itself would do, but for this: it takes a connection that breaks for the end.
    """
    rest = b""
    while chunk := response.read1(_READ_BYTES):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole
    if rest:
        yield rest


class _FileConnection(http.client.HTTPConnection):
    """HTTP over a socket file."""

    def __init__(self, path: str) -> None:
        super().__init__("engine", timeout=_CONNECT_SECONDS)
        self._path = path

    def connect(self) -> None:
        """Connect to the file."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _context(certificates: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "cert.pem", certificates / "key.pem")
    return context
