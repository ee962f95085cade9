"""Which number holds for a person or a repository where administrators say otherwise than the settings; pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from fnmatch import fnmatchcase

from ..errors import InvalidRequest
from ..models import Control

GROUP = "group:"
NO_BOUND = "none"
_MOST_DIGITS = 6
_NO_LIMIT = 0  # as all limits write it


def check_number(control: Control, of_what: str) -> None:
    """Raise `InvalidRequest` unless the text of a quota is a number, or that there is no bound.

    Args:
        of_what: what is counted, e.g. ``builds``.
    """
    text = control.text
    if text != NO_BOUND and not (text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text)):
        raise InvalidRequest(
            f"The text of {control.kind} is the number of {of_what}, from 1 on, or {NO_BOUND}.", hint="To let none begin, ban or pause."
        )


def is_of_group(control: Control) -> bool:
    """Say whether a quota of people is for those of a group."""
    return control.pattern.lower().startswith(GROUP)


def number_of_person(quotas: Collection[Control], person: str, groups: Collection[str], otherwise: int) -> int:
    """Return the number that holds for a person; 0 means no limit.

    What is said about the name holds before what is said about groups, and that before patterns of names; among several the largest number.

    Args:
        quotas: those of people.
        groups: those of the person.
        otherwise: what holds where nothing is said about the person.
    """
    kinds: tuple[Callable[[str], bool], ...] = (
        lambda pattern: pattern == person.lower(),
        lambda pattern: pattern.startswith(GROUP) and any(fnmatchcase(group.lower(), pattern.removeprefix(GROUP)) for group in groups),
        lambda pattern: fnmatchcase(person.lower(), pattern),
    )
    chosen = next((found for is_meant in kinds if (found := [one for one in quotas if is_meant(one.pattern.lower())])), [])
    return _number(chosen, otherwise)


def number_of_repository(quotas: Collection[Control], otherwise: int) -> int:
    """Return the number that holds for a repository: that of the longest pattern; 0 means no limit.

    Args:
        quotas: those whose pattern matches the repository.
        otherwise: what holds where there is none.
    """
    return _number(sorted(quotas, key=lambda one: len(one.pattern))[-1:], otherwise)


def _number(chosen: Iterable[Control], otherwise: int) -> int:
    texts = [control.text for control in chosen]
    if not texts:
        return otherwise
    return _NO_LIMIT if NO_BOUND in texts else max(map(int, texts))
