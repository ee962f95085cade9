"""The list of builds, a build's page and the page for what is not there."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.gate import AFTER, BEFORE, Gate
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000
SCRIPT = '<script>document.title = "owned"</script>'
LUMINANCE = """element => {
    const parse = color => color.match(/[\\d.]+/g).map(Number);
    let background = [0, 0, 0, 0];
    for (let at = element; at && !background[3]; at = at.parentElement) {
        const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
        background = [r, g, b, a];
    }
    const bright = ([r, g, b]) => (0.2126 * r + 0.7152 * g + 0.0722 * b) / 255;
    return [bright(parse(getComputedStyle(element).color)), bright(background)];
}"""


@pytest.fixture(scope="module")
def failed(shared_hub: HubProcess, alice: str, git_server: GitServer) -> dict[str, Any]:
    """A build of alice's that failed after it had written in colours and in markup."""
    post_build = f"#!/bin/sh\nprintf '\\033[31mred\\033[0m plain\\n'\necho '{SCRIPT}'\nexit 3\n"
    build = shared_hub.finished(git_server.create("pages/failed", {"postBuild": post_build}).url, alice)
    assert build["state"] == "failed"
    return build


def test_the_list_leads_to_a_builds_page_by_the_keyboard_alone(page_of: Callable[..., Any], failed: dict[str, Any]) -> None:
    page = page_of("alice")
    page.goto("/services/binder/builds")
    row = page.get_by_role("row").filter(has_text=failed["repo"])
    for text in ("HEAD", failed["commit"][:7], "failed"):
        expect(row).to_contain_text(text)
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent.trim()") == failed["repo"]:
            break
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/services/binder/builds/{failed['id']}")


def test_everybody_sees_their_own_builds_only(page_of: Callable[..., Any], failed: dict[str, Any]) -> None:
    page = page_of("bob")
    page.goto("/services/binder/builds")
    expect(page.get_by_role("heading", name="Builds")).to_be_visible()
    expect(page.get_by_text(failed["repo"])).to_have_count(0)
    assert page.goto(f"/services/binder/builds/{failed['id']}").status == 403


def test_a_failed_builds_page_has_the_error_on_top_and_the_log_as_text(page_of: Callable[..., Any], failed: dict[str, Any]) -> None:
    page = page_of("alice")
    page.goto(f"/services/binder/builds/{failed['id']}")
    error, log = page.get_by_role("alert"), page.get_by_role("log")
    expect(error).to_contain_text(failed["error"]["message"])
    expect(error).to_contain_text(failed["error"]["hint"])
    expect(log).to_contain_text("red plain")
    expect(log).to_contain_text(SCRIPT)
    assert error.bounding_box()["y"] < log.bounding_box()["y"]
    assert page.title() != "owned"
    red, plain = (log.locator("span", has_text=re.compile(f"^ ?{text}$")) for text in ("red", "plain"))
    assert red.evaluate("e => getComputedStyle(e).color") != plain.evaluate("e => getComputedStyle(e).color")


def test_the_log_can_be_copied_and_downloaded(hub: HubProcess, alice: str, page_of: Callable[..., Any], failed: dict[str, Any]) -> None:
    page = page_of("alice", permissions=["clipboard-read", "clipboard-write"])
    page.goto(f"/services/binder/builds/{failed['id']}")
    whole = hub.service("GET", f"/api/builds/{failed['id']}/log", alice).text
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()").split() == re.sub(r"\x1b\[[0-9;]*m", "", whole).split(), "without colours"
    with page.expect_download() as begun:
        page.get_by_role("link", name="Download").click()
    assert begun.value.path().read_text() == re.sub(r"\x1b\[[0-9;]*m", "", whole), "without colours"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_in_light_and_in_the_dark(page_of: Callable[..., Any], failed: dict[str, Any], scheme: str) -> None:
    page = page_of("alice", color_scheme=scheme)
    for path in ("", "builds", f"builds/{failed['id']}", "nothing"):
        page.goto(f"/services/binder/{path}")
        for element in (page.locator("h1").first, page.get_by_role("log").first, page.get_by_role("alert").first, page.locator("td").first):
            if element.count():
                text, background = element.evaluate(LUMINANCE)
                assert (text > background) == (scheme == "dark"), (path, text, background)
                assert abs(text - background) > 0.3, (path, text, background)


def test_a_page_that_is_not_there_says_so_in_the_hubs_frame(page_of: Callable[..., Any]) -> None:
    page = page_of("alice")
    for path in ("nothing", "builds/none"):
        reply = page.goto(f"/services/binder/{path}")
        assert reply.status == 404
        expect(page.get_by_role("alert")).to_contain_text("404")
        expect(page.get_by_role("link", name="All builds")).to_be_visible()
        expect(page.locator("#jupyterhub-logo, .navbar").first).to_be_visible()


def test_a_builds_page_shows_the_event_log_as_it_happens(
    hub: HubProcess, alice: str, page_of: Callable[..., Any], gate: Gate, new_repository: Callable[..., Repository]
) -> None:
    build = hub.build(new_repository({"postBuild": gate.post_build}).url, alice)
    page = page_of("alice")
    page.goto(f"/services/binder/builds/{build['id']}")
    expect(page.get_by_role("log")).to_contain_text(BEFORE, timeout=BUILD_MS)
    gate.open()
    expect(page.get_by_role("log")).to_contain_text(AFTER, timeout=BUILD_MS)
    expect(page.locator(".binder-state")).to_have_text("ready", timeout=BUILD_MS)
    expect(page.get_by_role("link", name="Launch", exact=True)).to_be_visible()
    assert page.get_by_role("link", name="Launch", exact=True).get_attribute("href").endswith(f"/{build['commit']}")


def test_a_build_can_be_cancelled_on_its_page(
    hub: HubProcess, alice: str, page_of: Callable[..., Any], new_repository: Callable[..., Repository]
) -> None:
    repository = new_repository({"a": "b"})
    commit = repository.rev("main")
    repository.hang()
    build = hub.build(repository.url, alice, ref=commit)
    page = page_of("alice")
    page.goto(f"/services/binder/builds/{build['id']}")
    page.get_by_text("Cancel…").click()
    page.get_by_role("button", name="Cancel the build").click()
    expect(page.locator(".binder-state")).to_have_text("cancelled")
    expect(page.get_by_role("status").first).to_contain_text("cancelled")
    expect(page.get_by_role("alert")).to_have_count(0)
    assert hub.service("GET", f"/api/builds/{build['id']}", alice).json()["state"] == "cancelled"
