"""From an address in the spawn form to a cell that has run in JupyterLab."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness import cases
from tests.harness.gate import AFTER, BEFORE, Gate
from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000
SCRIPT = '<script>document.title = "owned"</script>'
NewRepository = Callable[..., Repository]


@pytest.fixture(autouse=True)
def _no_servers_afterwards(hub: HubProcess, gate: Gate) -> Iterator[None]:
    yield
    gate.open()
    hub.stop_servers("alice")


@pytest.fixture
def form(page_of: Callable[..., Any]) -> Any:
    """Alice's spawn form."""
    page = page_of("alice")
    page.goto("/hub/spawn")
    return page


def fill(form: Any, repo: str, ref: str = "", path: str = "") -> None:
    """Fill in the form, whatever it remembers of earlier servers."""
    form.get_by_label("Branch, tag or commit").fill(ref)
    form.get_by_label("File or URL path to open").fill(path)
    form.get_by_label("Repository").fill(repo)


def start(form: Any) -> None:
    """Press the form's button."""
    form.get_by_role("button", name="Start").click()


def run_first_cell(page: Any) -> None:
    """Run the first cell of the notebook that is open, once its kernel is ready and the cell has the keyboard."""
    expect(page.locator(".jp-StatusBar-TextItem", has_text="| Idle")).to_be_visible(timeout=BUILD_MS)
    page.locator(".jp-Notebook .jp-CodeCell .cm-content").first.click()
    expect(page.locator(".jp-Notebook.jp-mod-editMode")).to_be_visible()
    page.keyboard.press("Shift+Enter")


def test_a_pasted_address_ends_with_a_cell_that_has_run(page_of: Callable[..., Any], new_repository: NewRepository) -> None:
    form = page_of("alice", lab=True)
    form.goto("/hub/spawn")
    repository = new_repository(cases.load("requirements").files())
    fill(form, repository.url, path="analysis.ipynb")
    start(form)
    expect(form.get_by_role("log")).to_contain_text("Fetching", timeout=BUILD_MS)
    form.wait_for_url("**/user/alice/lab/tree/analysis.ipynb**", timeout=BUILD_MS)
    expect(form.locator(".jp-DirListing-item", has_text="requirements.txt")).to_be_visible(timeout=BUILD_MS)
    run_first_cell(form)
    expect(form.locator(".jp-OutputArea-output").first).to_contain_text("six is 1.16.0", timeout=BUILD_MS)


@pytest.mark.parametrize(
    ("page", "ref", "path"),
    [
        ("blob/main/a/b%20c.ipynb", "main", "a/b c.ipynb"),
        ("tree/feature/x/docs", "feature/x", "docs"),
    ],
)
def test_an_address_of_a_file_fills_in_the_other_fields(form: Any, new_repository: NewRepository, page: str, ref: str, path: str) -> None:
    repository = new_repository({"README.md": "hi"})
    repository.branch("feature/x")
    address = repository.url.removesuffix(".git")
    fill(form, f"{address}/-/{page}")
    form.keyboard.press("Tab")
    expect(form.get_by_label("Repository")).to_have_value(address)
    expect(form.get_by_label("Branch, tag or commit")).to_have_value(ref)
    expect(form.get_by_label("File or URL path to open")).to_have_value(path)


def test_a_pasted_page_of_a_branch_that_is_gone_is_said_on_the_form(hub: HubProcess, form: Any, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hi"})
    fill(form, f"{repository.url.removesuffix('.git')}/-/blob/gone/a.ipynb")
    start(form)
    expect(form.get_by_role("alert")).to_contain_text("no branch or tag with which 'gone/a.ipynb' begins")
    expect(form.get_by_role("button", name="Start")).to_be_enabled()
    assert hub.servers("alice") == {}


def test_an_unknown_branch_is_said_on_the_form_and_nothing_starts(hub: HubProcess, form: Any, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hi"})
    fill(form, repository.url, ref="{foo}")
    start(form)
    expect(form.get_by_role("alert")).to_contain_text("{foo}")
    expect(form.get_by_label("Repository")).to_have_value(repository.url)
    expect(form.get_by_role("button", name="Start")).to_be_enabled()
    assert hub.servers("alice") == {}


def test_a_build_that_fails_says_why_on_the_form_and_its_output_is_text(hub: HubProcess, form: Any, new_repository: NewRepository) -> None:
    repository = new_repository({"postBuild": f"#!/bin/sh\nprintf '\\033[31m{SCRIPT}\\033[0m\\n'\nexit 3\n"})
    fill(form, repository.url)
    start(form)
    expect(form.get_by_role("alert")).to_contain_text("postBuild", timeout=BUILD_MS)
    expect(form.get_by_role("log")).to_contain_text(SCRIPT)
    assert form.title() != "owned"
    assert hub.servers("alice") == {}


def test_a_link_fills_in_the_form_and_nothing_more(hub: HubProcess, form: Any, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hi"})
    form.goto(f"/hub/spawn?repo={repository.url}&ref=%7Bfoo%7D&path=README.md")
    expect(form.get_by_label("Repository")).to_have_value(repository.url)
    expect(form.get_by_label("Branch, tag or commit")).to_have_value("{foo}")
    expect(form.get_by_label("File or URL path to open")).to_have_value("README.md")
    form.wait_for_load_state("networkidle")
    assert hub.servers("alice") == {}
    assert repository.requests == []


def test_two_pages_that_wait_for_one_server_show_the_whole_log_as_text(
    hub: HubProcess, page_of: Callable[..., Any], gate: Gate, new_repository: NewRepository
) -> None:
    post_build = gate.post_build.replace("echo", f"echo '{SCRIPT}'\necho", 1)
    hub.start_server("alice", {"repo": new_repository({"postBuild": post_build}).url})
    gate.wait_until_reached()
    # In two browsers: two pages of one browser that sign in to a new server at the same moment take each other's cookies.
    first, second = page_of("alice"), page_of("alice")
    for page in (first, second):
        page.goto("/hub/spawn-pending/alice")
        page.get_by_text("Event log").click()
        expect(page.locator("#progress-log")).to_contain_text(BEFORE)
        expect(page.locator("#progress-log")).to_contain_text(SCRIPT)
        assert page.title() != "owned"
    told = [page.locator("#progress-log").inner_text() for page in (first, second)]
    assert told[0] == told[1]
    assert AFTER not in told[0]
    gate.open()
    for page in (first, second):
        page.wait_for_url("**/user/alice/lab**", timeout=BUILD_MS)
