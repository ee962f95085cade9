"""What administrators switch while the service runs: bans, quotas, a pause of builds, a drain, an announcement."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Protocol

from ..common.redact import redact
from ..common.refusal import is_text
from ..errors import Conflict, InvalidRequest, NotAllowed, Unavailable
from ..models import Control, now
from .limits import BuildLimits
from .quotas import check_number, is_of_group, number_of_person, number_of_repository

MAX_PATTERN_CHARACTERS = 500
MAX_TEXT_CHARACTERS = 1000
_MOST = 1000
_PORT = re.compile(r"^([^/]{1,300}):\d{1,5}(?=/|$)")
_ASK = "Ask an administrator of the hub."
_PAUSED = "No new builds are begun at the moment"
_DRAINING = "No new builds are begun, because the build service is about to be stopped"
_WHILE_PAUSED = "What is built already can be launched."


class ControlKind(StrEnum):
    """What a control does.

    `BAN_REPOSITORY` and `BAN_PERSON` refuse what a pattern matches, `ALLOW_REPOSITORY` all repositories that no such pattern matches.
    Numbers, instead of the settings', for what a pattern matches: `BUILDS_OF_PERSON` and `BUILDS_OF_REPOSITORY` of builds that wait and run,
    `SERVERS_OF_PERSON` and `SERVERS_OF_REPOSITORY` of servers, `LAUNCHES_OF_PERSON` of launches in a period, `MEGABYTES_OF_PERSON` of people's files.
    `PAUSE` lets no build begin, `DRAIN` neither, until all have ended and the service can be stopped; `ANNOUNCEMENT` shows a text on pages.
    """

    BAN_REPOSITORY = "ban-repository"
    ALLOW_REPOSITORY = "allow-repository"
    BAN_PERSON = "ban-person"
    BUILDS_OF_PERSON = "builds-of-person"
    BUILDS_OF_REPOSITORY = "builds-of-repository"
    SERVERS_OF_PERSON = "servers-of-person"
    SERVERS_OF_REPOSITORY = "servers-of-repository"
    LAUNCHES_OF_PERSON = "launches-of-person"
    MEGABYTES_OF_PERSON = "megabytes-of-person"
    PAUSE = "pause"
    DRAIN = "drain"
    ANNOUNCEMENT = "announcement"


# What each quota counts.
_QUOTAS = {
    ControlKind.BUILDS_OF_PERSON: "builds",
    ControlKind.BUILDS_OF_REPOSITORY: "builds",
    ControlKind.SERVERS_OF_PERSON: "servers",
    ControlKind.SERVERS_OF_REPOSITORY: "servers",
    ControlKind.LAUNCHES_OF_PERSON: "launches",
    ControlKind.MEGABYTES_OF_PERSON: "megabytes",
}
SERVER_QUOTAS = frozenset({ControlKind.SERVERS_OF_PERSON, ControlKind.SERVERS_OF_REPOSITORY})
_WITHOUT_PATTERN = frozenset({ControlKind.PAUSE, ControlKind.DRAIN, ControlKind.ANNOUNCEMENT})
# What lets no build begin, and what people hear then.
_STANDSTILLS = ((ControlKind.DRAIN, _DRAINING), (ControlKind.PAUSE, _PAUSED))


class ControlRecords(Protocol):
    """Where controls are kept."""

    async def all(self) -> list[Control]:
        """Return all."""

    async def put(self, control: Control) -> None:
        """Write a control, in place of another one of its kind and pattern."""

    async def remove(self, kind: str, pattern: str) -> None:
        """Remove a control; raises `NotFound`."""


async def _in_no_group(_name: str) -> Collection[str]:
    return ()


class Controls:
    """Knows what is switched, and says no where it applies.

    What is stored is read once: one service at a time uses a database, so that nobody else changes it.

    Args:
        groups_of: returns the names of the groups that a person is in; asked only where a quota is for a group.
    """

    def __init__(self, records: ControlRecords, groups_of: Callable[[str], Awaitable[Collection[str]]] = _in_no_group) -> None:
        self._records = records
        self._groups_of = groups_of
        self._known: list[Control] = []

    async def load(self) -> None:
        """Read what is stored; raises `Unavailable`."""
        self._known = await self._records.all()

    def all(self) -> list[Control]:
        """Return all controls, in the order of their kinds and patterns."""
        return list(self._known)

    async def put(self, kind: str, pattern: str, text: str, admin: str) -> Control:
        """Switch something on, or change it.

        Args:
            kind: a value of `ControlKind`.
            pattern: of addresses without their scheme, or of people's names, with ``*`` and ``?``; ``group:`` and a pattern of groups' names where a
                quota is for a group's people; empty where the kind has none.
            text: the reason that people see, what is announced, or the number of a quota.
            admin: who does it.

        Raises:
            InvalidRequest: there is no such kind, or the pattern or the text do not fit it.
            Conflict: there are as many controls as there may be.
        """
        control = Control(kind=_kind(kind), pattern=pattern.strip(), text=redact(text.strip()), set_by=admin, set_at=now())
        _check(control)
        if len(self._known) >= _MOST:
            sentence = f"{_MOST} controls are set, which is as many as there may be."
            raise Conflict(sentence, code="too_many_controls", hint="Remove some, or use wider patterns.")
        await self._records.put(control)
        await self.load()
        return control

    async def remove(self, kind: str, pattern: str) -> None:
        """Switch something off; raises `NotFound` if it was not on, and `InvalidRequest` if there is no such kind."""
        await self._records.remove(_kind(kind), pattern)
        await self.load()

    @property
    def announcement(self) -> str:
        """What is announced to everybody; may be empty."""
        return next((control.text for control in self._of(ControlKind.ANNOUNCEMENT)), "")

    @property
    def notices(self) -> list[str]:
        """What everybody should know before they ask for a repository, in sentences."""
        pauses = [f"{_with_reason(said, control.text)} {_WHILE_PAUSED}" for kind, said in _STANDSTILLS for control in self._of(kind)]
        return [*([self.announcement] if self.announcement else []), *pauses]

    def check_person(self, name: str) -> None:
        """Raise `NotAllowed` if this person may ask for nothing."""
        for control in self._of(ControlKind.BAN_PERSON):
            if fnmatchcase(name.lower(), control.pattern.lower()):
                raise NotAllowed(_with_reason("You may not use repositories here", control.text), code="person_banned", hint=_ASK)

    def check_repository(self, *addresses: str) -> None:
        """Raise `NotAllowed` if the repository with these addresses may not be used."""
        if not self._known:
            return
        for control in self._of(ControlKind.BAN_REPOSITORY):
            if _matches(control, addresses):
                raise _refused("This repository may not be used here", control.text)
        allowed = self._of(ControlKind.ALLOW_REPOSITORY)
        if allowed and not any(_matches(control, addresses) for control in allowed):
            reason = next((control.text for control in allowed if control.text), "")
            raise _refused("Only some repositories may be used here, and this is none of them", reason)

    def check_may_begin(self) -> None:
        """Raise `Unavailable` while no build may begin."""
        hint = f"{_WHILE_PAUSED} Try again later."
        for control in self._of(ControlKind.DRAIN):
            raise Unavailable(_with_reason(_DRAINING, control.text), code="service_draining", hint=hint)
        for control in self._of(ControlKind.PAUSE):
            raise Unavailable(_with_reason(_PAUSED, control.text), code="builds_paused", hint=hint)

    @property
    def is_draining(self) -> bool:
        """Whether no build may begin until all have ended."""
        return bool(self._of(ControlKind.DRAIN))

    async def number_of_person(self, kind: ControlKind, person: str, otherwise: int) -> int:
        """Return the number that a quota of people says for a person; 0 means no limit.

        Args:
            otherwise: what holds where it says nothing about the person.

        Raises:
            Unavailable: the hub did not tell which groups the person is in.
        """
        quotas = self._of(kind)
        groups = await self._groups_of(person) if any(map(is_of_group, quotas)) else ()
        return number_of_person(quotas, person, groups, otherwise)

    def number_of_repository(self, kind: ControlKind, otherwise: int, *addresses: str) -> int:
        """Return the number that a quota of repositories says for the one with these addresses; 0 means no limit."""
        return number_of_repository([control for control in self._of(kind) if _matches(control, addresses)], otherwise)

    async def limits_for(self, limits: BuildLimits, person: str, *addresses: str) -> BuildLimits:
        """Return the limits for a person and a repository with these addresses; raises as `number_of_person`."""
        per_user = await self.number_of_person(ControlKind.BUILDS_OF_PERSON, person, limits.per_user)
        per_repo = self.number_of_repository(ControlKind.BUILDS_OF_REPOSITORY, limits.per_repo, *addresses)
        return replace(limits, per_user=per_user, per_repo=per_repo)

    def _of(self, kind: ControlKind) -> list[Control]:
        return [control for control in self._known if control.kind == kind]


def _kind(kind: str) -> ControlKind:
    try:
        return ControlKind(kind)
    except ValueError as error:
        raise InvalidRequest(f"There is no control {kind!r}.", hint=f"There are: {', '.join(ControlKind)}.") from error


def _check(control: Control) -> None:
    if not is_text(control.pattern + control.text):
        raise InvalidRequest("The text cannot be written as UTF-8.")
    if control.kind in _WITHOUT_PATTERN and control.pattern:
        raise InvalidRequest(f"A control of the kind {control.kind} has no pattern.")
    if control.kind not in _WITHOUT_PATTERN and not control.pattern:
        raise InvalidRequest(f"A control of the kind {control.kind} needs a pattern, e.g. github.com/owner/*, or *-guest.")
    if control.kind in _QUOTAS:
        check_number(control, _QUOTAS[ControlKind(control.kind)])
    if control.kind == ControlKind.ANNOUNCEMENT and not control.text:
        raise InvalidRequest("An announcement needs a text.")
    if len(control.pattern) > MAX_PATTERN_CHARACTERS or len(control.text) > MAX_TEXT_CHARACTERS:
        raise InvalidRequest(f"A pattern has at most {MAX_PATTERN_CHARACTERS} characters, and a text {MAX_TEXT_CHARACTERS}.")


def _refused(sentence: str, reason: str) -> NotAllowed:
    return NotAllowed(_with_reason(sentence, reason), code="repository_banned", hint=_ASK)


def _with_reason(sentence: str, reason: str) -> str:
    return f"{sentence}: {reason}" if reason else f"{sentence}."


def _matches(control: Control, addresses: Iterable[str]) -> bool:
    """Say whether a pattern matches an address, or a folder that the address lies in, as a host and an account are; with or without its port."""
    pattern = _plain(control.pattern)
    plain = [_plain(address) for address in addresses]
    forms = {*plain, *(_PORT.sub(r"\1", address) for address in plain)}
    return any(fnmatchcase(form, one) for form in forms for one in (pattern, f"{pattern}/*"))


def _plain(address: str) -> str:
    """Return an address or a pattern without what does not tell repositories apart: the scheme, a user, ``.git``, capitals."""
    rest = address.lower().rpartition("://")[2].removesuffix("/").removesuffix(".git")
    host, slash, path = rest.partition("/")
    return host.rpartition("@")[2] + slash + path
