"""The HTTP server in front of the application: what it takes from anybody is bounded, and while there is no application yet, it says why."""

from __future__ import annotations

import asyncio
import errno
import html
import json
import logging
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

from tornado import httputil
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from . import __version__
from .common.forwarded import Network, client_address
from .errors import BinderError, BodyTooLarge, Unavailable

T = TypeVar("T")
log = logging.getLogger("binderhub_service")
_WAIT_SECONDS = 1.0
_BACKLOG = 128
_RETRY_AFTER_SECONDS = 5
_STREAMED_SECONDS = 1800.0
_ANY_SIZE = 2**62  # what is too large is thrown away as it comes, for as long as a body may take, and then refused in a sentence
_SAFE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class ServerLimits:
    """What a request may take before it is known whose it is.

    Attributes:
        body_bytes: how large its body may be.
        body_seconds: how long its body may take to arrive.
        header_bytes: how large its headers may be together.
        idle_seconds: how long a connection may wait for its next request, or for the end of the headers.
        trusted_proxies: networks of proxies in front of the hub's, whose word about clients is believed.
    """

    body_bytes: int = 64 * 1024
    body_seconds: float = 60
    header_bytes: int = 64 * 1024
    idle_seconds: float = 120
    trusted_proxies: tuple[Network, ...] = ()


class BoundedServer(httputil.HTTPServerConnectionDelegate):
    """Hands requests to the application, once there is one and if they are not too large.

    Args:
        prefix: the path that this service lives at.
        limits: what requests may take.
        is_behind_proxy: whether requests come through the hub's proxy, which says whose they are.

    Attributes:
        application: what answers requests; None while the service starts.
        reason: why there is no application yet, in a sentence.
        streamed: beginnings of paths whose handlers read bodies as they come, each with the bytes that a body may have there.
        prefix: the path that this service lives at.
    """

    def __init__(self, prefix: str, limits: ServerLimits, *, is_behind_proxy: bool = True) -> None:
        self.application: httputil.HTTPServerConnectionDelegate | None = None
        self.reason = "The service is starting."
        self.limits = limits
        self.is_behind_proxy = is_behind_proxy
        self.streamed: Mapping[str, int] = {}
        self.prefix = prefix
        self._listening: list[socket.socket] = []

    @property
    def answered_early(self) -> tuple[str, str]:
        """The path that is answered while there is no application, for probes that end a process that does not answer; and the service's own.

        The hub looks at the second before it starts: it ends if its services answer with 5xx, or not at all, for too long (JupyterHub's app.py,
        start_service), so it hears that this one is there.
        """
        return f"{self.prefix}versions", self.prefix

    def start_request(self, server_conn: object, request_conn: httputil.HTTPConnection) -> httputil.HTTPMessageDelegate:
        """Return what takes the parts of a new request."""
        return _Request(self, server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Let the application know that a connection is closed."""
        if self.application is not None:
            self.application.on_close(server_conn)

    async def listen(self, address: str, port: int) -> HTTPServer:
        """Return a server that listens; waits while another process has the port.

        Args:
            address: empty for all of this machine, IPv4 and IPv6, as far as it has them.
        """
        server = self._new_server()
        while True:
            try:
                listening = _listening_at(address, port)
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
                self.wait_because(f"Another process listens on {address}:{port}; this service waits until it has ended.")
                await asyncio.sleep(_WAIT_SECONDS)
        for one in listening:
            one.setblocking(False)
        server.add_sockets(listening)
        self._listening = listening
        return server

    def renewed(self, server: HTTPServer, limits: ServerLimits) -> HTTPServer:
        """Return a server in the place of the one of `listen`, whose connections have other limits; no request is lost in between."""
        self.limits = limits
        renewed = self._new_server()
        self._listening = [one.dup() for one in self._listening]  # the first server closes its own
        renewed.add_sockets(self._listening)
        server.stop()
        return renewed

    def listen_at(self, path: Path) -> HTTPServer:
        """Return a server that listens at a socket in a folder that is nobody else's; what a former process left there is replaced."""
        server = self._new_server()
        server.add_socket(bind_unix_socket(str(path), mode=0o600))
        return server

    def _new_server(self) -> HTTPServer:
        return HTTPServer(
            self,
            xheaders=True,
            max_header_size=self.limits.header_bytes,
            max_body_size=_ANY_SIZE,
            body_timeout=self.limits.body_seconds,
            idle_connection_timeout=self.limits.idle_seconds,
        )

    async def when_available(self, open_it: Callable[[], Awaitable[T]]) -> T:
        """Return something that the application needs once it could be opened; says meanwhile why it cannot."""
        while True:
            try:
                return await open_it()
            except Unavailable as error:
                self.wait_because(error.message)
                await asyncio.sleep(_WAIT_SECONDS)

    def wait_because(self, reason: str) -> None:
        """Let everybody know why there is no application yet; the log says it once."""
        if reason != self.reason:
            self.reason = reason
            log.warning("%s", reason)


@dataclass(frozen=True)
class Listening:
    """A server that answers before the service's code is imported and its settings are read.

    Attributes:
        listener: what answers.
        server: what listens for it, once no other process has the port.
    """

    listener: BoundedServer
    server: Awaitable[HTTPServer]


def answer_early(prefix: str, address: str, port: int, *, is_behind_proxy: bool = True) -> Listening:
    """Begin to say, at a path that the service lives at, an address and a port, that it is starting; bounded by the usual limits."""
    listener = BoundedServer(prefix, ServerLimits(), is_behind_proxy=is_behind_proxy)
    return Listening(listener, asyncio.create_task(listener.listen(address, port)))


def _listening_at(address: str, port: int) -> list[socket.socket]:
    """Return what listens there; at an empty address one socket for IPv4 and, where this machine has it, one for IPv6.

    Raises:
        OSError: among others with `errno.EADDRINUSE`, if another process has the port.
    """
    if address:
        return [socket.create_server((address, port), family=socket.AF_INET6 if ":" in address else socket.AF_INET, backlog=_BACKLOG)]
    everywhere = [socket.create_server(("", port), backlog=_BACKLOG)]
    try:
        everywhere.append(socket.create_server(("", everywhere[0].getsockname()[1]), family=socket.AF_INET6, backlog=_BACKLOG))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            everywhere[0].close()
            raise
    return everywhere


class _Request(httputil.HTTPMessageDelegate):
    """A request on its way to the application, or to a refusal.

    The body of a request that is refused is thrown away as it comes: who sends it would not hear the answer if the connection were closed.
    What becomes of a request is decided when its headers are there; a connection that waits for its next one has an object already.
    """

    def __init__(self, listener: BoundedServer, server_conn: object, connection: httputil.HTTPConnection) -> None:
        self._listener = listener
        self._server_conn = server_conn
        self._connection = connection
        self._application: httputil.HTTPMessageDelegate | None = None
        self._start = httputil.RequestStartLine("GET", "/", "HTTP/1.1")
        self._wants_page = False
        self._is_the_hubs = False
        self._too_large = False
        self._closes = False
        self._received = 0
        self._limit_bytes = listener.limits.body_bytes

    def headers_received(
        self, start_line: httputil.RequestStartLine | httputil.ResponseStartLine, headers: httputil.HTTPHeaders
    ) -> Awaitable[None] | None:
        """Hand the headers on, unless there is no application or they announce too large a body."""
        if isinstance(start_line, httputil.RequestStartLine):
            self._start = start_line
        self._wants_page = "text/html" in headers.get("Accept", "")
        self._is_the_hubs = "X-Forwarded-For" not in headers  # what comes from people comes through the hub's proxy
        for beginning, limit in self._listener.streamed.items():
            if self._start.path.startswith(beginning):
                self._limit_bytes = limit
                self._connection.set_body_timeout(_STREAMED_SECONDS)  # type: ignore[attr-defined]  # HTTP1Connection's
        self._too_large = _exceeds(headers.get("Content-Length", ""), self._limit_bytes)
        if self._too_large and "Expect" in headers:  # who sends it waits for a word before the body
            self._closes = True
            self.finish()
        if self._too_large or self._listener.application is None:
            return None
        self._note_client(headers.get("X-Forwarded-For", "") if self._listener.is_behind_proxy else "")
        self._application = self._listener.application.start_request(self._server_conn, self._connection)
        return self._application.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Hand a part of the body on, or throw it away."""
        self._received += len(chunk)
        if self._received > self._limit_bytes:
            self._too_large = True
            self.on_connection_close()  # what the application has of the body is given up
        return self._application.data_received(chunk) if self._application else None

    def finish(self) -> None:
        """Let the application answer, or refuse."""
        limit = self._limit_bytes
        if self._too_large:
            self._refuse(BodyTooLarge(f"The request's body is larger than {limit} bytes.", hint="Send less: a request names a repository."))
        elif self._application:
            self._application.finish()
        elif self._is_answered_early():
            self._answer(HTTPStatus.OK, {"binderhub": __version__}, __version__)
        else:
            self._refuse(Unavailable(self._listener.reason, code="service_starting", hint="Try again in a moment; nothing was lost."))

    def _is_answered_early(self) -> bool:
        alive, home = self._listener.answered_early
        return self._start.path == alive or (self._is_the_hubs and self._start.path == home)

    def _note_client(self, forwarded_for: str) -> None:
        """Let the request have the client's address; Tornado alone would take a header's (X-Real-Ip) that no proxy of the hub's replaces."""
        context = getattr(self._connection, "context", None)
        if context is not None and context.address_family in {socket.AF_INET, socket.AF_INET6}:
            context.remote_ip = client_address(context.address[0], forwarded_for, self._listener.limits.trusted_proxies)

    def on_connection_close(self) -> None:
        """Let the application know, if it knows of the request."""
        application, self._application = self._application, None
        if application:
            application.on_connection_close()

    def _refuse(self, error: BinderError) -> None:
        """Finish with an error."""
        text = html.escape(f"{error.message} {error.hint or ''}".strip())
        self._answer(error.status, {"error": error.as_dict()}, f"<!doctype html><title>Binder</title><p>{text}</p>")

    def _answer(self, status: int, value: object, page: str) -> None:
        """Finish with JSON, or with a page for a browser that opens one."""
        content = (page if self._wants_page else json.dumps(value)).encode()
        headers = httputil.HTTPHeaders(_SAFE_HEADERS)
        headers["Content-Type"] = "text/html; charset=UTF-8" if self._wants_page else "application/json"
        headers["Content-Length"] = str(len(content))
        if self._closes:
            headers["Connection"] = "close"
        if status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = str(_RETRY_AFTER_SECONDS)
        line = httputil.ResponseStartLine("", status, HTTPStatus(status).phrase)
        self._connection.write_headers(line, headers, None if self._start.method == "HEAD" else content)
        self._connection.finish()


def _exceeds(announced: str, limit: int) -> bool:
    """Say whether a ``Content-Length`` is over a limit; what is no number is the HTTP parser's to refuse."""
    return announced.isdecimal() and (len(announced) > len(str(limit)) or int(announced) > limit)
