"""A port whose connections are passed on to the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from binderhub_service.process.api_port import pass_on
from tests.harness.ports import free_ports, is_free
from tests.harness.sending import LARGE_BODY, UNREAD_BODY, send_for_ever
from tests.harness.waiting import until, within

STOPPED = b"\r\n\r\nThe service is stopped.\n"


@pytest.fixture
async def passing(tmp_path: Path) -> AsyncIterator[tuple[int, asyncio.Task[None]]]:
    """The port of a service that is stopped, and what passes on what comes there."""
    [port] = free_ports(1)
    task = asyncio.create_task(pass_on(tmp_path / "socket", "127.0.0.1", port))
    await until(lambda: not is_free(port, "127.0.0.1"), "the port")
    yield port, task
    task.cancel()
    await asyncio.wait([task])


@pytest.fixture
def port(passing: tuple[int, asyncio.Task[None]]) -> int:
    """That port."""
    return passing[0]


@pytest.mark.parametrize("body", [b"", b"no json", UNREAD_BODY, LARGE_BODY], ids=len)
async def test_that_the_service_is_stopped_is_told_whatever_is_sent(port: int, body: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with within():
        writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        said = await reader.read()
    assert said.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    assert said.endswith(STOPPED)
    writer.close()


async def test_a_request_that_never_ends_is_not_read_for_ever(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.process.lingering._SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    async with within():
        writer.write(b"PUT / HTTP/1.1\r\n")
        assert (await reader.read()).endswith(STOPPED)
        with pytest.raises(ConnectionError):
            await send_for_ever(writer)
    writer.close()


async def test_connections_end_with_what_passes_them_on(passing: tuple[int, asyncio.Task[None]], tmp_path: Path) -> None:
    port, task = passing
    came, went = asyncio.Event(), asyncio.Event()

    async def service(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        await reader.read()
        writer.close()
        went.set()

    async with await asyncio.start_unix_server(service, tmp_path / "socket"), within():
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await came.wait()
        task.cancel()
        await asyncio.wait([task])
        await went.wait()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
