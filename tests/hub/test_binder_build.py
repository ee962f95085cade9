"""BinderHub's ``/build`` on a real hub: from a request to a server, and in nobody's name but by a token or a page of the service."""

from __future__ import annotations

import json
from urllib.parse import quote

import httpx
import pytest

from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code

EVENTS = {"Accept": "text/event-stream"}


@pytest.fixture(scope="module")
def plain(git_server: GitServer) -> Repository:
    """A repository with nothing to install."""
    return git_server.create("binder-build/plain", {"README.md": "hello"})


def address_of(hub: HubProcess, repository: Repository, ref: str = "main") -> str:
    return f"{hub.service_url}/build/git/{quote(repository.url, safe='')}/{ref}"


def told(reply: httpx.Response) -> list[dict[str, object]]:
    return [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line.startswith("data: ")]


def test_a_stream_leads_from_a_request_to_a_server(hub: HubProcess, alice: str, plain: Repository) -> None:
    reply = httpx.get(address_of(hub, plain), headers=EVENTS | {"Authorization": f"token {alice}"}, timeout=200)
    events = told(reply)
    assert events[-1]["phase"] == "ready", events
    assert [event["phase"] for event in events].count("ready") == 1
    server = str(events[-1]["url"]).rstrip("/").rpartition("/")[2]
    assert hub.servers("alice")[server]["ready"]
    code = "import json, os; print(json.dumps({name: value for name, value in os.environ.items() if name.startswith('BINDER_')}))"
    spec, seen = quote(plain.url, safe=""), json.loads(run_code(f"{hub.url}/user/alice/{server}", alice, code))
    assert {name: seen[f"BINDER_{name}"] for name in ("REQUEST", "PERSISTENT_REQUEST", "REPO_URL")} == {
        "REQUEST": f"v2/git/{spec}/main", "PERSISTENT_REQUEST": f"v2/git/{spec}/{plain.rev('main')}", "REPO_URL": plain.url,
    }  # fmt: skip
    assert {f"BINDER_{name}": events[-1][f"binder_{name.lower()}"] for name in ("REF_URL", "LAUNCH_HOST", "CLIENT_IP")}.items() <= seen.items()
    again = told(httpx.get(address_of(hub, plain), headers=EVENTS | {"Authorization": f"token {alice}"}, timeout=200))
    assert again[-1]["url"] == events[-1]["url"], "the same request comes back to the same server"
    hub.stop_server("alice", server)


def test_a_ref_that_is_not_there_is_told_as_binderhub_tells_it(hub: HubProcess, alice: str, plain: Repository) -> None:
    reply = httpx.get(address_of(hub, plain, "nope"), headers=EVENTS | {"Authorization": f"token {alice}"}, timeout=60)
    [event] = told(reply)
    assert (reply.status_code, event["phase"]) == (200, "failed")
    assert str(event["message"]).startswith("Could not resolve ref for git:")


@pytest.mark.parametrize("how", [{}, {"Sec-Fetch-Mode": "navigate"}, {"Sec-Fetch-Mode": "cors"}, {"Sec-Fetch-Mode": "no-cors"}], ids=str)
def test_no_other_page_runs_code_in_somebodys_name(hub: HubProcess, plain: Repository, how: dict[str, str]) -> None:
    with hub.login("bob") as client:
        client.get(f"{hub.service_url}/builds", headers={"Sec-Fetch-Mode": "navigate"})
        before = hub.servers("bob")
        [event] = told(client.get(address_of(hub, plain), headers=EVENTS | how))
    assert (event["phase"], event["message"]) == ("failed", "Forbidden\n")
    assert hub.servers("bob") == before


def test_a_page_of_the_service_asks_in_the_name_of_who_is_signed_in(hub: HubProcess, plain: Repository) -> None:
    with hub.login("bob") as client:
        client.get(f"{hub.service_url}/builds", headers={"Sec-Fetch-Mode": "navigate"})
        xsrf = {"X-Xsrftoken": hub.xsrf(client, "/services/binder/"), "Sec-Fetch-Mode": "cors"}
        [event] = told(client.get(address_of(hub, plain, "nope"), headers=EVENTS | xsrf))
    assert "Could not resolve ref" in str(event["message"])


def test_a_hub_that_is_full_says_so_before_anything_is_built(strict_hub: HubProcess, plain: Repository) -> None:
    hub = strict_hub
    alice = hub.token("alice")
    [event] = told(httpx.get(address_of(hub, plain), headers=EVENTS | {"Authorization": f"token {alice}"}, timeout=60))
    assert (event["phase"], event["message"]) == ("failed", "Too many users on this BinderHub! Try again soon.\n")
    asked = {"json": {"repo": plain.url}, "headers": {"Authorization": f"token {alice}"}, "timeout": 60}
    refused = httpx.post(f"{hub.service_url}/api/launches", **asked)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "launch_quota")
    [places] = [check for check in httpx.get(f"{hub.service_url}/health", timeout=60).json()["checks"] if check["service"] == "Pod quota"]
    assert (places["quota"], places["user_pods"], places["total_pods"]) == (0, 0, 0), "nothing was built, and nothing runs"
