"""Does a server answer yet?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from .rejection import server_silent

ANSWER_SECONDS = 1.0
# Of the time that a start has: then it is told what it waited for, before it is simply cut.
LAST_MOMENT = 0.85  # KubeSpawner cuts its own at 90 to 110 percent


async def until_it_answers(host: str, port: int, look: Callable[[], Awaitable[None]], *, start_seconds: float, every_seconds: float) -> None:
    """Return when a server says anything.

    Args:
        look: called in between; raises a `Rejection` if the server has ended.
        start_seconds: how long the whole start may take.

    Raises:
        Rejection: it has ended, or has not answered in almost all the time that it has.
    """
    seconds = LAST_MOMENT * start_seconds
    try:
        async with asyncio.timeout(seconds):
            while not (host and await says_anything(host, port)):
                await look()
                await asyncio.sleep(every_seconds)
    except TimeoutError:
        raise server_silent(seconds) from None


async def says_anything(host: str, port: int) -> bool:
    """Say whether a server there answers; whatever forwards to it may accept connections before there is one."""
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(b"HEAD / HTTP/1.0\r\n\r\n")
                return bool(await reader.read(1))
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
