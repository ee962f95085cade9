"""Which repositories an operator allows, bans and gives more places."""

from __future__ import annotations

from typing import Any

import pytest

from binderhub_service.providers.rules import SpecRules

GIT_SPEC = "https%3A%2F%2Fgit.example.org%2Fo%2Fr/main"


def test_without_rules_everything_is_permitted() -> None:
    assert SpecRules().permits("o/r/main")


@pytest.mark.parametrize(("spec", "permitted"), [("evil/r/main", False), ("EVIL/r/main", False), ("good/evil/main", True), ("o/r/main", True)])
def test_what_is_banned_is_not_permitted_whatever_its_case(spec: str, permitted: bool) -> None:
    assert SpecRules.read(banned=["evil/.*"]).permits(spec) == permitted


@pytest.mark.parametrize(("spec", "permitted"), [("good/r/main", True), ("Good/r/main", True), ("o/r/main", False), ("x/good/main", False)])
def test_with_allowed_patterns_nothing_else_is_permitted(spec: str, permitted: bool) -> None:
    assert SpecRules.read(allowed=["^good/", "^better/"]).permits(spec) == permitted


def test_a_ban_wins_over_a_permission() -> None:
    assert not SpecRules.read(allowed=["o/"], banned=["o/r/"]).permits("o/r/main")


@pytest.mark.parametrize("pattern", ["https%3A%2F%2Fgit.example.org%2Fo%2F", "https://git.example.org/o/"])
def test_a_pattern_may_be_written_with_or_without_escapes(pattern: str) -> None:
    assert not SpecRules.read(banned=[pattern]).permits(GIT_SPEC)
    assert SpecRules.read(allowed=[pattern]).permits(GIT_SPEC)


def test_the_text_as_given_can_ban_and_cannot_allow() -> None:
    assert not SpecRules.read(banned=["bad/"]).permits("o/r/main", raw="bad/r/main")
    assert not SpecRules.read(banned=["bad/"]).permits("o/r/main", raw="b%61d/r/main")
    assert not SpecRules.read(allowed=["good/"]).permits("o/r/main", raw="good/r/main")


def test_a_later_entry_of_the_configuration_wins() -> None:
    rules = SpecRules.read(
        high_quota=["o/"],
        config=[{"pattern": "o/", "config": {"quota": 1}}, {"pattern": "o/r", "config": {"quota": 2}}, {"pattern": "x/", "config": {"quota": 3}}],
    )
    assert rules.config_for("o/r/main") == {"quota": 2}
    assert rules.config_for("o/other/main") == {"quota": 1}
    assert rules.config_for("y/r/main") == {}
    assert (rules.is_high_quota("o/r/main"), rules.is_high_quota("y/r/main")) == (True, False)


@pytest.mark.parametrize(
    "entry",
    [
        "o/r",
        {"pattern": "o/"},
        {"pattern": "o/", "config": 5},
        {"pattern": 5, "config": {}},
        {"pattern": "(", "config": {}},
        {"pattern": "o/", "config": {"quota": "5"}},
        {"pattern": "o/", "config": {"quota": True}},
        {"pattern": "o/", "config": {"quota": -1}},
        {"pattern": "o/", "config": {"memory": 1}},
        {"pattern": "o/", "config": {"quota": 1}, "more": 1},
    ],
)
def test_an_entry_of_another_form_is_refused(entry: Any) -> None:
    with pytest.raises(ValueError, match=r"spec_config|pattern"):
        SpecRules.read(config=[entry])


@pytest.mark.parametrize("name", ["allowed", "banned", "high_quota"])
def test_a_pattern_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="regular expression"):
        SpecRules.read(**{name: ["("]})
