"""Builds are their requesters' accounts', not their names'."""

from __future__ import annotations

from cachetools import LRUCache

from ..models import Account, Caller
from ..store.store import Store

_KEPT_ACCOUNTS = 10_000


class Requesters:
    """Brings what is stored about requests to the accounts that made them.

    Earlier versions, and a service that the hub does not tell about accounts, store the name alone. What is stored so becomes the
    account's with its first request, but for builds that are older than the account: they were somebody else's.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._adopted: LRUCache[str, bool] = LRUCache(_KEPT_ACCOUNTS)

    async def adopt(self, caller: Caller) -> None:
        """Give the caller what is stored under their name alone; once for each account."""
        account = caller.account
        if account.created is not None and account.key not in self._adopted:
            await self._store.adopt(account.name, account.key, account.created)
            self._adopted[account.key] = True

    async def note_rename(self, former: Account, account: Account) -> None:
        """Let an account that was renamed keep its builds."""
        await self._store.rename_requester(former.key, account.key)
