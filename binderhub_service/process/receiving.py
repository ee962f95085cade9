"""Requests on their way to the application: what they may take of this process is bounded, and while there is no application yet, they hear why."""

from __future__ import annotations

import html
import json
import socket
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from tornado import httputil

from .. import __version__
from ..common.forwarded import Network, client_address
from ..errors import BinderError, BodyTooLarge, Unavailable

_RETRY_AFTER_SECONDS = 5
_STREAMED_SECONDS = 1800.0
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


class RequestReceiver(httputil.HTTPServerConnectionDelegate):
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


class _Request(httputil.HTTPMessageDelegate):
    """A request on its way to the application, or to a refusal.

    The body of a request that is refused is thrown away as it comes: who sends it would not hear the answer if the connection were closed.
    What becomes of a request is decided when its headers are there; a connection that waits for its next one has an object already.
    """

    def __init__(self, receiver: RequestReceiver, server_conn: object, connection: httputil.HTTPConnection) -> None:
        self._receiver = receiver
        self._server_conn = server_conn
        self._connection = connection
        self._application: httputil.HTTPMessageDelegate | None = None
        self._start = httputil.RequestStartLine("GET", "/", "HTTP/1.1")
        self._wants_page = False
        self._is_the_hubs = False
        self._too_large = False
        self._closes = False
        self._received = 0
        self._limit_bytes = receiver.limits.body_bytes

    def headers_received(
        self, start_line: httputil.RequestStartLine | httputil.ResponseStartLine, headers: httputil.HTTPHeaders
    ) -> Awaitable[None] | None:
        """Hand the headers on, unless there is no application or they announce too large a body."""
        if isinstance(start_line, httputil.RequestStartLine):
            self._start = start_line
        self._wants_page = "text/html" in headers.get("Accept", "")
        self._is_the_hubs = "X-Forwarded-For" not in headers  # what comes from people comes through the hub's proxy
        for beginning, limit in self._receiver.streamed.items():
            if self._start.path.startswith(beginning):
                self._limit_bytes = limit
                self._connection.set_body_timeout(_STREAMED_SECONDS)  # type: ignore[attr-defined]  # HTTP1Connection's
        self._too_large = _exceeds(headers.get("Content-Length", ""), self._limit_bytes)
        if self._too_large and "Expect" in headers:  # who sends it waits for a word before the body
            self._closes = True
            self.finish()
        if self._too_large or self._receiver.application is None:
            return None
        self._note_client(headers.get("X-Forwarded-For", "") if self._receiver.is_behind_proxy else "")
        self._application = self._receiver.application.start_request(self._server_conn, self._connection)
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
            self._refuse(Unavailable(self._receiver.reason, code="service_starting", hint="Try again in a moment; nothing was lost."))

    def _is_answered_early(self) -> bool:
        alive, home = self._receiver.answered_early
        return self._start.path == alive or (self._is_the_hubs and self._start.path == home)

    def _note_client(self, forwarded_for: str) -> None:
        """Let the request have the client's address; Tornado alone would take a header's (X-Real-Ip) that no proxy of the hub's replaces."""
        context = getattr(self._connection, "context", None)
        if context is not None and context.address_family in {socket.AF_INET, socket.AF_INET6}:
            context.remote_ip = client_address(context.address[0], forwarded_for, self._receiver.limits.trusted_proxies)

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
