"""A setting with a wrong name or value is told with the nearest right one."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from traitlets.config import Config

from binderhub_service.app import CONFIG_VARIABLE, BinderService
from binderhub_service.errors import Unavailable
from binderhub_service.modes.embedded import EmbeddedMode
from binderhub_service.process.programs import find_uv
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.settings import Limits
from binderhub_service.settings.check import instance_problems, problems, wrong_settings

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


def test_a_wrong_name_is_told_once_and_the_cure_as_well(recwarn: pytest.WarningsRecorder) -> None:
    assert instance_problems(Config(WRONG["a setting"][0]), CLASSES) == [], "names are told by `problems`"
    assert not recwarn.list
    error = wrong_settings([WRONG["a setting"][1]])
    assert f"{error.message} {error.hint or ''}".count("Correct them, then start the hub again.") == 1


def test_a_value_of_the_wrong_type_is_told() -> None:
    [sentence] = instance_problems(Config({"Limits": {"running": "many"}}), CLASSES)
    assert "'running' trait of a Limits instance expected an int." in sentence
    assert "many" not in sentence, "it may be a secret"
    assert instance_problems(Config({"Limits": {"running": 3}}), CLASSES) == []


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ({"config_file": "raises.py"}, "The settings cannot be read: RuntimeError: not today."),
        ({"config_file": "asserts.py"}, "The settings cannot be read: AssertionError: "),
        ({"config_file": "settings.yaml"}, "has to be Python or JSON, with a name that ends in .py or .json."),
        ({"config_file": "marked.json"}, "The settings cannot be read: JSONDecodeError: Unexpected UTF-8 BOM"),
        ({"log_format": "%(nope)s"}, "BinderService.log_format is no format of a line of the log: "),
        ({"log_format": "%(message)"}, "BinderService.log_format is no format of a line of the log: "),
        ({"state_dir": ""}, "BinderService.state_dir has to be the path of a directory."),
        ({"state_dir": "a\0b"}, "BinderService.state_dir has to be the path of a directory."),
        ({"template_paths": ["/nope/templates"]}, "BinderService.template_paths: There is no directory /nope/templates."),
        ({"logging_config": {"handlers": {"f": {"class": "logging.FileHandler", "filename": "/nope/x"}}}}, "Unable to configure handler 'f'."),
    ],
)
async def test_settings_that_the_service_cannot_use_are_told_and_do_not_end_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: dict[str, Any], sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raises.py").write_text("raise RuntimeError('not today')\n")
    Path("asserts.py").write_text("assert not True\n")
    Path("settings.yaml").write_text("Limits:\n  running: 3\n")
    Path("marked.json").write_bytes(b'\xef\xbb\xbf{"Limits": {"running": 3}}')
    monkeypatch.setenv(CONFIG_VARIABLE, json.dumps({"BinderService": written}))
    service = BinderService()
    service.initialize([])
    with pytest.raises(Unavailable) as told:
        await service.check_settings()
    assert sentence in told.value.message


@pytest.mark.parametrize(("says", "found"), [("uv 0.6.17", "0.6"), ("hello", "unknown")])
def test_a_uv_that_is_too_old_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, says: str, found: str) -> None:
    uv = tmp_path / "uv"
    uv.write_text(f"#!/bin/sh\necho {says}\n")
    uv.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(Unavailable, match=f"uv 0.7 or newer is needed; this one is {found}"):
        find_uv()
