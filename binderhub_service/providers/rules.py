"""Which repositories an operator allows, bans and gives more places; pure.

Rules are regular expressions that match from the beginning of a spec, the text behind ``v2/<provider>/``, whatever the case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

_Patterns = tuple[re.Pattern[str], ...]


@dataclass(frozen=True)
class SpecRules:
    """One provider's rules.

    A rule may be written for the spec or for its text without percent-escapes: both are tried.

    Attributes:
        allowed: if there is any, one has to match.
        banned: none may match.
        high_quota: repositories with more places.
        config: settings of the repositories that match; later ones win.
    """

    allowed: _Patterns = ()
    banned: _Patterns = ()
    high_quota: _Patterns = ()
    config: tuple[tuple[re.Pattern[str], Mapping[str, int]], ...] = ()

    @classmethod
    def read(
        cls,
        *,
        allowed: Iterable[str] = (),
        banned: Iterable[str] = (),
        high_quota: Iterable[str] = (),
        config: Iterable[Any] = (),
    ) -> SpecRules:
        """Read rules as they are configured.

        Args:
            allowed, banned, high_quota: regular expressions.
            config: ``{"pattern": regular expression, "config": {"quota": number}}``, each.

        Raises:
            ValueError: one of them has another form; the text says which.
        """
        return cls(_patterns(allowed), _patterns(banned), _patterns(high_quota), tuple(_config(entry) for entry in config))

    def permits(self, spec: str, raw: str = "") -> bool:
        """Say whether a repository may be used.

        Args:
            spec: the canonical spec.
            raw: the spec as it was given; what is banned in that form is banned, but it allows nothing.
        """
        return not _any(self.banned, *_forms(spec), *_forms(raw)) and (not self.allowed or _any(self.allowed, *_forms(spec)))

    def is_high_quota(self, spec: str) -> bool:
        """Say whether a repository has the higher number of places."""
        return _any(self.high_quota, *_forms(spec))

    def config_for(self, spec: str) -> dict[str, int]:
        """Return the settings of a repository: of all entries that match, the last one's value of each."""
        return {name: value for pattern, values in self.config if _any((pattern,), *_forms(spec)) for name, value in values.items()}


NO_RULES = SpecRules()


def _forms(spec: str) -> tuple[str, ...]:
    return (spec, unquote(spec)) if spec else ()


def _any(patterns: _Patterns, *texts: str) -> bool:
    return any(pattern.match(text) for pattern in patterns for text in texts)


def _patterns(texts: Iterable[str]) -> _Patterns:
    return tuple(_pattern(text) for text in texts)


def _pattern(text: object) -> re.Pattern[str]:
    if not isinstance(text, str):
        raise ValueError(f"A pattern has to be a text, not {text!r}.")
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise ValueError(f"The pattern {text!r} is not a regular expression: {error}.") from error


def _config(entry: Any) -> tuple[re.Pattern[str], Mapping[str, int]]:
    if not isinstance(entry, Mapping) or set(entry) != {"pattern", "config"} or not isinstance(entry["config"], Mapping):
        raise ValueError(f'An entry of spec_config has the form {{"pattern": text, "config": {{"quota": number}}}}, not {entry!r}.')
    for name, value in entry["config"].items():
        if name != "quota" or not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise ValueError(f"spec_config knows a quota, a whole number from 0 on, and not {name!r} with the value {value!r}.")
    return _pattern(entry["pattern"]), dict(entry["config"])
