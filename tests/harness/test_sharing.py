"""Tests that share something expensive are in one group, and long groups come first."""

from __future__ import annotations

from tests.harness.sharing import group_of


def test_a_folder_that_shares_a_hub_is_one_group() -> None:
    assert group_of("tests/hub/test_api.py::test_x") == group_of("tests/hub/test_launch.py::test_y")


def test_a_file_that_shares_nothing_is_a_group_of_its_own_and_comes_last() -> None:
    alone = group_of("tests/test_names.py::test_x[a/b::c]")
    assert alone.name == "tests/test_names.py"
    assert alone.rank > group_of("tests/browser/test_pages.py::test_x").rank


def test_a_file_elsewhere_that_uses_the_shared_hub_is_in_the_group_of_its_users() -> None:
    assert group_of("tests/process/test_endings.py::test_x") == group_of("tests/hub/test_api.py::test_y")
    assert group_of("tests/process/test_server.py::test_x").name == "tests/process/test_server.py"


def test_the_deepest_folder_decides() -> None:
    assert group_of("tests/kubernetes/pods/test_engine.py::t") != group_of("tests/kubernetes/test_end_to_end.py::t")
