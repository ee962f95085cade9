"""What ends the service before somebody stops it: each waits, and returns a sentence when it is time."""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from .errors import BinderError
from .state_lock import HubProcess

log = logging.getLogger("binderhub_service")
_HUB_SECONDS = 1.0
_DATABASE_SECONDS = 2.0


class LeasedDatabase(Protocol):
    """A database that one service has at a time."""

    @property
    def lost(self) -> bool:
        """Whether another service has it."""

    async def check(self) -> None:
        """Raise `BinderError` unless it answers."""


async def end_of_hub(pid: int) -> str:
    """Wait until the hub that started the service has ended: the next hub starts its own."""
    hub = HubProcess(pid)
    while not hub.is_gone():
        await asyncio.sleep(_HUB_SECONDS)
    return f"The hub that started this service (process {pid}) has ended, and so does the service; builds go on."


async def loss_of_database(database: LeasedDatabase) -> str:
    """Wait until another service has taken the database over; the log says when it does not answer, and when it does again."""
    answers = True
    while True:
        await asyncio.sleep(_DATABASE_SECONDS)
        try:
            await database.check()
        except BinderError as error:
            if database.lost:
                return "Another service has taken the database over while this one had no connection to it, so this one ends; builds go on."
            if answers:
                log.warning("%s It is asked again every %g seconds.", error.message, _DATABASE_SECONDS)
            answers = False
        else:
            if not answers:
                log.warning("The service's database answers again.")
            answers = True
