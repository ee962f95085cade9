"""How many builds a person or a repository may have where administrators say otherwise than the settings; pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from fnmatch import fnmatchcase

from ..errors import InvalidRequest
from ..models import Control
from .limits import BuildLimits

GROUP = "group:"
NO_BOUND = "none"
_MOST_DIGITS = 6
_NO_LIMIT = 0  # as `BuildLimits` writes it


def check_number(control: Control) -> None:
    """Raise `InvalidRequest` unless the text of a quota is a number, or that there is no bound."""
    text = control.text
    if text != NO_BOUND and not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text)):
        raise InvalidRequest(
            f"The text of {control.kind} is the number of builds, from 1 on, or {NO_BOUND}.", hint="To let none begin, ban or pause."
        )


def limits_with(
    limits: BuildLimits, of_people: Collection[Control], of_repositories: Collection[Control], person: str, groups: Collection[str]
) -> BuildLimits:
    """Return limits with what administrators say about a person and a repository in the place of the settings.

    For a person, what is said about the name holds before what is said about groups, and that before patterns of names; among several the
    largest number. For a repository the longest pattern holds.

    Args:
        of_people: the quotas of people.
        of_repositories: the quotas whose pattern matches the repository.
        groups: those of the person.
    """
    kinds: tuple[Callable[[str], bool], ...] = (
        lambda pattern: pattern == person.lower(),
        lambda pattern: pattern.startswith(GROUP) and any(fnmatchcase(group.lower(), pattern.removeprefix(GROUP)) for group in groups),
        lambda pattern: fnmatchcase(person.lower(), pattern),
    )
    chosen = next((found for is_meant in kinds if (found := [one for one in of_people if is_meant(one.pattern.lower())])), [])
    longest = sorted(of_repositories, key=lambda one: len(one.pattern))[-1:]
    return replace(limits, per_user=_number(chosen, limits.per_user), per_repo=_number(longest, limits.per_repo))


def _number(chosen: Iterable[Control], otherwise: int) -> int:
    texts = [control.text for control in chosen]
    if not texts:
        return otherwise
    return _NO_LIMIT if NO_BOUND in texts else max(map(int, texts))
