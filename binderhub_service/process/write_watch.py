"""May the service's database be written to? Tried now and then, for the log and a metric."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from ..errors import Unavailable

log = logging.getLogger("binderhub_service")


class WriteWatch:
    """Knows whether the last write went well, and says once when that changes.

    Args:
        write: writes something; raises `Unavailable` if that cannot be done.
        note: called with whether it could be done.
    """

    def __init__(self, write: Callable[[], Awaitable[None]], note: Callable[[bool], None]) -> None:
        self._write = write
        self._note = note
        self._went_well = True

    async def look(self) -> None:
        """Try a write."""
        before = self._went_well
        try:
            await self._write()
        except Unavailable as error:
            self._went_well = False
            if before:
                log.warning("Nothing can be stored now: %s", error.message)
        else:
            self._went_well = True
            if not before:
                log.warning("The service's database can be written to again.")
        self._note(self._went_well)
