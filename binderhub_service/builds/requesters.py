"""Builds are their requesters' accounts', not their names'."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from cachetools import LRUCache

from ..models import Account, Caller
from ..store.store import Store

_KEPT_ACCOUNTS = 10_000
_SECOND = timedelta(seconds=1)


class Requesters:
    """Brings what is stored about requests to the accounts that made them.

    Earlier versions, and a service that the hub does not tell about accounts, store the name alone. What is stored so becomes the
    account's with its first request, but for builds that are older than the account: they were somebody else's.

    Some databases of hubs keep whole seconds, cut or rounded, which the hub tells from its next start on: the key has then another time by less
    than one second. What is stored so becomes the account's, too.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._adopted: LRUCache[str, bool] = LRUCache(_KEPT_ACCOUNTS)

    async def adopt(self, caller: Caller) -> None:
        """Give the caller what is stored under their name alone; once for each account."""
        account = caller.account
        if account.created is not None and account.key not in self._adopted:
            await self._store.adopt(account.name, account.key, account.created)
            if not account.created.microsecond:
                await self._store.adopt_between(*_keys_around(account, account.created), account.key)
            self._adopted[account.key] = True

    async def note_rename(self, former: Account, account: Account) -> None:
        """Let an account that was renamed keep its builds."""
        await self._store.rename_requester(former.key, account.key)


def _keys_around(account: Account, created: datetime) -> tuple[str, str]:
    """Return the keys of accounts of the same name that are a second older and a second younger; keys sort by time."""
    return replace(account, created=created - _SECOND).key, replace(account, created=created + _SECOND).key
