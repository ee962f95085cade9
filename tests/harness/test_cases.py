"""The cases themselves must be sound, or what is tested with them means nothing."""

from __future__ import annotations

import pytest

from tests.harness import cases

WANTED = {"requirements", "pyproject", "pyproject-uv-lock", "setup-py", "runtime-txt", "python-version", "post-build", "start-script", "plain"}
UNWANTED = {"dockerfile", "environment-yml", "apt-txt", "r-install", "julia", "nix"}


@pytest.mark.parametrize("name", cases.names(refused=False))
def test_a_case_that_should_work_has_files_and_a_script_that_compiles(name: str) -> None:
    case = cases.load(name)
    compile(case.verify.read_text(), str(case.verify), "exec")
    assert case.files()


@pytest.mark.parametrize("name", cases.names(refused=True))
def test_a_case_that_should_be_refused_says_by_which_words(name: str) -> None:
    assert cases.load(name).refused
    assert not cases.load(name).verify.exists(), "nothing will run it"


def test_every_kind_of_repository_is_here() -> None:
    assert set(cases.names(refused=False)) >= WANTED
    assert set(cases.names(refused=True)) >= UNWANTED


def test_a_lock_holds_the_version_that_was_asked_for() -> None:
    assert b'name = "six"\nversion = "1.15.0"' in cases.load("pyproject-uv-lock").files()["uv.lock"]


def test_this_python_is_named_where_a_case_asks_for_it() -> None:
    assert b"@" not in cases.load("runtime-txt").files()["runtime.txt"]


def test_a_pylock_holds_the_version_that_was_asked_for() -> None:
    assert b'name = "six"\nversion = "1.15.0"' in cases.load("pylock").files()["pylock.toml"]
