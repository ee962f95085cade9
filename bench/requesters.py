"""The clients of `bench.asks`, a process of its own: many connections that are kept, each asks again as soon as it is answered.

    python -m bench.requesters HOST PORT CONNECTIONS ASKS < REQUEST

REQUEST is the whole request, head and body. It prints one JSON object: seconds, statuses by count, and percentiles.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

from bench.measure import percentile

_READ_BYTES = 64 * 1024


@dataclass
class Client:
    """One connection."""

    connection: socket.socket
    left: int
    sent_at: float = 0.0
    _rest: bytes = field(default=b"", repr=False)

    def ask(self, request: bytes) -> None:
        """Send the next request."""
        self.left -= 1
        self.sent_at = time.perf_counter()
        self.connection.sendall(request)

    def read(self) -> bytes | None:
        """Return the status of the answer that is now complete, else None."""
        arrived = self.connection.recv(_READ_BYTES)
        assert arrived, "the server closed a connection that should be kept"
        self._rest += arrived
        head_end = self._rest.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        length_at = self._rest.index(b"Content-Length: ") + 16
        length = int(self._rest[length_at : self._rest.index(b"\r\n", length_at)])
        if len(self._rest) < head_end + 4 + length:
            return None
        status, self._rest = self._rest[9:12], b""
        return status


def main(host: str, port: int, connections: int, asks: int) -> None:
    """Ask until every client has had all its answers."""
    request = sys.stdin.buffer.read()
    selector = selectors.DefaultSelector()
    clients = [Client(socket.create_connection((host, port)), asks) for _ in range(connections)]
    statuses: Counter[str] = Counter()
    seconds: list[float] = []
    begun = time.perf_counter()
    for client in clients:
        selector.register(client.connection, selectors.EVENT_READ, client)
        client.ask(request)
    while selector.get_map():
        for key, _ in selector.select():
            client = key.data
            if (status := client.read()) is None:
                continue
            seconds.append(time.perf_counter() - client.sent_at)
            statuses[status.decode()] += 1
            if client.left:
                client.ask(request)
            else:
                selector.unregister(key.fileobj)
    took = time.perf_counter() - begun
    print(json.dumps({"seconds": took, "statuses": statuses, "median": percentile(seconds, 0.5), "p99": percentile(seconds, 0.99)}))


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:5]))
