"""Buttons that run a repository's code are pressed on purpose, and forms hold what was pasted last."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000
SETTLED_MS = 1000


@pytest.fixture(scope="module")
def repository(git_server: GitServer) -> Repository:
    """What the links lead to."""
    return git_server.create("deliberate/linked", {"README.md": "# Linked\n"})


@pytest.fixture(autouse=True)
def _no_servers_afterwards(hub: HubProcess) -> Iterator[None]:
    yield
    hub.stop_servers("alice")


def link(repository: Repository) -> str:
    """Return the link to a repository's branch main."""
    return f"/services/binder/v2/git/{quote(repository.url, safe='')}/main"


def hold(page: Any, key: str) -> None:
    """Hold a key that went down on the page before: every press that arrives here repeats."""
    for _ in range(20):
        page.keyboard.down(key)


@pytest.mark.parametrize("key", ["Enter", "Space"])
@pytest.mark.parametrize("place", ["link", "form"])
@pytest.mark.parametrize("focus", ["as the page has it", "on the button"])
def test_a_key_held_since_the_page_before_launches_nothing(
    hub: HubProcess, page_of: Callable[..., Any], repository: Repository, place: str, key: str, focus: str
) -> None:
    page = page_of("alice")
    page.keyboard.down(key)
    page.goto(link(repository) if place == "link" else f"/hub/spawn?repo={quote(repository.url, safe='')}")
    page.wait_for_load_state("networkidle")
    asked = len(repository.requests)
    if focus == "on the button":
        page.get_by_role("button", name="Launch" if place == "link" else "Start").focus()
    hold(page, key)
    page.keyboard.up(key)
    page.wait_for_load_state("networkidle")
    assert hub.servers("alice") == {}
    assert len(repository.requests) == asked


def test_a_click_meant_for_the_page_before_launches_nothing(hub: HubProcess, page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("alice", java_script_enabled=False)  # nothing but the style sheet
    page.goto(link(repository))
    page.wait_for_timeout(SETTLED_MS)
    box = page.get_by_role("button", name="Launch").bounding_box()
    page.goto(link(repository), wait_until="commit")
    page.get_by_role("button", name="Launch").wait_for()
    page.mouse.click(box["x"] + 5, box["y"] + 5)
    page.wait_for_load_state("networkidle")
    assert "/v2/" in page.url
    assert hub.servers("alice") == {}


def test_an_address_pasted_second_takes_the_place_of_the_first(page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("alice")
    repository.branch("dev")
    base = repository.url.removesuffix(".git")
    for address in ("/hub/spawn", "/services/binder/"):
        page.goto(address)
        repo, ref, path = page.locator("[name=repo]"), page.locator("[name=ref]"), page.locator("[name=path]")
        for pasted, branch, file in (
            (f"{base}/-/blob/dev/a.ipynb", "dev", "a.ipynb"),
            (f"{base}/-/tree/v2", "v2", ""),
            ("https://github.com/o/plain", "", ""),
        ):
            repo.fill(pasted)
            repo.dispatch_event("change")
            expect(ref).to_have_value(branch)
            expect(path).to_have_value(file)
        ref.fill("mine")
        repo.fill("https://github.com/o/third")
        repo.dispatch_event("change")
        expect(ref).to_have_value("mine")


def test_a_server_that_runs_already_is_said_to_show_what_it_was_started_with(
    hub: HubProcess, page_of: Callable[..., Any], repository: Repository
) -> None:
    page = page_of("alice")
    page.goto(link(repository))
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url("**/user/alice/**", timeout=BUILD_MS)
    page.goto(link(repository))
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("status")).to_contain_text("runs already", timeout=BUILD_MS)
    page.get_by_role("link", name="Open it as it is").click()
    page.wait_for_url("**/user/alice/**")


def test_ones_own_cancel_is_no_error(page_of: Callable[..., Any], new_repository: Callable[..., Repository]) -> None:
    slow = new_repository({"postBuild": "#!/bin/sh\nsleep 60\n"})
    page = page_of("alice")
    page.goto(link(slow))
    page.get_by_role("button", name="Launch").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_have_text("This build was cancelled.")
    expect(page.get_by_role("alert")).to_have_count(0)


def test_a_connection_that_is_back_is_not_said_to_be_interrupted(page_of: Callable[..., Any], new_repository: Callable[..., Repository]) -> None:
    slow = new_repository({"postBuild": "#!/bin/sh\nsleep 60\n"})
    page = page_of("alice")
    broken: list[str] = []

    def break_once(route: Any) -> None:
        broken.append(route.request.url)
        if len(broken) == 1:
            route.abort()
        else:
            route.continue_()

    page.route("**/events", break_once)
    page.goto(link(slow))
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("status")).to_contain_text("interrupted")
    expect(page.get_by_role("status")).not_to_contain_text("interrupted")
    assert len(broken) == 2
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_role("status")).to_have_text("This build was cancelled.")
