"""Handlers that read bodies as they come, and may answer before a body is there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from asyncio import Future
from typing import Any

from tornado import web
from tornado.http1connection import HTTP1Connection
from tornado.ioloop import IOLoop

from ..clients.contents import ContentWriter
from ..process.lingering import read_to_end


@web.stream_request_body
class StreamedBody(web.RequestHandler):
    """Comes first among a handler's bases; what is to be checked before the body is read is in `admit`.

    Tornado closes a connection whose request was answered before its body was read, and does not say so: the hub's proxy would send the next
    person's request into the closed connection, and answer it with 503. And what is closed with unread bytes in it is reset, which may reach the
    client before the answer does (RFC 9112, 9.6): the rest of such a request is read, and thrown away.
    """

    _is_admitted = False

    async def admit(self) -> None:
        """Refuse a request, or answer it, before its body is read."""

    async def prepare(self) -> None:
        """Check the request."""
        await self.admit()
        self._is_admitted = True

    def finish(self, chunk: Any = None) -> Future[None]:
        """Finish; say that the connection is closed if it will be."""
        if self._is_admitted:
            return super().finish(chunk)
        self.set_header("Connection", "close")
        rest = _second_socket(self.request.connection)
        sent = super().finish(chunk)
        if rest:
            IOLoop.current().spawn_callback(_read_to_end, rest, sent)
        return sent


class KeptBody(StreamedBody):
    """A body that is written to the disk as it comes; what is not kept in the end is removed."""

    _writer: ContentWriter | None = None

    def on_finish(self) -> None:
        """Remove what is not kept."""
        self._end()

    def on_connection_close(self) -> None:
        """Remove what has come of a body whose sender has gone."""
        super().on_connection_close()
        self._end()

    def _end(self) -> None:
        if self._writer:
            self._writer.discard()


def _second_socket(connection: object) -> socket.socket | None:
    """Return a connection's socket once more, which Tornado does not close; None if the client has gone."""
    if not isinstance(connection, HTTP1Connection) or connection.stream.closed():
        return None
    second = socket.socket(fileno=os.dup(connection.stream.socket.fileno()))
    second.setblocking(False)
    return second


async def _read_to_end(rest: socket.socket, sent: Future[None]) -> None:
    """Read what still comes of a request, once its answer was sent."""
    with rest, contextlib.suppress(OSError):  # the client has gone
        await sent
        reader, writer = await asyncio.open_connection(sock=rest)
        with contextlib.closing(writer):
            writer.write_eof()
            await read_to_end(reader)
