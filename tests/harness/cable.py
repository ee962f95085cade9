"""A way to a server that can be cut."""

from __future__ import annotations

import contextlib
import select
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit


class Cable:
    """Passes connections on to a server, until they are cut; new ones are passed on again.

    Attributes:
        url: leads to where the server's own address leads.
        connections: how many there have been.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        assert parts.port
        self._server = _Server(parts.hostname, parts.port)
        self.url = parts._replace(netloc=f"127.0.0.1:{self._server.server_address[1]}").geturl()

    @property
    def connections(self) -> int:
        return self._server.connections

    @contextmanager
    def running(self) -> Iterator[Cable]:
        """Pass on while the block runs."""
        thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self.cut()
            self._server.server_close()
            thread.join()

    def cut(self) -> None:
        """Cut all connections that there are."""
        for connection in list(self._server.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Pass)
        self.target = (host, port)
        self.connections = 0
        self.open: set[socket.socket] = set()


class _Pass(socketserver.BaseRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.connections += 1
        self.server.open.add(self.request)
        with socket.create_connection(self.server.target) as target, contextlib.suppress(OSError):
            other_end = {self.request: target, target: self.request}
            while True:
                for ready in select.select(list(other_end), [], [])[0]:
                    if not (chunk := ready.recv(65536)):
                        return
                    other_end[ready].sendall(chunk)

    def finish(self) -> None:
        self.server.open.discard(self.request)
