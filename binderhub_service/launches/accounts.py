"""Whose account of the hub is it? A name is used again after its account is deleted; an account is its name and when it was made."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import quote

from cachetools import LRUCache, TTLCache
from tornado.httpclient import HTTPResponse

from ..clients.hub import ask_hub, object_of
from ..errors import NotAllowed, Unavailable
from ..models import Account

log = logging.getLogger("binderhub_service")

SCOPE = "read:users"
_SECONDS = 20.0
_SILENCE_SECONDS = 60.0
_KEPT_TOKENS = 10_000
_KEPT_NAMES = 1000
# How JupyterHub 5.5 and 6.1 begin to refuse a token that is good, but may not do this.
_NOT_GIVEN = "Action is not authorized"
_NOT_TOLD = (
    "The hub does not tell this service when accounts were made, so builds belong to names: a new account with the name of a deleted one "
    f"can read the builds of that name. Give the service a role with the scope {SCOPE}."
)


class HubAccounts:
    """Tells accounts by the hub's REST API.

    A token belongs to one account for as long as it lives, so the account of a token and a name is asked for once. A token that comes
    with another name, and an account made at the same time, is proof that the account was renamed. The time alone is none: accounts that a
    hub had before JupyterHub 0.9 all have the time of that upgrade, and some databases keep whole seconds.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        token: the service's own; it needs the scope ``read:users``, because no smaller one tells the time.
        on_rename: called with an account that was renamed, as it was and as it is; what it raises, `of` raises.
    """

    def __init__(self, hub_api_url: str, token: str, on_rename: Callable[[Account, Account], Awaitable[None]]) -> None:
        self._url = f"{hub_api_url.rstrip('/')}/users"
        self._token = token
        self._on_rename = on_rename
        self._known: LRUCache[bytes, Account] = LRUCache(_KEPT_TOKENS)
        self._not_told: TTLCache[str, bool] = TTLCache(_KEPT_NAMES, _SILENCE_SECONDS)
        self._has_said = False

    async def of(self, token: str, name: str) -> Account:
        """Return the account that a token belongs to.

        Args:
            token: the person's; of it, only a digest is kept.
            name: the account's name, as the hub answered for this token.

        Returns:
            The account; without a time if the hub does not tell it, which is said once in the log and asked again after a minute.

        Raises:
            NotAllowed: the hub has no such account any more, or does not show it to the service.
            Unavailable: the hub did not answer, or refuses the service's own token.
        """
        digest = hashlib.sha256(token.encode()).digest()
        known = self._known.get(digest)
        if known is not None and known.name == name:
            return known
        account = Account(name, await self._created(name))
        if account.created is None:
            return account
        if known is not None and known.created == account.created:
            await self._on_rename(known, account)
        self._known[digest] = account
        return account

    async def check(self) -> None:
        """Raise `Unavailable` if the hub did not tell, in the last minute, when an account was made."""
        if self._not_told:
            raise Unavailable(_NOT_TOLD, code="hub_unavailable")

    async def _created(self, name: str) -> datetime | None:
        if name in self._not_told:
            return None
        answer = await self._ask(name)
        told = object_of(answer)
        if answer.code == 404:
            raise NotAllowed(
                "The hub does not tell this service about your account.",
                hint=f"Sign in again; if that does not help, ask an administrator: the service needs the scope {SCOPE} for all users.",
            )
        is_not_given = answer.code == 403 and str(told.get("message")).startswith(_NOT_GIVEN)
        if answer.code != 200 and not is_not_given:
            raise _away("The hub did not tell this service whose account this is.")
        created = told.get("created") if answer.code == 200 else None
        if not created:
            self._note_silence(name)
            return None
        return _time(created)

    def _note_silence(self, name: str) -> None:
        self._not_told[name] = True
        if not self._has_said:
            log.warning(_NOT_TOLD)
        self._has_said = True

    async def _ask(self, name: str) -> HTTPResponse:
        return await ask_hub("GET", f"{self._url}/{quote(name, safe='@~')}", self._token, seconds=_SECONDS)


def _time(text: object) -> datetime:
    """Return a time as the hub writes it, in UTC."""
    try:
        time_ = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise _away("The hub told a time that is none.") from error
    return time_.astimezone(UTC) if time_.tzinfo else time_.replace(tzinfo=UTC)


def _away(message: str) -> Unavailable:
    return Unavailable(message, code="hub_unavailable", hint="Try again in a moment.")
