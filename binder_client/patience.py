"""How long somebody goes on asking who gets no answer."""

from __future__ import annotations

import asyncio

from .answers import unavailable

FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 5.0
LASTING_SECONDS = 1.0


class Patience:
    """Waits that grow, until `seconds` have passed without an answer.

    A connection that lasted is an answer, though nothing was said on it; a connection that ends at once is none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._connected_at: float | None = None
        self.renew()

    def connected(self) -> None:
        """Note that there is a connection."""
        self._connected_at = asyncio.get_running_loop().time()

    def renew(self) -> None:
        """Begin anew: there was an answer."""
        self._end = asyncio.get_running_loop().time() + self._seconds
        self._wait_seconds = FIRST_WAIT_SECONDS

    async def wait(self, cause: BaseException | None) -> None:
        """Wait before asking again.

        Raises:
            ServiceError: the patience is at its end.
        """
        if self._connected_at is not None and asyncio.get_running_loop().time() - self._connected_at >= LASTING_SECONDS:
            self.renew()
        self._connected_at = None
        left_seconds = self._end - asyncio.get_running_loop().time()
        if left_seconds <= 0:
            raise unavailable(cause) from cause
        await asyncio.sleep(min(self._wait_seconds, left_seconds))
        self._wait_seconds = min(2 * self._wait_seconds, LONGEST_WAIT_SECONDS)
