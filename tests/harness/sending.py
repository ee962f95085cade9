"""Clients that go on sending, whatever they are answered."""

from __future__ import annotations

import asyncio

LARGE_BODY = b"x" * 5_000_000  # more than the buffers of a connection hold
UNREAD_BODY = LARGE_BODY[:150_000]  # more than a server reads at once, and not more than buffers hold


async def send_for_ever(writer: asyncio.StreamWriter) -> None:
    """Send until the connection is closed, which raises `ConnectionError`."""
    while True:
        writer.write(UNREAD_BODY)
        await writer.drain()
