"""A person's account of the hub, in the hub's own process: told from all others, also from those that had the name before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# What is written on volumes and claims that are homes: whose, and which of the person's.
ACCOUNT_LABEL, HOME_LABEL = "binder.account", "binder.home"


@dataclass(frozen=True)
class HomeOwner:
    """An account of the hub, to which homes belong.

    The hub numbers accounts anew when the last one is deleted, so an account is its number and when it was made.

    Attributes:
        created: when it was made, in UTC.
    """

    number: int
    name: str
    created: datetime

    @property
    def key(self) -> str:
        """Tells the account from all others, also from those that are gone; it stays when the account is renamed.

        Digits and one ``-``, so that it can be a label and a part of a name everywhere.
        """
        return f"{self.created:%Y%m%d%H%M%S%f}-{self.number}"

    def owns(self, written: str, made: datetime | None) -> bool:
        """Say whether a volume is the account's: it is written on it, or nothing is and it is not older than the account.

        Args:
            written: the key on it; empty if there is none.
            made: when it was made, in UTC and maybe in whole seconds; None if nobody knows.
        """
        if written:
            return written == self.key
        return made is not None and made >= self.created.replace(microsecond=0)

    @property
    def not_theirs(self) -> str:
        """A sentence for the person, about a home of somebody else who had the name."""
        return f"The files of an earlier account named {self.name} are not yours, so you have a new home; an administrator of this hub has the old."


def account_of(number: int, name: str, created: datetime) -> HomeOwner:
    """Return an account as the hub's database has it: with a time in UTC that does not say so."""
    return HomeOwner(number, name, created if created.tzinfo else created.replace(tzinfo=UTC))


def account_of_user(user: Any) -> HomeOwner:
    """Return the account of a user of jupyterhub's, with the time as the database keeps it.

    The hub itself holds another one until it is restarted, where the database keeps whole seconds, as MySQL does.
    """
    user.db.refresh(user.orm_user, ["created"])
    return account_of(user.id, user.name, user.created)
