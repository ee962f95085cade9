"""The operator's profiles in the spawn form of Kubernetes mode; no cluster is needed to show them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.hub import HubProcess
from tests.spawner.cluster import KUBECONFIG

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytest.importorskip("kubespawner", reason="KubeSpawner is not installed")
pytestmark = pytest.mark.browser
CONFIG = """
c.JupyterHub.spawner_class = "spawner.kubernetes.spawner.BinderSpawner"
big = {"choices": {"two": {"display_name": "2 GB"}}, "unlisted_choice": {"enabled": True, "display_name": "Another amount"}}
c.KubeSpawner.profile_list = [
    {"display_name": "Small", "description": "One processor and two gigabytes, which is enough for most notebooks."},
    {"display_name": "Big", "description": "For training.", "profile_options": {"memory": {"display_name": "Memory", **big}}},
]
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with profiles."""
    folder = tmp_path_factory.mktemp("hub")
    (folder / "kubeconfig").write_text(KUBECONFIG)
    with pytest.MonkeyPatch.context() as context:
        context.setenv("KUBECONFIG", str(folder / "kubeconfig"))
        with HubProcess(folder, config=CONFIG) as hub:
            yield hub


def test_a_link_fills_in_the_profile_as_well(page_of: Callable[..., Any]) -> None:
    page = page_of("alice")
    page.goto("/hub/spawn?repo=o/r&profile=big&profile-option-big--memory--unlisted-choice=7G")
    expect(page.get_by_label("Repository")).to_have_value("https://github.com/o/r")
    expect(page.get_by_role("radio", name="Big")).to_be_checked()
    expect(page.get_by_role("textbox", name="Another amount")).to_have_value("7G")


def test_profiles_are_chosen_with_the_keyboard_and_fit_on_a_narrow_screen(page_of: Callable[..., Any]) -> None:
    page = page_of("alice", viewport={"width": 320, "height": 700})
    page.goto("/hub/spawn")
    page.get_by_label("File or URL path to open").focus()
    page.keyboard.press("Tab")
    expect(page.get_by_role("radio", name="Small")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("radio", name="Big")).to_be_checked()
    page.keyboard.press("Tab")
    expect(page.get_by_role("combobox", name="Memory")).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
