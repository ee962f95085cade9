"""An older service's API on a port, by a process beside the service: connections are passed on to it, byte by byte, over a socket in its state.

Two processes cannot have one state, so what is asked is answered by the one service.
"""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

from .lingering import read_to_end

COMMANDS_SOCKET = "commands"  # where the commands on its machine ask a service
_CHUNK_BYTES = 64 * 1024
_AWAY = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain\r\nContent-Length: 24\r\nConnection: close\r\n\r\nThe service is stopped.\n"


def socket_of(state: Path, name: str) -> Path:
    """Return the socket at which the service with a state directory serves an API, for its own user alone."""
    return state / f"{name}.socket"


async def is_served(socket: Path) -> bool:
    """Say whether somebody listens there."""
    try:
        _, writer = await asyncio.open_unix_connection(socket)
    except OSError:
        return False
    writer.close()
    return True


async def pass_on(socket: Path, address: str, port: int) -> None:
    """Pass on whatever comes to a port, until cancelled; while nobody listens at the socket, that is said with 503.

    Raises:
        OSError: the port cannot be had.
    """

    open_connections: set[asyncio.StreamWriter] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.add(writer)
        try:
            with contextlib.suppress(ConnectionError):
                await _pass_on(socket, reader, writer)
        finally:
            open_connections.discard(writer)
            writer.close()

    with contextlib.closing(await asyncio.start_server(connected, address, port)):
        try:
            await asyncio.Event().wait()
        finally:  # from Python 3.12 on, `Server.serve_forever` would not end before they do
            for writer in open_connections:
                writer.transport.abort()


async def _pass_on(socket: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        from_service, to_service = await asyncio.open_unix_connection(socket)
    except OSError:
        writer.write(_AWAY)
        writer.write_eof()
        await read_to_end(reader)
        return
    sending = asyncio.create_task(_copy(reader, to_service))
    try:
        await _copy(from_service, writer)
        sending.cancel()
        await asyncio.wait([sending])
        await read_to_end(reader)
    finally:
        sending.cancel()
        to_service.close()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the source ends, and let the target know."""
    with contextlib.suppress(ConnectionError):
        while chunk := await source.read(_CHUNK_BYTES):
            target.write(chunk)
            await target.drain()
    with contextlib.suppress(OSError):
        target.write_eof()
