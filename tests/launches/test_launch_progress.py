"""A hub's progress of a server that starts, as the service reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from binderhub_service.errors import Unavailable
from binderhub_service.launches.launch_progress import LaunchFailed, follow_launch

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
FIRST = b'data: {"progress": 0, "message": "Server requested"}\n\n'


@pytest.fixture
async def silent_hub() -> AsyncIterator[str]:
    """The API of a hub that tells the first event and nothing more, and does not hang up."""
    over = asyncio.Event()

    async def tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(HEAD + FIRST)
        await writer.drain()
        await over.wait()
        writer.close()

    server = await asyncio.start_server(tell, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hub/api"
    over.set()
    server.close()
    await server.wait_closed()


async def test_a_server_that_takes_too_long_is_told_in_binderhubs_words(silent_hub: str) -> None:
    progress = follow_launch(silent_hub, "t", "alice", "x", "registry/i:1", seconds=1)
    assert await anext(progress) == "Server requested"
    with pytest.raises(LaunchFailed) as failed:
        await anext(progress)
    assert failed.value.message == "Image registry/i:1 for user alice took too long to launch"


async def test_a_hub_that_is_away_is_not_a_server_that_failed() -> None:
    with pytest.raises(Unavailable, match="The hub stopped telling"):
        await anext(follow_launch("http://127.0.0.1:9/hub/api", "t", "alice", "x", "registry/i:1", seconds=5))
