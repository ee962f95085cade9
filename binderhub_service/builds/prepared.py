"""Prepared environments: the operator's list, from the configuration and from administrators, and what became of each."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from ..common.credentials import refuse_credentials
from ..common.refs import check_ref
from ..common.refusal import CONTROL, Refused, is_text
from ..errors import Conflict, InvalidRequest, NotAllowed, NotFound
from ..models import PREPARED, PreparedEnvironment, Request, now

MAX_DESCRIPTION_CHARACTERS = 1000
NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_MAX_ADDRESS_CHARACTERS = 2048
_MAX_PROFILE_CHARACTERS = 255
_MOST = 200


class PreparedRecords(Protocol):
    """Where they are kept."""

    async def all(self) -> list[PreparedEnvironment]:
        """Return all, in the order of their names."""

    async def put(self, environment: PreparedEnvironment) -> None:
        """Write one, in place of another one of its name."""

    async def remove(self, name: str) -> None:
        """Remove one; nothing happens if there is none."""


class PreparedEnvironments:
    """Knows the list.

    What is stored is read once: one service at a time uses a database, so that nobody else changes it.

    Args:
        configured: the entries of the configuration; what is stored under their names is what became of them.
        only: whether nothing else may be used.
    """

    def __init__(self, records: PreparedRecords, configured: Iterable[PreparedEnvironment] = (), *, only: bool = False) -> None:
        self._records = records
        self._configured = list(configured)
        self._known: dict[str, PreparedEnvironment] = {}
        self.only = only

    async def load(self) -> None:
        """Read what is stored, and bring the configuration's entries to it; raises `Unavailable`."""
        names = {environment.name for environment in self._configured}
        self._known = {}
        for stored in await self._records.all():
            if stored.is_configured and stored.name not in names:
                await self._records.remove(stored.name)
            else:
                self._known[stored.name] = stored
        for environment in self._configured:
            await self._write(self._with_past(environment))

    def all(self) -> list[PreparedEnvironment]:
        """Return all, in the order of their names."""
        return [self._known[name] for name in sorted(self._known)]

    def get(self, name: str) -> PreparedEnvironment:
        """Return one; raises `NotFound`."""
        if name not in self._known:
            known = ", ".join(sorted(self._known)) or "none"
            raise NotFound(f"There is no prepared environment {name[:64]!r}.", code="prepared_not_found", hint=f"There are: {known}.")
        return self._known[name]

    def images(self) -> frozenset[str]:
        """Return the names of the images that servers of prepared environments are made from."""
        return frozenset(environment.image for environment in self._known.values()) - {""}

    async def put(self, environment: PreparedEnvironment) -> PreparedEnvironment:
        """Add one, or change it; its image stays as long as it is of the same repository and ref.

        Raises:
            InvalidRequest: it cannot be as it is.
            Conflict: it stands in the configuration, or there are as many as there may be.
        """
        check(environment)
        self._check_may_change(environment.name)
        if environment.name not in self._known and len(self._known) >= _MOST:
            sentence = f"There are {_MOST} prepared environments, which is as many as there may be."
            raise Conflict(sentence, code="too_many_prepared", hint="Remove some.")
        return await self._write(self._with_past(environment))

    async def remove(self, name: str) -> None:
        """Remove one; raises `NotFound`, and `Conflict` if it stands in the configuration."""
        self.get(name)
        self._check_may_change(name)
        await self._records.remove(name)
        del self._known[name]

    async def note_image(self, environment: PreparedEnvironment, image: str, commit: str) -> None:
        """Note which image servers are made from now on, unless the entry is gone or another one by now."""
        await self._note(environment, image=image, commit=commit, refreshed=now(), problem="")

    async def note_problem(self, environment: PreparedEnvironment, problem: str) -> None:
        """Note why a refresh failed; the image stays. Nothing happens if the entry is gone or another one by now."""
        await self._note(environment, problem=problem)

    def check_may_be_used(self, request: Request | None) -> None:
        """Raise `NotAllowed` if only prepared environments may be used and this is none.

        Args:
            request: None for what was given as files.
        """
        if self.only and (request is None or request.provider != PREPARED):
            known = ", ".join(sorted(self._known)) or "none yet"
            raise NotAllowed("Only prepared environments may be used here.", code="only_prepared", hint=f"There are: {known}.")

    def _with_past(self, environment: PreparedEnvironment) -> PreparedEnvironment:
        past = self._known.get(environment.name)
        if past is None or past.request != environment.request:
            return environment
        known = {name: getattr(past, name) for name in ("image", "commit", "refreshed", "problem")}
        return replace(environment, **known, set_at=past.set_at if environment.is_configured else environment.set_at)

    def _check_may_change(self, name: str) -> None:
        if any(environment.name == name for environment in self._configured):
            raise Conflict(
                f"The prepared environment {name} stands in the configuration.",
                code="prepared_configured",
                hint="Change it there, in Prepared.environments.",
            )

    async def _note(self, environment: PreparedEnvironment, **changes: object) -> None:
        current = self._known.get(environment.name)
        if current is not None and current.request == environment.request:
            await self._write(replace(current, **changes))  # type: ignore[arg-type]  # fields of it

    async def _write(self, environment: PreparedEnvironment) -> PreparedEnvironment:
        await self._records.put(environment)
        self._known[environment.name] = environment
        return environment


def check(environment: PreparedEnvironment) -> None:
    """Raise `InvalidRequest` if an entry cannot be as it is, whatever its repository is."""
    texts = (environment.description, environment.repo, environment.ref, environment.profile)
    if not re.fullmatch(NAME, environment.name):
        hint = "A name has 1 to 64 characters: a-z, 0-9, dots, dashes and underscores, with a letter or a digit first."
        raise InvalidRequest(f"{environment.name[:64]!r} cannot be the name of a prepared environment.", hint=hint)
    if not environment.repo:
        raise InvalidRequest(f"The prepared environment {environment.name} names no repository.", hint="Give its address in repo.")
    if not all(map(is_text, texts)) or any(CONTROL.search(text) for text in texts):
        raise InvalidRequest("The text has control characters in it, or cannot be written as UTF-8.")
    if len(environment.description) > MAX_DESCRIPTION_CHARACTERS or len(environment.repo) > _MAX_ADDRESS_CHARACTERS:
        raise InvalidRequest(f"A description has at most {MAX_DESCRIPTION_CHARACTERS} characters, and an address {_MAX_ADDRESS_CHARACTERS}.")
    if len(environment.profile) > _MAX_PROFILE_CHARACTERS:
        raise InvalidRequest(f"A profile's name has at most {_MAX_PROFILE_CHARACTERS} characters.")
    try:
        refuse_credentials(*texts)
        check_ref(environment.ref)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused
