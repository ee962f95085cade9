"""Server-sent events to a client that may go away at any time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from tornado.iostream import StreamClosedError

from .base import ApiHandler


class StreamHandler(ApiHandler):
    """A handler that answers with a stream of events."""

    def initialize(self) -> None:
        """Prepare for the client to go away."""
        self._gone = asyncio.Event()

    def on_connection_close(self) -> None:
        """End the stream."""
        self._gone.set()

    async def stream(self, frames: AsyncGenerator[bytes], keepalive: bytes, every_seconds: float) -> None:
        """Send frames as they come, and a comment whenever there was none for a while, until there are no more or the client is gone."""
        self.set_header("Content-Type", "text/event-stream")
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        gone = asyncio.create_task(self._gone.wait())
        try:
            with contextlib.suppress(StreamClosedError):  # the client has gone while something was being sent
                await self.flush()
                async with aclosing(frames):
                    await self._send(frames, gone, keepalive, every_seconds)
        finally:
            gone.cancel()

    async def _send(self, frames: AsyncGenerator[bytes], gone: asyncio.Task[bool], keepalive: bytes, every_seconds: float) -> None:
        coming: asyncio.Future[bytes] = asyncio.ensure_future(anext(frames))
        try:
            while not gone.done():
                waited_for: list[asyncio.Future[Any]] = [coming, gone]
                await asyncio.wait(waited_for, timeout=every_seconds, return_when=asyncio.FIRST_COMPLETED)
                if not coming.done():
                    self.write(keepalive)
                else:
                    self.write(coming.result())
                    coming = asyncio.ensure_future(anext(frames))
                await self.flush()
        except StopAsyncIteration:
            return
        finally:
            coming.cancel()
            await asyncio.wait([coming])
