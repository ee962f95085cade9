"""What still comes of a request that was answered: what is closed with unread bytes in it is reset, and the answer with it (RFC 9112, 9.6)."""

from __future__ import annotations

import asyncio
import contextlib

_SECONDS = 30  # as nginx does: lingering_time of its core module
_CHUNK_BYTES = 64 * 1024


async def read_to_end(reader: asyncio.StreamReader) -> None:
    """Read until the client has noticed that it was answered, for as long as that may take, and throw it away."""
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_SECONDS):
            while await reader.read(_CHUNK_BYTES):
                pass
