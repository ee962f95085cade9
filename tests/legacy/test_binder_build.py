"""binder-build's contract, route by route, on a real hub with real builds."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest

from tests.harness.gate import Gate
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for
from tests.legacy.conftest import KEY, Api

JSON = "application/json; charset=utf-8"
PAGE = "text/html; charset=utf-8"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
BUILD_KEYS = ["name", "display-name", "start-time", "status", "phase", "repository"]
MISSING = "Request does not contain the required parameters for this endpoint: repository"


@pytest.fixture(scope="module")
def api(legacy_hub: HubProcess) -> Api:
    return Api(legacy_hub, "binder-build")


def address(repository: Repository) -> str:
    """Return a repository's address as GitHub's are."""
    return repository.url.removesuffix(".git")


def ended(api: Api, name: str) -> dict[str, Any]:
    """Return a build when it has ended."""

    def build() -> dict[str, Any]:
        return dict(api.ask("GET", f"/builds/{quote(name, safe='')}").json())

    wait_for(lambda: build()["status"] != "running", f"the end of {name}", 100, every_seconds=0.2)
    return build()


@pytest.fixture(scope="module")
def finished(api: Api, git_server: GitServer) -> dict[str, Any]:
    """A build that ended well."""
    repository = git_server.create("binder-project/example", {"README.md": "hello\n"})
    reply = api.ask("POST", "/builds/", KEY, json={"repository": address(repository)})
    assert reply.status_code == 200, reply.text
    return ended(api, reply.json()["name"])


def test_a_build_is_begun_at_once_and_ends_with_a_template(api: Api, finished: dict[str, Any]) -> None:
    assert list(finished) == BUILD_KEYS
    assert finished["name"] == "binder-project-example"
    assert finished["display-name"] == "binder-project/example"
    assert (finished["status"], finished["phase"]) == ("completed", "finished")
    assert TIME.fullmatch(finished["start-time"])
    assert finished in api.ask("GET", "/builds", KEY).json()
    reply = api.ask("GET", "/templates/binder-project-example", KEY)
    template = reply.json()
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, JSON)
    assert list(template) == ["port", "image-source", "name", "image-name", "command", "time-modified", "time-created", "services"]
    expected = {"port": 8888, "name": finished["name"], "image-name": finished["name"], "command": [], "services": []}
    assert template == template | expected
    assert template["image-source"]
    assert TIME.fullmatch(template["time-created"])
    assert api.ask("GET", "/templates/binder-project-example").json() == template, "times are stored, and no key is needed"
    assert template in api.ask("GET", "/templates/", KEY).json()


@pytest.mark.parametrize("path", ["/builds/", "/builds", "/BUILDS", "/builds/repo"])
def test_the_answer_to_a_request_has_what_source_and_description_say(api: Api, finished: dict[str, Any], path: str) -> None:
    reply = api.ask("POST", path, KEY, json={"Repository": finished["repository"], "force": "false"})
    begun = reply.json()
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, JSON)
    assert list(begun)[:4] == ["repository", "name", "display-name", "start-time"]
    assert (begun["repo"], begun["phase"], begun["status"]) == (finished["repository"], "fetching", "running")
    assert ended(api, begun["name"])["status"] == "completed"


def test_a_build_tells_its_phases_and_one_of_its_name_runs_unless_forced(api: Api, gate: Gate, new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"postBuild": gate.post_build})
    asked = {"repository": address(repository)}
    name = api.ask("POST", "/builds/", KEY, json=asked).json()["name"]

    def build() -> dict[str, Any]:
        return dict(api.ask("GET", f"/builds/{name}").json())

    wait_for(lambda: build()["phase"] == "building", "the phase building", 60, every_seconds=0.1)
    assert build()["status"] == "running"
    reply = api.ask("POST", "/builds/", KEY, json=asked)
    assert (reply.status_code, reply.headers["Content-Type"]) == (500, JSON)
    assert reply.json() == {"type": "alreadyBuilding", "error": "Already building the image"}
    assert api.ask("POST", "/builds/", KEY, json=asked | {"force": "false"}).status_code == 500
    assert api.ask("POST", "/builds/", KEY, json=asked | {"force": "true"}).status_code == 200
    assert api.ask("GET", f"/templates/{name}").status_code == 404
    gate.open()
    assert ended(api, name)["status"] == "completed"
    assert api.ask("GET", f"/templates/{name}").status_code == 200


def test_of_several_files_the_first_in_the_descriptions_order_describes_the_environment(api: Api, new_repository: Callable[..., Repository]) -> None:
    files = {"requirements.txt": "", "environment.yml": "not: [valid", "Dockerfile": "FROM nothing\n"}
    begun = []
    for number in range(3):
        there = dict(list(files.items())[number:])
        begun.append(api.ask("POST", "/builds/", KEY, json={"repository": address(new_repository(there, name=f"files-{number}"))}).json()["name"])
    first, second, third = (ended(api, name) for name in begun)
    assert (first["status"], second["status"], third["status"]) == ("completed", "failed", "failed")
    assert "environment.yml cannot be honoured in embedded mode" in second["error"]
    assert "Dockerfile cannot be honoured in embedded mode" in third["error"]


def test_a_failed_build_keeps_its_phase_and_says_why(api: Api, new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"requirements.txt": "./not-there\n"})
    name = api.ask("POST", "/builds/", KEY, json={"repository": address(repository)}).json()["name"]
    failed = ended(api, name)
    assert list(failed) == [*BUILD_KEYS, "error"]
    assert (failed["status"], failed["phase"]) == ("failed", "building")
    assert failed["error"].startswith(f"Error: build failed for imageName: {name}")
    repository.commit({"requirements.txt": ""})
    assert api.ask("POST", "/builds/", KEY, json={"repository": address(repository)}).status_code == 200
    succeeded = ended(api, name)
    assert (succeeded["status"], succeeded["error"]) == ("completed", failed["error"]), "the error stays, as in the original"


@pytest.mark.parametrize("repository", ["git@github.com:a/b.git", "a/b", "https://127.0.0.1:9/a/b", "ftp://github.com/a/b"])
def test_an_address_elsewhere_fails_as_unsupported(api: Api, repository: str) -> None:
    reply = api.ask("POST", "/builds/", KEY, json={"repository": repository})
    assert (reply.status_code, reply.json()["name"]) == (200, repository)
    failed = ended(api, repository)
    assert (failed["status"], failed["phase"], failed["error"]) == ("failed", "fetching", "Error: unsupported source")


def test_a_repository_that_is_not_there_fails_while_it_is_fetched(api: Api, git_server: GitServer) -> None:
    reply = api.ask("POST", "/builds/", KEY, json={"repository": f"{git_server.url}/nobody/nothing"})
    assert reply.status_code == 200
    failed = ended(api, "nobody-nothing")
    assert (failed["status"], failed["phase"]) == ("failed", "fetching")
    assert failed["error"].startswith("Error: ")


def test_any_git_server_can_be_built_from(api: Api, new_repository: Callable[..., Repository]) -> None:
    repository = new_repository({"README.md": "hello"})
    elsewhere = repository.url.replace("127.0.0.1", "localhost")
    assert api.ask("POST", "/builds/", KEY, json={"repository": elsewhere}).json()["name"] == elsewhere
    assert ended(api, elsewhere)["status"] == "completed"
    assert api.ask("GET", f"/builds/{elsewhere}").json()["name"] == elsewhere, "a client does not escape it"


@pytest.mark.parametrize("header", [None, "", "wrong", f"token {KEY}", f"Bearer {KEY}", KEY.upper()])
@pytest.mark.parametrize(("method", "path"), [("POST", "/builds/"), ("GET", "/builds/"), ("GET", "/templates/")])
def test_a_raw_key_is_needed(api: Api, method: str, path: str, header: str | None) -> None:
    reply = api.ask(method, path, header, json={"repository": "x"})
    assert (reply.status_code, reply.headers["Content-Type"], reply.text) == (403, "text/plain; charset=utf-8", "Forbidden")


def test_a_persons_hub_token_is_a_key_if_it_may_build(api: Api, legacy_hub: HubProcess, finished: dict[str, Any]) -> None:
    asked = {"repository": finished["repository"]}
    assert api.ask("POST", "/builds/", legacy_hub.token("alice"), json=asked).status_code == 200
    narrow = legacy_hub.token("alice", ["access:services!service=binder"])
    assert api.ask("POST", "/builds/", narrow, json=asked).status_code == 403


@pytest.mark.parametrize(
    ("options", "status", "text"),
    [
        ({"json": {}}, 422, MISSING),
        ({"json": []}, 422, MISSING),
        ({"json": {"repo": "https://github.com/a/b"}}, 422, MISSING),
        ({"content": b"", "headers": {"Content-Type": "application/json"}}, 422, MISSING),
        ({"content": b'{"repository": "https://github.com/a/b"}', "headers": {"Content-Type": "text/plain"}}, 422, MISSING),
        ({"data": {"repository": "https://github.com/a/b"}}, 422, MISSING),
        ({"json": {"repository": 5}}, 500, "TypeError"),
        ({"json": {"repository": None}}, 500, "TypeError"),
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "SyntaxError"),
        ({"content": b"5", "headers": {"Content-Type": "application/json"}}, 400, "SyntaxError"),
        ({"json": {"repository": "x" * 102_400}}, 413, "too large"),
    ],
    ids=str,
)
def test_what_names_no_repository_is_refused(api: Api, options: dict[str, Any], status: int, text: str) -> None:
    reply = api.ask("POST", "/builds/", KEY, **options)
    assert (reply.status_code, reply.headers["Content-Type"]) == (status, PAGE)
    assert text in reply.text


def test_json_is_read_before_the_key(api: Api) -> None:
    assert api.ask("POST", "/builds/", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400


def test_a_token_in_an_address_is_not_kept(api: Api) -> None:
    reply = api.ask("POST", "/builds/", KEY, json={"repository": "https://me:ghp_abcdefghijklmnopqrstuvwxyz0123456789@github.com/a/secret"})
    assert reply.status_code == 422
    assert "secret" not in api.ask("GET", "/builds/", KEY).text


def test_what_nobody_built_is_not_known(api: Api) -> None:
    reply = api.ask("GET", "/builds/nobody")
    assert (reply.status_code, reply.headers["Content-Type"]) == (500, JSON)
    assert reply.json() == {"type": "noBuildInfo", "error": "Could not get build information for requested image"}
    reply = api.ask("GET", "/templates/nobody", KEY)
    assert (reply.status_code, reply.headers["Content-Type"]) == (404, JSON)
    assert reply.json() == {"type": "doesNotExist", "error": "The requested resource does not exist"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/", "/nothing", "/templates-2", "/builds/no/body", "/templates/no/body")),
        *(("POST", path) for path in ("/builds/x", "/templates/")),
        ("DELETE", "/builds/x"),
        ("PUT", "/builds/"),
    ],
)
def test_there_is_nothing_else(api: Api, method: str, path: str) -> None:
    reply = api.ask(method, path, KEY)
    assert (reply.status_code, reply.headers["Content-Type"], reply.text) == (404, PAGE, f"Cannot {method} {path}\n")


@pytest.mark.parametrize("key", ["wrong", f"token {KEY}"])
def test_a_single_template_can_be_read_without_a_key_but_not_with_a_wrong_one(api: Api, key: str) -> None:
    reply = api.ask("GET", "/templates/nobody", key)
    assert (reply.status_code, reply.text) == (403, "Forbidden")


def test_options_and_head_are_answered(api: Api) -> None:
    reply = api.ask("OPTIONS", "/builds/")
    assert (reply.status_code, reply.text, reply.headers["Allow"]) == (200, "GET,HEAD,POST", "GET,HEAD,POST")
    reply = api.ask("HEAD", "/builds/", KEY)
    assert (reply.status_code, reply.text) == (200, "")


# Alone on a port


def test_an_api_on_a_port_of_its_own_is_the_same_and_is_alone_there(legacy_hub: HubProcess, ports: dict[str, int], api: Api) -> None:
    alone = Api(legacy_hub, "binder-build", ports["binder-build"])
    assert alone.ask("GET", "/builds/", KEY).json() == api.ask("GET", "/builds/", KEY).json()
    assert alone.ask("GET", "/builds/").status_code == 403
    assert [alone.ask("GET", path, KEY).status_code for path in ("/services/binder/api/builds", "/health", "/binder-build/builds/")] == [404] * 3
