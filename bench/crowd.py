"""The crowd of `bench.followers`, a process of its own: reads many event streams at once and counts cheaply.

    python -m bench.crowd HOST PORT PATH TOKEN FOLLOWERS

It prints ``connected`` when every stream has begun, then, when all have ended, one JSON object per stream. All streams of one
build must be the same bytes, so it only sums them up; what the bytes should be, `bench.followers` finds out once.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
import zlib
from dataclasses import dataclass, field

_READ_BYTES = 1024 * 1024
_LINE = b"\nevent: log\n"


@dataclass
class Stream:
    """One connection, read as chunked HTTP.

    Attributes:
        lines: how many lines of the log arrived; counted chunk by chunk, because no event is torn in two.
        size: how many bytes arrived, without comments.
        checksum: of everything that arrived but comments.
        ended_at: when the server closed the stream, on the machine's monotonic clock; 0 before.
    """

    connection: socket.socket
    began: bool = False
    lines: int = 0
    size: int = 0
    checksum: int = 0
    ended_at: float = 0.0
    _rest: bytes = field(default=b"", repr=False)

    def read(self) -> bool:
        """Take what has arrived; say whether there may be more."""
        arrived = self.connection.recv(_READ_BYTES)
        self._rest += arrived
        if not self.began:
            self._take_head()
        if self.began:
            self._take_chunks()
        if not arrived:
            self.ended_at = self.ended_at or time.monotonic()
        return not self.ended_at

    def _take_head(self) -> None:
        head, found, rest = self._rest.partition(b"\r\n\r\n")
        if found:
            assert head.startswith(b"HTTP/1.1 200"), head[:200]
            assert b"transfer-encoding: chunked" in head.lower(), head
            self.began, self._rest = True, rest

    def _take_chunks(self) -> None:
        at = 0
        while (line_end := self._rest.find(b"\r\n", at)) >= 0:
            size = int(self._rest[at:line_end], 16)
            end = line_end + 2 + size
            if len(self._rest) < end + 2:
                break
            self._take(self._rest[line_end + 2 : end])
            at = end + 2
            if size == 0:
                self.ended_at = time.monotonic()
        self._rest = self._rest[at:]

    def _take(self, payload: bytes) -> None:
        if not payload.startswith(b":"):
            self.size += len(payload)
            self.lines += payload.count(_LINE)
            self.checksum = zlib.crc32(payload, self.checksum)


def main(host: str, port: int, path: str, token: str, followers: int) -> None:
    """Follow until every stream has ended."""
    selector = selectors.DefaultSelector()
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: token {token}\r\nAccept: text/event-stream\r\n\r\n".encode()
    streams = []
    for _ in range(followers):
        stream = Stream(socket.create_connection((host, port)))
        stream.connection.sendall(request)
        selector.register(stream.connection, selectors.EVENT_READ, stream)
        streams.append(stream)
    told = False
    while selector.get_map():
        for key, _ in selector.select():
            if not key.data.read():
                selector.unregister(key.fileobj)
                key.data.connection.close()
        if not told and all(stream.began for stream in streams):
            print("connected", flush=True)
            told = True
    for stream in streams:
        print(json.dumps({"lines": stream.lines, "bytes": stream.size, "checksum": stream.checksum, "ended_at": stream.ended_at}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
