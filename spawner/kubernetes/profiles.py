"""The operator's profiles of KubeSpawner as choices: what people may choose of them, however it arrives; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from binderhub_service.common.refusal import CONTROL, Refused

from ..choices import one_of, text_of

UNLISTED = "--unlisted-choice"
MAX_UNLISTED_CHARACTERS = 255

_Profile = Mapping[str, Any]


class Profiles:
    """Profiles as KubeSpawner completes them: each with a slug, one of them the default.

    A form names an option's field ``profile-option-<slug of the profile>--<option>``; what is stored, as KubeSpawner does and
    as REST requests may, calls it ``<option>``. A text of one's own is in ``...--unlisted-choice``.

    Args:
        profiles: may be none.
        show: returns them as HTML, with what was chosen in it.
    """

    selects: Mapping[str, Sequence[str]] = {}

    def __init__(self, profiles: Sequence[_Profile], show: Callable[[Mapping[str, str]], str] = lambda _chosen: "") -> None:
        self.profiles = profiles
        self._show = show

    @property
    def names(self) -> Collection[str]:
        """Every name that an option or a field of the form may have."""
        if not self.profiles:
            return ()
        options = [(profile["slug"], name) for profile in self.profiles for name in _options(profile)]
        plain = [form for slug, name in options for form in (name, f"profile-option-{slug}--{name}")]
        return dict.fromkeys(["profile", *plain, *(f"{name}{UNLISTED}" for name in plain)])

    def form(self, chosen: Mapping[str, str]) -> str:
        """Return the profiles as HTML of the operator's, with what was chosen in it."""
        return self._show(chosen) if self.profiles else ""

    def check(self, given: Mapping[str, Any]) -> dict[str, str]:
        """Return what was chosen, under the names that KubeSpawner stores; nothing for what was left to the default.

        Of other profiles than the chosen one, a form's fields are left out, because a form has them all.

        Raises:
            Refused: something is not offered.
        """
        if not self.profiles:
            return {}
        by_slug = {profile["slug"]: profile for profile in self.profiles}
        slug = text_of("profile", given.get("profile"))
        if slug:
            one_of("profile", slug, by_slug.keys())
        profile = by_slug[slug] if slug else next(profile for profile in self.profiles if profile.get("default"))
        options = _options(profile)
        self._refuse_options_of_others(given, options)
        chosen = {"profile": slug} if slug else {}
        for name, option in options.items():
            chosen |= _choice(name, option, {**_given(given, name), **_given(given, name, f"profile-option-{profile['slug']}--")})
        return chosen

    def _refuse_options_of_others(self, given: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        for name in self.names:
            plain = name.removesuffix(UNLISTED)
            if given.get(name) and plain != "profile" and plain not in options and not plain.startswith("profile-option-"):
                raise Refused(f"The chosen profile has no option {plain}.", f"Its options are: {', '.join(options) or 'none'}.")


def _options(profile: _Profile) -> Mapping[str, Any]:
    options: Mapping[str, Any] = profile.get("profile_options") or {}
    return options


def _given(given: Mapping[str, Any], name: str, prefix: str = "") -> dict[str, str]:
    """Return what was given of an option, and the text of one's own, without their prefix."""
    texts = {each: text_of(each, given.get(f"{prefix}{each}")) for each in (name, f"{name}{UNLISTED}")}
    return {each: text for each, text in texts.items() if text}


def _choice(name: str, option: Mapping[str, Any], given: Mapping[str, str]) -> dict[str, str]:
    listed, unlisted = given.get(name, ""), given.get(f"{name}{UNLISTED}", "")
    if unlisted:
        return {f"{name}{UNLISTED}": _check_unlisted(name, option.get("unlisted_choice") or {}, unlisted)}
    if listed:
        return {name: one_of(name, listed, (option.get("choices") or {}).keys())}
    if not option.get("choices"):
        raise Refused(f"Nothing was chosen for {name}.", "Type what you need.")
    return {}


def _check_unlisted(name: str, unlisted: Mapping[str, Any], text: str) -> str:
    """Return a text of one's own if it may be used.

    It ends up in settings of which KubeSpawner treats some as templates, so there are no braces in it.
    """
    if not unlisted.get("enabled"):
        raise Refused(f"For {name}, only what is listed can be chosen.")
    pattern = unlisted.get("validation_regex")
    if len(text) > MAX_UNLISTED_CHARACTERS or CONTROL.search(text) or "{" in text or "}" in text or (pattern and not re.fullmatch(pattern, text)):
        raise Refused(f"This cannot be used for {name}.", str(unlisted.get("validation_message") or ""))
    return text
