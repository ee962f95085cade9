"""Handlers that read bodies as they come, and may answer before a body is there."""

from __future__ import annotations

from asyncio import Future
from typing import Any

from tornado import web

from ..clients.contents import ContentWriter


@web.stream_request_body
class StreamedBody(web.RequestHandler):
    """Comes first among a handler's bases; what is to be checked before the body is read is in `admit`.

    Tornado closes a connection whose request was answered before its body was read, and does not say so: the hub's proxy would send the next
    person's request into the closed connection, and answer it with 503.
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
        if not self._is_admitted:
            self.set_header("Connection", "close")
        return super().finish(chunk)


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
