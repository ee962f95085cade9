"""Who asks: accounts of the hub, and what they come with."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache

_LONGEST_NAME = 200
_KEPT_KEYS = 10_000


@dataclass(frozen=True)
class Account:
    """An account of the hub, or one of its services.

    Attributes:
        name: the user's name now, or ``service:NAME`` for a hub service.
        created: when the hub made the account, in UTC; None for a service, and if the hub does not tell.
    """

    name: str
    created: datetime | None = None

    @property
    def key(self) -> str:
        """What tells the account from all others, also from those that had the name before; at most 255 characters, as the store has place for.

        The name alone where there is no time. No user's name has a slash, so no name is another account's key.
        """
        return self.name if self.created is None else _account_key(self.name, self.created)


@lru_cache(_KEPT_KEYS)
def _account_key(name: str, created: datetime) -> str:
    short = name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()
    return f"{short}/{created.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass(frozen=True)
class Caller:
    """Somebody who asks the service for something, as the hub knows them.

    Attributes:
        name: the user's name, or ``service:NAME`` for a hub service.
        admin: whether they may do everything.
        scopes: the scopes of the token they came with.
        created: when their account was made; None for a service, and if the hub does not tell.
    """

    name: str
    admin: bool = False
    scopes: frozenset[str] = field(default_factory=frozenset)
    created: datetime | None = None

    @property
    def account(self) -> Account:
        """Whose builds they may read."""
        return Account(self.name, self.created)
