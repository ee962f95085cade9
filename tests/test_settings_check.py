"""A setting with a wrong name or value is told with the nearest right one."""

from __future__ import annotations

from typing import Any

import pytest
from traitlets.config import Config

from binderhub_service.modes.embedded import EmbeddedMode
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.settings import Limits
from binderhub_service.settings_check import instance_problems, problems

CLASSES = (Limits, EmbeddedMode, GitHubProvider)
WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a class in small letters": ({"limits": {}}, ""),
    "a class that is not there": ({"Limit": {"running": 2}}, "There is no class Limit with settings here. Did you mean Limits?"),
    "a class like no other": ({"Xyzzy": {"running": 2}}, "There is no class Xyzzy with settings here."),
    "a setting": ({"Limits": {"runing": 2}}, "Limits has no setting runing. Did you mean running?"),
    "a setting like no other": ({"Limits": {"xyzzy": 2}}, "Limits has no setting xyzzy."),
    "a former name": ({"GitHubProvider": {"baned_specs": []}}, "GitHubProvider has no setting baned_specs. Did you mean banned_specs?"),
    "a class of another mode": ({"DockerMode": {"anything": 2}}, ""),
    "a parent's": ({"Provider": {"banned_specs": []}}, ""),
    "nothing": ({}, ""),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_name_that_nothing_knows_is_told_with_the_nearest(case: str) -> None:
    written, sentence = WRONG[case]
    assert problems(Config(written), CLASSES, elsewhere={"DockerMode"}) == ([sentence] if sentence else [])


def test_a_value_of_the_wrong_type_is_told() -> None:
    [sentence] = instance_problems(Config({"Limits": {"running": "many"}}), CLASSES)
    assert "'running' trait of a Limits instance expected an int." in sentence
    assert "many" not in sentence, "it may be a secret"
    assert instance_problems(Config({"Limits": {"running": 3}}), CLASSES) == []
