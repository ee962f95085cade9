"""What ends the service before somebody stops it: each waits, and returns a sentence when it is time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Protocol

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

from ..errors import BinderError
from .state_lock import HubProcess

log = logging.getLogger("binderhub_service")
_HUB_SECONDS = 1.0
_DATABASE_SECONDS = 2.0
_TOKEN_SECONDS = 15.0
_REFUSALS = 5
_ANSWER_SECONDS = 10.0
_OF_A_HUB = "X-JupyterHub-Version"


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


async def is_token_refused(api_url: str, token: str) -> bool:
    """Say whether the hub itself, and not a proxy in front of it, refuses a token; no answer and other answers are no refusal."""
    try:
        reply = await AsyncHTTPClient().fetch(
            f"{api_url}/user", headers={"Authorization": f"token {token}"}, request_timeout=_ANSWER_SECONDS, raise_error=False, follow_redirects=False
        )
    except (HTTPClientError, OSError):
        return False
    return reply.code in {401, 403} and _OF_A_HUB in reply.headers


async def refusal_of_token(is_refused: Callable[[], Awaitable[bool]], every_seconds: float = _TOKEN_SECONDS) -> str:
    """Wait until the hub has refused the service's own token several times on end: it was started anew with other tokens.

    One answer in between that is no refusal, also none at all, begins the count anew: a hub that is away comes back.
    """
    refusals = 0
    while refusals < _REFUSALS:
        await asyncio.sleep(every_seconds)
        refusals = refusals + 1 if await is_refused() else 0
        if refusals == 1:
            log.warning("The hub refuses this service's own token; the service ends if it does so %d times on end.", _REFUSALS)
    return (
        f"The hub has refused this service's own token {_REFUSALS} times on end: it was started anew with other tokens, or JUPYTERHUB_API_TOKEN is "
        "wrong. So the service ends; builds go on."
    )
