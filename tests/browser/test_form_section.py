"""The section for a repository below an operator's own form."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.hub_config import ADMIN
from tests.spawner.fakes import make_environment

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000
CONFIG = """
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = "{folder}/{{username}}"
c.SimpleLocalProcessSpawner.cmd = ["{folder}/environment/bin/jupyterhub-singleuser"]
c.Spawner.options_form = '<label for="size">Size</label> <select id="size" name="size"><option>small</option></select>'
"""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with an operator's spawner and form."""
    folder = tmp_path_factory.mktemp("hub")
    make_environment(folder / "environment")
    with HubProcess(folder, config=CONFIG.format(folder=folder), more={"required": False}) as hub:
        yield hub
        hub.stop_servers()


def test_a_repository_is_built_in_the_form_and_without_one_the_form_is_only_the_operators(
    hub: HubProcess, page_of: Callable[..., Any], git_server: GitServer
) -> None:
    repository = git_server.create("section/plain", {"README.md": "hello"})
    page = page_of("alice")
    page.goto("/hub/spawn")
    expect(page.get_by_role("group", name="From a repository")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/user/alice/**", timeout=BUILD_MS)
    assert hub.servers("alice")[""]["user_options"] == {"size": ["small"]}
    hub.stop_server("alice")
    page.goto("/hub/spawn")
    page.get_by_label("Repository").fill(repository.url)
    page.get_by_role("button", name="Start").click()
    expect(page.locator("#binder-log")).to_be_visible()
    page.wait_for_url("**/user/alice/lab**", timeout=BUILD_MS)
    assert hub.servers("alice")[""]["user_options"] == {"repo": repository.url, "ref": "", "path": ""}


def test_a_prepared_environment_is_picked_with_the_keyboard_in_place_of_a_repository(
    hub: HubProcess, page_of: Callable[..., Any], git_server: GitServer
) -> None:
    repository = git_server.create("section/prepared", {"README.md": "hello"})
    put = hub.service("PUT", "/api/prepared/course", hub.token(ADMIN), json={"repo": repository.url, "description": "Statistics"})
    assert put.status_code == 200, put.text
    hub.stop_servers()
    page = page_of("alice")
    page.goto("/hub/spawn")
    repositories = page.get_by_label("Repository", exact=True)
    expect(repositories).to_be_visible()
    page.get_by_label("Prepared environment").focus()
    page.keyboard.press("ArrowDown")
    expect(repositories).to_be_hidden()
    page.keyboard.press("Tab")
    expect(page.get_by_label("File or URL path to open")).to_be_focused()
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/user/alice/lab**", timeout=BUILD_MS)
    assert hub.servers("alice")[""]["user_options"] == {"repo": "course", "ref": "", "path": "", "provider": "prepared"}
