"""The traps of JupyterHub that a build inside a spawn can fall into, one test each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.harness.gate import AFTER, BEFORE, Gate
from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code
from tests.harness.waiting import wait_for

NewRepository = Callable[..., Repository]
SCRIPT = '<script>document.title = "owned"</script>'


@pytest.fixture(autouse=True)
def _no_servers_afterwards(hub: HubProcess, gate: Gate) -> Iterator[None]:
    yield
    gate.open()
    hub.stop_servers()


def build_of(hub: HubProcess, repository: Repository, admin: str) -> dict[str, Any]:
    """Return the newest build of a repository."""
    build: dict[str, Any] = hub.service("GET", "/api/builds", admin, params={"repo": repository.url}).json()[0]
    return build


def test_five_failing_builds_do_not_stop_a_hub_that_gives_up_after_five(lab_hub: HubProcess, new_repository: NewRepository) -> None:
    hub = lab_hub
    refused = new_repository({"Dockerfile": "FROM debian:12\n"}, name="refused")
    for _ in range(5):
        last = hub.launch("alice", {"repo": refused.url})[-1]
        assert last.get("failed"), last
        assert "Dockerfile" in last["message"]
    assert "Aborting due to" not in hub.log()
    good = new_repository({"README.md": "hi"}, name="good")
    last = hub.launch("alice", {"repo": good.url})[-1]
    assert last.get("ready"), last
    assert run_code(f"{hub.url}/user/alice", hub.token("alice"), "print(6 * 7)") == "42\n"
    hub.stop_server("alice")


def test_cancelling_a_pending_spawn_cancels_a_build_that_nobody_else_wants(
    hub: HubProcess, admin: str, gate: Gate, new_repository: NewRepository
) -> None:
    repository = new_repository({"postBuild": gate.post_build})
    assert hub.start_server("alice", {"repo": repository.url}).is_success
    gate.wait_until_reached()
    hub.stop_server("alice")
    build = build_of(hub, repository, admin)
    assert hub.follow(build["id"], admin)[-1].data["state"] == "cancelled"


def test_cancelling_a_pending_spawn_leaves_a_build_that_somebody_else_wants(
    hub: HubProcess, bob: str, admin: str, gate: Gate, new_repository: NewRepository
) -> None:
    repository = new_repository({"postBuild": gate.post_build})
    assert hub.start_server("alice", {"repo": repository.url}).is_success
    gate.wait_until_reached()
    his = hub.build(repository.url, bob)
    assert his["id"] == build_of(hub, repository, admin)["id"], "they share one build"
    hub.stop_server("alice")
    assert hub.service("GET", f"/api/builds/{his['id']}", bob).json()["state"] == "running"
    gate.open()
    assert hub.follow(his["id"], bob)[-1].data["state"] == "ready"


def test_two_watchers_of_one_pending_spawn_both_see_the_whole_event_log(
    hub: HubProcess, alice: str, gate: Gate, new_repository: NewRepository
) -> None:
    repository = new_repository({"postBuild": gate.post_build})
    assert hub.start_server("alice", {"repo": repository.url}).is_success
    with ThreadPoolExecutor(2) as pool:
        early = pool.submit(lambda: list(hub.progress("alice", token=alice)))
        gate.wait_until_reached()
        late = pool.submit(lambda: list(hub.progress("alice")))
        gate.open()
        first, second = early.result(120), late.result(120)
    assert first == second
    told, shown = [event["message"] for event in first], [event["progress"] for event in first]
    assert (told.count(BEFORE), told.count(AFTER)) == (1, 1)
    assert shown == sorted(shown), "progress never goes back"
    assert first[-1].get("ready")


def test_build_output_is_text_in_progress_events(hub: HubProcess, new_repository: NewRepository) -> None:
    repository = new_repository({"postBuild": f"#!/bin/sh\necho '{SCRIPT}'\nexit 3\n"})
    events = hub.launch("alice", {"repo": repository.url})
    assert SCRIPT in [event["message"] for event in events]
    assert events[-1].get("failed")
    assert not any("<script" in event.get("html_message", "") for event in events)


def test_build_output_is_text_on_the_builds_page(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"postBuild": f"#!/bin/sh\necho '{SCRIPT}'\nexit 3\n", SCRIPT.replace("/", "|"): "x"})
    build = hub.finished(repository.url, alice)
    with hub.login_to_service("alice") as client:
        for path in ("/", f"/builds/{build['id']}"):
            assert 'document.title = "owned"' not in "".join(Scripts.of(client.get(f"{hub.service_url}{path}").text))


class Scripts(HTMLParser):
    """Collects what a browser would run."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self._inside = False

    @classmethod
    def of(cls, page: str) -> list[str]:
        """Return the text of every script in a page."""
        parser = cls()
        parser.feed(page)
        return parser.scripts

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag == "script"

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts.append(data)


@pytest.mark.parametrize("path", ["/hub/spawn", "/hub/spawn/alice", "/hub/spawn/alice/other"])
def test_a_link_to_the_spawn_form_only_fills_it_in(hub: HubProcess, alice: str, new_repository: NewRepository, path: str) -> None:
    repository = new_repository({"README.md": "hi"})
    with hub.login("alice") as client:
        page = client.get(f"{hub.url}{path}", params={"repo": repository.url, "ref": "{foo}", "path": 'a "b".ipynb'})
    assert page.status_code == 200
    assert page.url.path == path, "no redirect to a pending server"
    fields = Fields.of(page.text)
    assert (fields["repo"], fields["ref"], fields["path"]) == (repository.url, "{foo}", 'a "b".ipynb')
    assert hub.servers("alice") == {}
    assert repository.requests == [], "not even Git was asked"


class Fields(HTMLParser):
    """Collects the values of a page's input fields by their names."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}

    @classmethod
    def of(cls, page: str) -> dict[str, str]:
        """Return the values in a page."""
        parser = cls()
        parser.feed(page)
        return parser.values

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "input" and given.get("name"):
            self.values[given["name"] or ""] = given.get("value") or ""


def test_a_link_with_a_password_in_it_shows_the_form_without_it(hub: HubProcess) -> None:
    with hub.login("alice") as client:
        page = client.get(f"{hub.url}/hub/spawn", params={"repo": "https://robot:hunter2@host.invalid/o/r"})
    assert "hunter2" not in str(Fields.of(page.text))
    assert "has a token or a password in it" in page.text
    assert hub.servers("alice") == {}


def test_the_form_without_javascript_starts_the_server(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hi"})
    with hub.login("alice") as client:
        form = Fields.of(client.get(f"{hub.url}/hub/spawn").text)
        assert {"repo", "ref", "path"} <= set(form)
        asked = {"repo": f"  {repository.url} ", "ref": "", "path": "README.md", "_xsrf": hub.xsrf(client, "/hub/")}
        reply = client.post(f"{hub.url}/hub/spawn", data=asked, headers={"Sec-Fetch-Mode": "navigate"})
    assert reply.status_code == 200, reply.text
    wait_for(lambda: hub.servers("alice").get("", {}).get("ready"), "alice's server")


def test_a_form_that_cannot_be_used_comes_back_with_the_reason_and_what_was_typed(hub: HubProcess) -> None:
    with hub.login("alice") as client:
        client.get(f"{hub.url}/hub/spawn")
        asked = {"repo": "https://host.invalid/o/r", "ref": "--evil", "path": "", "_xsrf": hub.xsrf(client, "/hub/")}
        reply = client.post(f"{hub.url}/hub/spawn", data=asked, headers={"Sec-Fetch-Mode": "navigate"})
    assert "No branch, tag or commit can have this name." in reply.text
    assert Fields.of(reply.text)["repo"] == "https://host.invalid/o/r"
    assert hub.servers("alice") == {}


def test_a_spawn_without_options_says_what_is_missing(hub: HubProcess) -> None:
    reply = hub.start_server("eve", {})
    assert reply.status_code == 400
    assert "repository" in reply.json()["message"]


def test_a_user_without_access_to_the_service_gets_no_server_and_does_no_harm(hub: HubProcess, new_repository: NewRepository) -> None:
    last = hub.launch("eve", {"repo": new_repository({"a": "b"}).url})[-1]
    assert last.get("failed"), last
    assert hub.is_running()
