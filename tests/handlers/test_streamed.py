"""Requests that are answered before their bodies are read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tornado import web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets, bind_unix_socket

from binderhub_service.handlers.streamed import StreamedBody
from binderhub_service.process.api_port import pass_on
from tests.harness.ports import free_ports, is_free
from tests.harness.sending import LARGE_BODY, UNREAD_BODY, send_for_ever
from tests.harness.waiting import until, within


class Refusing(StreamedBody):
    """Lets nobody in."""

    async def admit(self) -> None:
        self.set_status(401)
        self.finish("no")


Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(params=["port", "socket", "port that is passed on"])
async def connection(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Connection]:
    """A connection to a server that lets nobody in."""
    server, socket = HTTPServer(web.Application([("/", Refusing)])), tmp_path / "socket"
    server.add_socket(bind_unix_socket(str(socket)))
    [port] = free_ports(1)
    passing = asyncio.create_task(pass_on(socket, "127.0.0.1", port))
    if request.param == "port":
        [listening] = bind_sockets(0, "127.0.0.1")
        server.add_socket(listening)
        reader, writer = await asyncio.open_connection(*listening.getsockname())
    elif request.param == "socket":
        reader, writer = await asyncio.open_unix_connection(socket)
    else:
        await until(lambda: not is_free(port, "127.0.0.1"), "the port")
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    yield reader, writer
    writer.close()
    passing.cancel()
    await asyncio.wait([passing])
    server.stop()
    await server.close_all_connections()


async def test_an_early_answer_reaches_a_client_that_goes_on_sending(connection: Connection) -> None:
    reader, writer = connection
    writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(LARGE_BODY))
    async with within():
        answer = await reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 401 ")
        assert b"\r\nConnection: close\r\n" in answer
        writer.write(LARGE_BODY)
        await writer.drain()
        assert await reader.read() == b"no"


async def test_an_early_answer_is_not_lost_with_the_body_that_nobody_read(connection: Connection) -> None:
    reader, writer = connection
    writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(UNREAD_BODY) + UNREAD_BODY)
    async with within():
        assert (await reader.read()).endswith(b"\r\n\r\nno")


async def test_a_request_that_never_ends_is_not_read_for_ever(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.process.lingering._SECONDS", 0.05)
    reader, writer = connection
    writer.write(b"PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(LARGE_BODY))
    async with within():
        assert await reader.read()
        with pytest.raises(ConnectionError):
            await send_for_ever(writer)
