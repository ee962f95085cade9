"""How often somebody may ask."""

from __future__ import annotations

import hashlib
import hmac
import math
from dataclasses import dataclass

from ..common.forwarded import client_of
from ..errors import TooMany
from ..models import now
from ..store.rates import RateTable


@dataclass(frozen=True)
class RateLimits:
    """How often one client may ask in a period, which begins when it asks first; 0 means no limit.

    Attributes:
        per_address: without a token.
        per_token: with one.
        seconds: how long a period is.
    """

    per_address: int = 0
    per_token: int = 0
    seconds: float = 3600


@dataclass(frozen=True)
class Allowance:
    """What a client has left.

    Attributes:
        limit: how often it may ask in a period.
        remaining: how often it may ask in this one.
        reset: when this one ends, in seconds since 1970.
    """

    limit: int
    remaining: int
    reset: int


class Rates:
    """Counts how often clients ask; the count outlives the service.

    Attributes:
        limits: the usual ones.

    Args:
        secret: what addresses and tokens are made unreadable with before they are stored; the same after a restart.
    """

    def __init__(self, limits: RateLimits, table: RateTable, secret: bytes) -> None:
        self.limits = limits
        self._table = table
        self._secret = secret

    async def take_of_address(self, address: str) -> Allowance | None:
        """Count a request without a token; return what its address has left, None where there is no limit. Raises as `take_of_person`."""
        return await self._take("address", client_of(address), self.limits.per_address)

    async def take_of_token(self, token: str) -> Allowance | None:
        """Count a request with a build token; return what the token has left, None where there is no limit. Raises as `take_of_person`."""
        return await self._take("token", token, self.limits.per_token)

    async def take_of_person(self, name: str, limit: int) -> Allowance | None:
        """Count a request of somebody who has a login or a token of the hub; return what they have left, None where there is no limit.

        Args:
            name: whose they are: with another token they are the same.
            limit: how often they may ask in a period; 0 means no limit.

        Raises:
            TooMany: it is used up.
            Unavailable: the store did not answer.
        """
        return await self._take("token", name, limit, hint=f"You may launch {limit} times in {self.limits.seconds:g} seconds.")

    async def _take(self, kind: str, client: str, limit: int, hint: str = "") -> Allowance | None:
        if not limit:
            return None
        key = hmac.new(self._secret, f"rate\0{kind}\0{client}".encode(), hashlib.sha256).hexdigest()
        asked = now()
        period = await self._table.count(key, asked, self.limits.seconds, limit)
        if period.count > limit:
            seconds = max(1, math.ceil((period.ends - asked).total_seconds()))
            sentence = f"Rate limit exceeded. Try again in {seconds} seconds."
            raise TooMany(sentence, code="rate_limit", hint=hint or None, retry_after_seconds=seconds)
        return Allowance(limit, limit - period.count, math.ceil(period.ends.timestamp()))
