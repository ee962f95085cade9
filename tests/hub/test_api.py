"""The wire, as other people's scripts use it: through the proxy, with tokens and cookies."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.wire import error_of

# fmt: off
BUILD_KEYS = {
    "id", "provider", "repo", "ref", "commit", "image", "environment", "state",
    "phase", "queue", "error", "owner", "created", "started", "finished", "last_event",
}
# fmt: on
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
EVERYTHING = [
    ("POST", "/api/builds"),
    ("GET", "/api/builds"),
    ("GET", "/api/builds/ID"),
    ("GET", "/api/builds/ID/events"),
    ("GET", "/api/builds/ID/log"),
    ("DELETE", "/api/builds/ID"),
    ("DELETE", "/api/builds/ID/ask"),
    ("POST", "/api/launches"),
]
NewRepository = Callable[..., Repository]


# Without a login


@pytest.mark.parametrize("path", ["/health", "/versions", "/metrics"])
def test_health_versions_and_metrics_need_no_login(hub: HubProcess, path: str) -> None:
    assert hub.service("GET", path).status_code == 200


def test_metrics_are_prometheus_text_about_builds(hub: HubProcess, finished: dict[str, Any]) -> None:
    text = hub.service("GET", "/metrics").text
    assert re.search(r"^binder\w*build\w*(\{.*\})? \d", text, re.MULTILINE), text


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_nobody_asks_without_a_login(hub: HubProcess, finished: dict[str, Any], method: str, path: str) -> None:
    reply = hub.service(method, path.replace("ID", finished["id"]))
    assert reply.status_code == 403
    error_of(reply)


@pytest.mark.parametrize(("method", "path"), EVERYTHING)
def test_a_user_without_access_is_refused_everywhere(hub: HubProcess, eve: str, finished: dict[str, Any], method: str, path: str) -> None:
    reply = hub.service(method, path.replace("ID", finished["id"]), eve, json={"repo": finished["repo"]} if method == "POST" else None)
    assert reply.status_code == 403
    assert finished["repo"] not in reply.text


def test_a_user_without_access_sees_no_page(hub: HubProcess) -> None:
    with hub.login("eve") as client:
        assert client.get(f"{hub.service_url}/").status_code == 403


def test_a_token_that_nobody_gave_out_is_refused(hub: HubProcess) -> None:
    assert hub.service("GET", "/api/builds", "0" * 32).status_code == 403


# Asking


def test_a_new_ask_is_created_and_an_equal_one_finds_it(hub: HubProcess, alice: str, bob: str, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hi"})
    first = hub.service("POST", "/api/builds", alice, json={"repo": repository.url})
    second = hub.service("POST", "/api/builds", bob, json={"repo": repository.url, "ref": "main"})
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json()["id"] == second.json()["id"]
    found = httpx.get(httpx.URL(hub.url).join(first.headers["Location"]), headers={"Authorization": f"Bearer {alice}"})
    assert found.json()["id"] == first.json()["id"]


def test_a_build_has_the_documented_keys_and_says_what_was_asked(hub: HubProcess, alice: str, finished: dict[str, Any]) -> None:
    build = hub.service("GET", f"/api/builds/{finished['id']}", alice).json()
    assert set(build) == BUILD_KEYS
    assert (build["ref"], build["provider"], build["owner"], build["phase"]) == ("HEAD", "git", "alice", "done")
    assert re.fullmatch(r"[0-9a-f]{40}", build["commit"])
    assert build["error"] is build["queue"] is None
    assert all(TIME.fullmatch(build[name]) for name in ("created", "started", "finished"))
    assert build["created"] <= build["started"] <= build["finished"]


def test_the_same_commit_again_is_ready_at_once(hub: HubProcess, bob: str, finished: dict[str, Any]) -> None:
    reply = hub.service("POST", "/api/builds", bob, json={"repo": finished["repo"]})
    assert (reply.status_code, reply.json()["state"], reply.json()["image"]) == (200, "ready", finished["image"])


def test_a_commit_is_built_by_its_full_sha_a_tag_and_a_branch_alike(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "hi"})
    commit = repository.rev("main")
    repository.tag("v1", annotated=True)
    repository.branch("topic")
    builds = [hub.build(repository.url, alice, ref=ref) for ref in (commit, "v1", "topic", "main")]
    assert {build["commit"] for build in builds} == {commit}
    assert len({build["image"] for build in builds}) == 1


def test_a_hub_service_asks_in_its_own_name(hub: HubProcess, new_repository: NewRepository) -> None:
    build = hub.build(new_repository({"README.md": "hi"}).url, hub.admin_token)
    assert build["owner"] == "service:harness"


# Asks that cannot be granted


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"repo": ""}, 400, "invalid_request"),
        ({"repo": 7}, 400, "invalid_request"),
        ({"repo": "o/r", "image": "x"}, 400, "invalid_request"),
        ({"repo": "https://host.invalid/o/r", "ref": "--upload-pack=x"}, 400, "invalid_ref"),
        ({"repo": "https://host.invalid/o/r", "ref": "a\nb"}, 400, "invalid_ref"),
        ({"repo": "https://robot:s3cret@host.invalid/o/r"}, 400, "credentials_in_address"),
        ({"repo": "file:///etc"}, 400, "unsupported_address"),
        ({"repo": "ext::sh -c id"}, 400, "unsupported_address"),
    ],
)
def test_an_ask_that_makes_no_sense_is_refused_with_a_code(hub: HubProcess, alice: str, asked: dict[str, Any], status: int, code: str) -> None:
    reply = hub.service("POST", "/api/builds", alice, json=asked)
    assert (reply.status_code, error_of(reply)["code"]) == (status, code)


def test_a_body_that_is_not_json_is_refused(hub: HubProcess, alice: str) -> None:
    reply = hub.service("POST", "/api/builds", alice, content=b"repo=x")
    assert (reply.status_code, error_of(reply)["code"]) == (400, "invalid_request")


def test_a_password_in_an_address_is_repeated_nowhere(hub: HubProcess, alice: str) -> None:
    reply = hub.service("POST", "/api/builds", alice, json={"repo": "https://robot:swordfish@host.invalid/o/r"})
    assert error_of(reply)["hint"]
    assert "swordfish" not in reply.text + hub.log()


def test_an_unknown_repository_and_an_unknown_ref_are_told_apart(
    hub: HubProcess, alice: str, git_server: GitServer, new_repository: NewRepository
) -> None:
    repository = new_repository({"a": "b"})
    nowhere = hub.service("POST", "/api/builds", alice, json={"repo": f"{git_server.url}/no/such.git"})
    unborn = hub.service("POST", "/api/builds", alice, json={"repo": repository.url, "ref": "no-such-branch"})
    assert (nowhere.status_code, error_of(nowhere)["code"]) == (404, "repository_not_found")
    assert (unborn.status_code, error_of(unborn)["code"]) == (404, "ref_not_found")
    assert "no-such-branch" in unborn.text


def test_a_git_server_in_trouble_is_not_a_repository_that_is_not_there(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"a": "b"})
    repository.answer(500)
    reply = hub.service("POST", "/api/builds", alice, json={"repo": repository.url})
    assert (reply.status_code, error_of(reply)["code"]) == (503, "git_server_unavailable")
    repository.recover()
    assert hub.service("POST", "/api/builds", alice, json={"repo": repository.url}).status_code == 201


def test_a_private_repository_without_a_login_ends_at_once_and_asks_nobody(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"a": "b"}, login=("robot", "s3cret"))
    reply = hub.service("POST", "/api/builds", alice, json={"repo": repository.url})
    assert reply.status_code == 404
    assert error_of(reply)["hint"]


def test_an_unknown_build_is_not_found(hub: HubProcess, alice: str) -> None:
    for path in ("/api/builds/none", "/api/builds/none/events", "/api/builds/none/log", "/api/none"):
        reply = hub.service("GET", path, alice)
        assert reply.status_code == 404, path
        error_of(reply)


# Scopes


@pytest.mark.parametrize("path", ["", "/events", "/log"])
def test_somebody_elses_build_cannot_be_read(hub: HubProcess, bob: str, alice: str, new_repository: NewRepository, path: str) -> None:
    build = hub.finished(new_repository({"Dockerfile": "FROM x"}).url, alice)
    reply = hub.service("GET", f"/api/builds/{build['id']}{path}", bob)
    assert reply.status_code == 403
    assert build["repo"] not in reply.text


def test_a_second_requester_may_read_but_not_cancel_for_the_owner(hub: HubProcess, alice: str, bob: str, hanging: dict[str, Any]) -> None:
    address = f"/api/builds/{hanging['id']}"
    assert hub.build(hanging["repo"], bob, ref=hanging["ref"])["id"] == hanging["id"]
    assert hub.service("GET", address, bob).json()["owner"] == "alice"
    assert hub.service("DELETE", address, bob).status_code == 200
    assert hub.service("GET", address, alice).json()["state"] in {"queued", "running"}
    assert hub.service("DELETE", address, alice).json()["state"] == "cancelled"


def test_an_administrator_may_read_and_cancel_everything(hub: HubProcess, admin: str, hanging: dict[str, Any]) -> None:
    address = f"/api/builds/{hanging['id']}"
    assert hub.service("GET", address, admin).json()["owner"] == "alice"
    assert hub.service("DELETE", address, admin).status_code == 200
    assert hub.follow(hanging["id"], admin)[-1].data["state"] == "cancelled"


def test_a_token_without_the_scope_to_build_may_read_but_not_ask(hub: HubProcess, finished: dict[str, Any]) -> None:
    token = hub.token("alice", ["access:services!service=binder"])
    assert hub.service("GET", f"/api/builds/{finished['id']}", token).status_code == 200
    reply = hub.service("POST", "/api/builds", token, json={"repo": finished["repo"]})
    assert (reply.status_code, error_of(reply)["code"]) == (403, "forbidden")
    assert "custom:binder:build" in reply.text


def test_the_list_holds_ones_own_builds_and_everybodys_for_an_administrator(
    hub: HubProcess, alice: str, bob: str, admin: str, new_repository: NewRepository
) -> None:
    repository = new_repository({"Dockerfile": "FROM x"})
    build = hub.finished(repository.url, alice)

    def listed(token: str) -> list[str]:
        return [one["id"] for one in hub.service("GET", "/api/builds", token, params={"repo": repository.url}).json()]

    assert listed(alice) == listed(admin) == [build["id"]]
    assert listed(bob) == []


# Cookies


def test_the_login_cookie_works_with_the_xsrf_token_and_not_without(hub: HubProcess, new_repository: NewRepository) -> None:
    repository = new_repository({"a": "b"})
    with hub.login_to_service("alice") as client:
        xsrf = hub.xsrf(client, "/services/binder/")
        address = f"{hub.service_url}/api/builds"
        assert client.post(address, json={"repo": repository.url}).status_code == 403
        assert client.post(address, json={"repo": repository.url}, headers={"X-XSRFToken": "0" * 32}).status_code == 403
        assert client.post(address, json={"repo": repository.url}, headers={"X-XSRFToken": xsrf}).status_code == 201
        assert client.post(address, json={"repo": repository.url}, params={"_xsrf": xsrf}).status_code == 200


def test_a_strangers_page_cannot_read_with_the_cookie(hub: HubProcess) -> None:
    with hub.login_to_service("alice") as client:
        address, stranger = f"{hub.service_url}/api/builds", {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "cross-site"}
        assert client.get(address, headers=stranger).status_code == 403
        xsrf = {"X-XSRFToken": hub.xsrf(client, "/services/binder/")}
        assert client.get(address, headers={"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"} | xsrf).status_code == 200


# Lists


def test_the_list_comes_in_pages_newest_first(hub: HubProcess, alice: str, new_repository: NewRepository) -> None:
    repository = new_repository({"Dockerfile": "FROM x"})
    made = [hub.finished(repository.url, alice)["id"]]
    for number in range(2):
        repository.commit({"n": str(number)})
        made.append(hub.finished(repository.url, alice)["id"])
    pages, address = [], f"{hub.service_url}/api/builds?limit=2&repo={repository.url}"
    while address:
        reply = httpx.get(address, headers={"Authorization": f"token {alice}"})
        pages.append([build["id"] for build in reply.json()])
        address = str(httpx.URL(address).join(reply.links["next"]["url"])) if "next" in reply.links else ""
    assert pages == [[made[2], made[1]], [made[0]]]


def test_the_list_is_filtered_by_state_and_owner(hub: HubProcess, admin: str, finished: dict[str, Any]) -> None:
    asked = {"repo": finished["repo"], "state": "ready", "owner": "alice"}
    found = hub.service("GET", "/api/builds", admin, params=asked).json()
    assert [build["id"] for build in found] == [finished["id"]]
    assert hub.service("GET", "/api/builds", admin, params=asked | {"state": "failed"}).json() == []
    assert hub.service("GET", "/api/builds", admin, params=asked | {"owner": "bob"}).json() == []


def test_the_description_of_the_api_names_what_is_there(hub: HubProcess, alice: str) -> None:
    description = hub.service("GET", "/api/openapi.json", alice).json()
    assert description["openapi"].startswith("3.")
    paths = {re.sub(r"\{\w+\}", "ID", path) for path in description["paths"]}
    for _, path in EVERYTHING:
        assert any(described.endswith(path.removeprefix("/api")) for described in paths), path
