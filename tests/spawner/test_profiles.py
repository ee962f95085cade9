"""What people may choose of an operator's profiles."""

from __future__ import annotations

from typing import Any

import pytest

from binderhub_service.common.refusal import Refused
from spawner.kubernetes.profiles import Profiles
from spawner.options import options_from_form, options_from_json

# As KubeSpawner completes them.
CHOICES = {"half": {"display_name": "Half", "default": True}, "one": {"display_name": "One"}}
UNLISTED = {"enabled": True, "validation_regex": "[0-9]+G|ok/", "validation_message": "Give gigabytes, e.g. 4G."}
BIG = {
    "slug": "big",
    "display_name": "Big",
    "profile_options": {
        "cpu": {"choices": CHOICES, "unlisted_choice": {"enabled": False}},
        "memory": {"choices": {"1g": {"default": True}}, "unlisted_choice": UNLISTED},
    },
}
PROFILES = Profiles([{"slug": "small", "display_name": "Small", "default": True}, BIG])


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({}, {}),
        ({"profile": ""}, {}),
        ({"profile": "small"}, {"profile": "small"}),
        ({"profile": "big"}, {"profile": "big"}),
        ({"profile": "big", "cpu": "one"}, {"profile": "big", "cpu": "one"}),
        ({"profile": "big", "profile-option-big--cpu": "one"}, {"profile": "big", "cpu": "one"}),
        ({"profile": "small", "profile-option-big--cpu": "one"}, {"profile": "small"}),
        ({"profile": "big", "memory--unlisted-choice": "4G"}, {"profile": "big", "memory--unlisted-choice": "4G"}),
        ({"profile": "big", "profile-option-big--memory--unlisted-choice": "4G"}, {"profile": "big", "memory--unlisted-choice": "4G"}),
        ({"profile": "big", "memory": "1g", "memory--unlisted-choice": "4G"}, {"profile": "big", "memory--unlisted-choice": "4G"}),
    ],
)
def test_what_is_offered_can_be_chosen_by_the_forms_names_and_by_kubespawners(given: dict[str, Any], chosen: dict[str, str]) -> None:
    assert PROFILES.check(given) == chosen
    assert PROFILES.check(chosen) == chosen


@pytest.mark.parametrize(
    "given",
    [
        {"profile": "huge"},
        {"profile": ["big"]},
        {"profile": "big", "cpu": "ten"},
        {"profile": "big", "cpu": 1},
        {"profile": "big", "cpu": "unlisted-choice"},
        {"profile": "big", "cpu--unlisted-choice": "4G"},
        {"cpu": "one"},
        {"profile": "small", "cpu": "one"},
    ],
)
def test_what_is_not_offered_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        PROFILES.check(given)


@pytest.mark.parametrize("text", ["4G; rm", "ok/../../../evil", "{pod_name}", "4G\n", "4" * 300 + "G"])
def test_a_text_of_ones_own_has_to_match_as_a_whole(text: str) -> None:
    with pytest.raises(Refused):
        PROFILES.check({"profile": "big", "memory--unlisted-choice": f"x{text}" if text == "4G\n" else text})


def test_a_text_of_ones_own_never_becomes_a_template() -> None:
    anything = Profiles([{"slug": "a", "default": True, "profile_options": {"b": {"unlisted_choice": {"enabled": True}}}}])
    with pytest.raises(Refused):
        anything.check({"b--unlisted-choice": "{unescaped_username.__class__}"})
    with pytest.raises(Refused, match="Nothing was chosen for b"):
        anything.check({})


def test_the_operators_message_says_what_a_text_has_to_be() -> None:
    with pytest.raises(Refused) as caught:
        PROFILES.check({"profile": "big", "memory--unlisted-choice": "much"})
    assert caught.value.sentence == "This cannot be used for memory. Give gigabytes, e.g. 4G."


def test_profiles_are_options_beside_the_repository_and_nothing_else_is() -> None:
    form = {"repo": ["o/r"], "profile": ["big"], "profile-option-big--cpu": ["one"]}
    assert options_from_form(form, PROFILES).as_user_options()["cpu"] == "one"
    for unknown in ("image", "disk", "profile-option-big--disk"):
        with pytest.raises(Refused):
            options_from_json({"repo": "o/r", unknown: "x"}, PROFILES)


def test_without_profiles_there_is_nothing_to_choose() -> None:
    with pytest.raises(Refused, match="no such option: profile"):
        options_from_json({"repo": "o/r", "profile": "big"}, Profiles([]))
