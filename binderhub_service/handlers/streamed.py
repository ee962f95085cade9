"""Handlers that read bodies as they come, and may answer before a body is there."""

from __future__ import annotations

from asyncio import Future
from typing import Any

from tornado import web


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
