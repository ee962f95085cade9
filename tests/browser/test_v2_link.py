"""A link that launches a repository: nothing of a stranger runs before the click."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

from tests.harness.archives import archive_of
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000


@pytest.fixture(scope="module")
def repository(git_server: GitServer) -> Repository:
    """What the links lead to."""
    return git_server.create("v2/linked", {"README.md": "# Linked\n"})


@pytest.fixture(autouse=True)
def _no_servers_afterwards(hub: HubProcess) -> Iterator[None]:
    yield
    hub.stop_servers("alice")


def link(repository: Repository, query: str = "") -> str:
    """Return the link to a repository's branch main."""
    return f"/services/binder/v2/git/{quote(repository.url, safe='')}/main{query}"


def test_a_link_shows_what_would_run_and_runs_nothing(hub: HubProcess, page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("alice")
    asked_before = len(repository.requests)
    page.goto(link(repository, "?urlpath=lab/tree/README.md"))
    expect(page.get_by_role("main").or_(page.locator("body")).first).to_contain_text(repository.url)
    expect(page.get_by_role("button", name="Launch")).not_to_be_focused()
    page.wait_for_load_state("networkidle")
    assert hub.servers("alice") == {}
    assert len(repository.requests) == asked_before


def test_the_click_ends_in_the_server_and_the_same_link_comes_back_to_it(
    hub: HubProcess, page_of: Callable[..., Any], repository: Repository
) -> None:
    page = page_of("alice")
    page.goto(link(repository, "?urlpath=lab/tree/README.md"))
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url("**/user/alice/*/lab/tree/README.md**", timeout=BUILD_MS)
    (name,) = hub.servers("alice")
    file = page.request.get(f"/user/alice/{name}/api/contents/README.md")
    assert file.json()["content"] == "# Linked\n", "the server's own address, its person's cookies and the repository's files"
    started = hub.servers("alice")[name]["started"]
    assert urlsplit(page.url).path == f"/user/alice/{name}/lab/tree/README.md"
    page.goto(link(repository, "?urlpath=lab/tree/README.md"))
    page.get_by_role("button", name="Launch").click()
    page.get_by_role("link", name="Open it as it is").click()
    page.wait_for_url(f"**/user/alice/{name}/lab/tree/README.md**", timeout=BUILD_MS)
    assert hub.servers("alice")[name]["started"] == started


def test_the_log_of_the_build_can_be_copied_and_downloaded_and_a_failure_says_what_to_do(page_of: Callable[..., Any], git_server: GitServer) -> None:
    failing = git_server.create("v2/failing", {"requirements.txt": "there-is-no-such-package-at-all==1.0\n"})
    page = page_of("alice", permissions=["clipboard-read", "clipboard-write"])
    page.goto(link(failing))
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("alert")).to_be_visible(timeout=BUILD_MS)
    expect(page.get_by_role("button", name="Try again")).to_be_enabled()
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "there-is-no-such-package-at-all" in page.evaluate("navigator.clipboard.readText()")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    assert download.value.suggested_filename.endswith(".log")


def test_a_launch_waits_for_a_place_as_long_as_the_person_wants(hub: HubProcess, page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("alice")
    error = {"code": "launch_quota", "message": "Too many users on this BinderHub! Try again soon.", "hint": "All places are taken."}
    page.route("**/api/launches", lambda route: route.fulfill(status=429, json={"error": error}))
    page.goto(link(repository))
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("status")).to_contain_text("Too many users on this BinderHub!", timeout=BUILD_MS)
    page.get_by_role("button", name="Do not wait").click()
    expect(page.get_by_role("status")).to_contain_text("Nothing was launched.")
    assert hub.servers("alice") == {}
    page.unroute("**/api/launches")
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url("**/user/alice/**", timeout=BUILD_MS)


def test_without_javascript_the_button_works_as_well(hub: HubProcess, page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("alice", java_script_enabled=False)
    page.goto(link(repository))
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url("**/hub/spawn-pending/alice/**")
    (server,) = wait_for(lambda: list(hub.servers("alice").values()), "alice's server")
    assert server["user_options"] == {"repo": repository.url, "ref": "main", "path": "", "provider": "git"}
    wait_for(lambda: all(one["ready"] for one in hub.servers("alice").values()), "the server to be ready", 120)


def test_a_link_to_github_says_what_it_means(page_of: Callable[..., Any]) -> None:
    page = page_of("alice")
    page.goto("/services/binder/v2/gh/owner/project/v1.0?filepath=notebooks/a%20b.ipynb")
    for text in ("https://github.com/owner/project", "v1.0", "notebooks/a b.ipynb"):
        expect(page.locator("body")).to_contain_text(text)


def test_somebody_without_access_is_told_so(page_of: Callable[..., Any], repository: Repository) -> None:
    page = page_of("eve")
    reply = page.goto(link(repository))
    assert reply.status == 403
    expect(page.get_by_role("button", name="Launch")).to_have_count(0)


def test_the_front_page_makes_a_link_from_a_pasted_address_that_can_be_copied(page_of: Callable[..., Any], repository: Repository) -> None:
    repository.tag("v1.0/final")
    address = repository.url.removesuffix(".git")
    page = page_of("alice", permissions=["clipboard-read", "clipboard-write"])
    page.goto("/services/binder/")
    expect(page.get_by_label("GitHub repository or its address")).to_be_focused()
    page.keyboard.insert_text(f"{address}/-/blob/v1.0/final/notebooks/a%20b.ipynb")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Branch, tag or commit")).to_have_value("v1.0/final")
    page.get_by_role("button", name="Make the link").click()
    page.get_by_role("button", name="Copy").nth(1).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("[![Binder](")
    assert copied.endswith(f"/v2/git/{quote(address, safe='')}/v1.0/final?labpath=notebooks%2Fa%20b.ipynb)")
    assert page.get_by_alt_text("The badge").evaluate("image => image.naturalWidth") > 100
    page.get_by_role("link", name="Launch", exact=True).click()
    expect(page.locator("body")).to_contain_text("notebooks/a b.ipynb")


def test_another_place_asks_in_its_own_words(page_of: Callable[..., Any]) -> None:
    page = page_of("alice")
    page.goto("/services/binder/")
    page.get_by_label("Where it is").select_option("gl")
    page.get_by_label("GitLab project or its address").fill("group/sub/project")
    page.get_by_role("button", name="Make the link").click()
    expect(page.get_by_label("Links to share")).to_contain_text("/v2/gl/group%2Fsub%2Fproject/HEAD")


def test_a_file_is_sent_from_the_front_page_and_can_be_launched(page_of: Callable[..., Any], tmp_path: Path) -> None:
    archive = tmp_path / "course.tar.xz"
    archive.write_bytes(archive_of({"requirements.txt": ""}))
    page = page_of("alice")
    page.goto("/services/binder/")
    page.get_by_text("No repository? Send files instead").click()
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Send").click()
    page.wait_for_url(f"**/v2/upload/{sha256(archive.read_bytes()).hexdigest()}")
    expect(page.get_by_role("button", name="Launch")).to_be_visible()
