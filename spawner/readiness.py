"""Does a server answer yet?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator

from .rejection import server_silent

ANSWER_SECONDS = 1.0
# Of the time that a start has: then it is told what it waited for, before it is simply cut.
LAST_MOMENT = 0.85  # KubeSpawner cuts its own at 90 to 110 percent
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_GROWTH = 1.3


def pauses() -> Iterator[float]:
    """Yield how many seconds to wait before each next look, growing: many servers that start at once must not keep their machine from it."""
    return (min(_FIRST_PAUSE_SECONDS * _GROWTH**number, _LONGEST_PAUSE_SECONDS) for number in itertools.count())


async def until_it_answers(host: str, port: int, look: Callable[[], Awaitable[None]], *, start_seconds: float) -> None:
    """Return when a server says anything.

    Args:
        look: called in between; raises a `Rejection` if the server has ended.
        start_seconds: how long it may take.

    Raises:
        Rejection: it has ended, or has not answered in its time.
    """
    try:
        async with asyncio.timeout(start_seconds):
            for pause in pauses():
                if host and await says_anything(host, port):
                    return
                await look()
                await asyncio.sleep(pause)
    except TimeoutError:
        raise server_silent(start_seconds) from None


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
