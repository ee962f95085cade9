"""What people may choose besides a repository, and what every option of theirs has to be; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from binderhub_service.common.refusal import CONTROL, Refused, is_text


class Choices(Protocol):
    """What an operator lets people choose besides the repository."""

    @property
    def names(self) -> Collection[str]:
        """The names that options and fields of the form may have."""

    @property
    def selects(self) -> Mapping[str, Sequence[str]]:
        """What the form offers as plain lists, by name."""

    def form(self, chosen: Mapping[str, str]) -> str:
        """Return what the form offers otherwise, as HTML of the operator's, with what was chosen in it."""

    def check(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what was chosen of all that was given, as the hub stores it; raise `Refused` for what is not offered."""


@dataclass(frozen=True)
class Offered:
    """Lists to choose from; the first of each is meant where nothing is chosen.

    Attributes:
        selects: for each option the texts that are offered.
    """

    selects: Mapping[str, Sequence[str]]

    @property
    def names(self) -> Collection[str]:
        """The options' names."""
        return self.selects.keys()

    def form(self, chosen: Mapping[str, str]) -> str:
        """Return nothing: there is nothing but lists."""
        return ""

    def check(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what was chosen of each; raise `Refused` for what is not offered."""
        return {name: _check_choice(name, given.get(name), offered) for name, offered in self.selects.items()}


NO_CHOICES: Choices = Offered({})


def text_of(name: str, value: Any) -> str:
    """Return an option's text without blanks around it, empty for None; raise `Refused` for what is no plain text."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Refused(f"The option {name} has to be a text.")
    text = value.strip()
    if not is_text(text):
        raise Refused(f"The option {name} has half a character in it, which cannot be written.", "Type it again, or copy it from the address bar.")
    if CONTROL.search(text):
        raise Refused(f"The option {name} has control characters in it.", "Type it again, or copy it from the address bar.")
    return text


def _check_choice(name: str, given: Any, offered: Sequence[str]) -> str:
    if given is None or given == "":
        return offered[0]
    return one_of(name, given, offered)


def one_of(name: str, given: Any, offered: Collection[str]) -> str:
    """Return what was given if it is offered; else raise `Refused` with what is."""
    if not isinstance(given, str) or given not in offered:
        raise Refused(f"{shown(given)} is not offered for {name}.", f"Choose one of: {', '.join(offered)}.")
    return given


def shown(name: object) -> str:
    """Return a text of somebody's as it can be repeated to people."""
    return CONTROL.sub("?", str(name)).encode(errors="replace").decode()[:40]
