"""Does a server answer yet?"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from .rejection import server_silent, start_too_long

ANSWER_SECONDS = 1.0
# What knows why a server does not answer says so when its time is over; only then is the start simply cut.
LAST_WORD_SECONDS = 10
_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 1.0
_GROWTH = 1.1  # so that an answer is noticed late by a tenth of the wait for it, at most


@dataclass(frozen=True)
class StartTime:
    """The time that a start has until its server answers: `start_timeout` and `http_timeout` together, in all modes.

    The hub gives a server the one to start and the other to answer. A start of ours ends when the server answers, because only what
    watches a server while it starts knows why it does not; so it has both.

    Attributes:
        seconds: how long it is, for people.
        ends_at: in the event loop's time.
    """

    seconds: float
    ends_at: float

    @classmethod
    def from_now(cls, start_timeout: float, http_timeout: float) -> Self:
        """Return the time of a start that begins now."""
        seconds = start_timeout + http_timeout
        return cls(seconds, asyncio.get_running_loop().time() + seconds)


def pauses() -> Iterator[float]:
    """Yield how many seconds to wait before each next look, growing: many servers that start at once must not keep their machine from it."""
    return (min(_FIRST_PAUSE_SECONDS * _GROWTH**number, _LONGEST_PAUSE_SECONDS) for number in itertools.count())


async def until_it_answers(host: str, port: int, look: Callable[[], Awaitable[None]], time: StartTime) -> None:
    """Return when a server says anything.

    Args:
        look: called in between; raises a `Rejection` if the server has ended.
        time: how long it may take.

    Raises:
        Rejection: it has ended, or has not answered in its time.
    """
    try:
        async with asyncio.timeout_at(time.ends_at):
            for pause in pauses():
                if host and await says_anything(host, port):
                    return
                await look()
                await asyncio.sleep(pause)
    except TimeoutError:
        raise server_silent(time.seconds) from None


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


async def in_time(starting: Awaitable[Any], seconds: float) -> Any:
    """Return what a spawner's start returns, which has the time that a hub gives a server to start and to answer.

    A spawner that watches its server knows more to say when that is over, so it is given a moment to say it.

    Raises:
        Rejection: the time is over.
    """
    try:
        async with asyncio.timeout(seconds + LAST_WORD_SECONDS) as limit:
            return await starting
    except TimeoutError:
        if limit.expired():
            raise start_too_long(seconds) from None
        raise
