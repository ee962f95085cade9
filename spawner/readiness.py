"""Does a server answer yet?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, Self

from .rejection import server_silent, start_too_long

ANSWER_SECONDS = 1.0
# What knows why a server does not answer says so when its time is over; only then is the start simply cut.
LAST_WORD_SECONDS = 10
_LOOKS_A_SECOND = 20  # at all servers together that start
_LATE_BY = 0.025  # of the wait for an answer, at most, where few servers start
_LONGEST_PAUSE_SECONDS = 1.0


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


class Looks:
    """Looks at servers that start, until they answer: often at few, seldom at many, which must not keep their machine from starting them.

    Before each next look is a pause of a 40th of what the server has taken so far, or longer if there would be more than 20 looks a second
    together; at most a second.

    Args:
        clock: the time in seconds.
        sleep: waits for some seconds.
    """

    def __init__(self, clock: Callable[[], float] = monotonic, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._clock = clock
        self._sleep = sleep
        self._watched = 0

    async def until(self, answers: Callable[[], Awaitable[bool]]) -> None:
        """Return when a server answers.

        Args:
            answers: looks whether it does; what it raises ends the looks.
        """
        begun = self._clock()
        self._watched += 1
        try:
            while not await answers():
                await self._sleep(self._pause(self._clock() - begun))
        finally:
            self._watched -= 1

    def _pause(self, waited_seconds: float) -> float:
        return min(max(waited_seconds * _LATE_BY, self._watched / _LOOKS_A_SECOND), _LONGEST_PAUSE_SECONDS)


LOOKS = Looks()
"""At all servers of this hub."""


async def until_it_answers(host: str, port: int, look: Callable[[], Awaitable[None]], time: StartTime) -> None:
    """Return when a server says anything.

    Args:
        look: called in between; raises a `Rejection` if the server has ended.
        time: how long it may take.

    Raises:
        Rejection: it has ended, or has not answered in its time.
    """

    async def answers() -> bool:
        if host and await says_anything(host, port):
            return True
        await look()
        return False

    try:
        async with asyncio.timeout_at(time.ends_at):
            await LOOKS.until(answers)
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
