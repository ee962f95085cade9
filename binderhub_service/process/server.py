"""The HTTP server in front of the application: where it listens, from its first moment on, and what it waits for meanwhile."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_unix_socket

from ..errors import Unavailable
from .receiving import RequestReceiver, ServerLimits

T = TypeVar("T")
log = logging.getLogger("binderhub_service")
_WAIT_SECONDS = 1.0
_BACKLOG = 128
_ANY_SIZE = 2**62  # what is too large is thrown away as it comes, for as long as a body may take, and then refused in a sentence


class BoundedServer(RequestReceiver):
    """A receiver of requests that listens, for connections whose headers, bodies and waits are bounded; see `RequestReceiver` for the arguments."""

    _listening: Sequence[socket.socket] = ()

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
