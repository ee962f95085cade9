"""Users of a public hub: made for one launch, joined by the client that asked, and removed when the launch comes to nothing."""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
import string
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ..errors import Unavailable
from ..store.temporary_users import TemporaryUser, TemporaryUserRecords
from .hub_users import HubUsers

log = logging.getLogger("binderhub_service")
_JOIN_SECONDS = 60.0
_KEPT_SECONDS = 3600.0
_MAX_NAME = 32
_ENDS = 15
_RANDOM = 8
_MAC_DIGITS = 32


@dataclass(frozen=True)
class Visit:
    """Who asks for what, without a login.

    Attributes:
        asked: what is asked for, e.g. ``gh:user/repo/HEAD``.
        client: a secret of the client's that its next request has, too; empty if it has none.
        resumes: what `TemporaryUsers.proof_of` gave the client before it was cut off; empty for none.
    """

    asked: str
    client: str = ""
    resumes: str = ""


def name_from_repo(repo_url: str) -> str:
    """Return a name for a user who has a repository's server, formed as BinderHub forms it."""
    is_ssh = "://" not in repo_url and ":" in repo_url
    path = repo_url.partition(":")[2] if is_ssh else urlsplit(repo_url).path
    name = path.strip("/").replace("/", "-").lower().removesuffix(".git")
    name = "".join(character if character.isascii() and (character.isalnum() or character in "-_.") else "-" for character in name)
    if len(name) > _MAX_NAME:
        name = f"{name[:_ENDS]}-{name[-_ENDS:]}"
    return f"{name}-{''.join(secrets.choice(string.ascii_lowercase + string.digits) for _ in range(_RANDOM))}".lstrip("-_.")


class TemporaryUsers:
    """Makes, joins and removes temporary users.

    Args:
        secret: signs what clients come back with; the same after a restart.
        abandoned_seconds: how long a launch is kept whose client has gone away before the server was ready.
    """

    def __init__(self, hub: HubUsers, records: TemporaryUserRecords, secret: bytes, abandoned_seconds: float = _JOIN_SECONDS) -> None:
        self.hub = hub
        self._records = records
        self._secret = secret
        self._abandoned_seconds = abandoned_seconds
        self._begun = time.monotonic()
        self._present: Counter[str] = Counter()
        self._left: dict[str, float] = {}

    def visitor_name(self, client: str) -> str:
        """Return what a client without a login is called in the service's records; it does not tell the client's address."""
        return f"visitor:{self._mac('visitor', client)[:16]}"

    def proof_of(self, user_name: str, asked: str) -> str:
        """Return what a client that is cut off comes back with, to have its own launch of what it asked for again."""
        return f"{user_name}.{self._mac('resume', user_name, asked)}"

    async def is_resumed(self, visit: Visit) -> bool:
        """Say whether a client comes back to its own launch, which is still known; raises `Unavailable`."""
        return await self._resumed(visit) is not None

    @asynccontextmanager
    async def visit(self, visit: Visit, repo_url: str) -> AsyncIterator[str]:
        """Give the name of the user whose server the client gets: of its own launch a moment ago, else a new one.

        Until the block ends, and a while longer, the user is not taken for abandoned.

        Raises:
            Unavailable: the hub or the store did not answer.
        """
        known = await self._known(visit)
        name = known.name if known else await self._made(visit, repo_url)
        self._present[name] += 1
        try:
            if known:
                await self._make_again(name)
            yield name
        finally:
            self._present[name] -= 1
            self._left[name] = time.monotonic()

    async def deliver(self, name: str) -> str:
        """Return a token for the user's server, which is ready; from now on an idle server is the culler's to remove."""
        token = await self.hub.new_token(name)
        await self._records.set_delivered(name, is_delivered=True)
        return token

    async def discard(self, name: str) -> None:
        """Remove the user of a launch that failed, unless another client waits for it; `clean` does it if that fails now."""
        if self._present[name] <= 1:
            try:
                await self._remove(name)
            except Unavailable as error:
                log.warning("The temporary user %s is removed later: %s", name, error.message)

    async def clean(self) -> None:
        """Remove users whose launch was abandoned, also by a service that was killed; raises `Unavailable`."""
        for user in await self._records.all():
            seconds = min(time.monotonic() - max(self._begun, self._left.get(user.name, 0)), (datetime.now(UTC) - user.created).total_seconds())
            if self._present[user.name] or seconds < self._abandoned_seconds:
                continue
            if not user.is_delivered:
                await self._remove(user.name)
            elif seconds > _KEPT_SECONDS:
                await self._forget(user.name)

    async def _make_again(self, name: str) -> None:
        """Make a user who was not made before the service was killed, or was removed meanwhile."""
        if await self.hub.make(name):
            await self._records.set_delivered(name, is_delivered=False)

    async def _resumed(self, visit: Visit) -> TemporaryUser | None:
        name = visit.resumes.rpartition(".")[0]
        is_proven = name and hmac.compare_digest(visit.resumes.encode(), self.proof_of(name, visit.asked).encode())
        return await self._records.get(name) if is_proven else None

    async def _known(self, visit: Visit) -> TemporaryUser | None:
        if resumed := await self._resumed(visit):
            return resumed
        user = await self._records.of_client(self._client(visit)) if visit.client else None
        is_recent = user and (datetime.now(UTC) - user.created).total_seconds() < _JOIN_SECONDS
        return user if is_recent else None

    async def _made(self, visit: Visit, repo_url: str) -> str:
        while True:
            user = TemporaryUser(name_from_repo(repo_url), self._client(visit), datetime.now(UTC))
            await self._records.add(user)
            if await self.hub.make(user.name):
                return user.name
            await self._records.forget(user.name)  # somebody has that name

    async def _remove(self, name: str) -> None:
        if await self.hub.remove(name):
            await self._forget(name)

    async def _forget(self, name: str) -> None:
        await self._records.forget(name)
        self._left.pop(name, None)
        self._present.pop(name, None)

    def _client(self, visit: Visit) -> str:
        client = visit.client or secrets.token_hex()
        return hashlib.sha256(f"{client}\0{visit.asked}".encode()).hexdigest()

    def _mac(self, purpose: str, *texts: str) -> str:
        return hmac.new(self._secret, "\0".join([purpose, *texts]).encode(), hashlib.sha256).hexdigest()[:_MAC_DIGITS]
