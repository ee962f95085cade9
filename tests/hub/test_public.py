"""A public hub: servers for everybody, each with a temporary user who goes with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from spawner.local.working_copy import home_of
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.hub_config import ADMIN, PEOPLE
from tests.harness.kernel import run_code
from tests.harness.waiting import wait_for

EVENTS = {"Accept": "text/event-stream"}
SETTINGS = {"public": True, "service": {"Launcher": {"abandoned_seconds": 2, "retries": 1}, "RateLimiter": {"limit": 0}}}


@pytest.fixture(scope="module")
def public(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("public"), more=SETTINGS) as hub:
        yield hub
        assert "NEVER" in hub.log().upper()
        for user in temporary(hub):
            remove(hub, user)


@pytest.fixture(scope="module")
def plain(git_server: GitServer) -> Repository:
    return git_server.create("public/plain", {"README.md": "hello"})


def address_of(hub: HubProcess, repository: Repository) -> str:
    return f"{hub.service_url}/build/git/{quote(repository.url, safe='')}/main"


def temporary(hub: HubProcess) -> set[str]:
    """Return the names of all users but those of the configuration."""
    return {user["name"] for user in hub.api("GET", "/users").json()} - {*PEOPLE, ADMIN}


def remove(hub: HubProcess, user: str) -> None:
    for server in hub.servers(user):
        hub.stop_server(user, server)
    hub.api("DELETE", f"/users/{user}")


def launched(client: httpx.Client, address: str, **headers: str) -> tuple[dict[str, str], str]:
    """Return the last event of a launch, and its id."""
    reply = client.get(address, headers=EVENTS | headers, timeout=120)
    lines = reply.text.splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert events[-1]["phase"] == "ready", events
    return events[-1], [line.removeprefix("id: ") for line in lines if line.startswith("id: ")][-1]


def user_of(ready: dict[str, str]) -> str:
    return ready["url"].partition("/user/")[2].partition("/")[0]


def test_a_launch_without_a_login_leads_to_a_server_that_its_token_opens(public: HubProcess, plain: Repository) -> None:
    with httpx.Client() as client:
        ready, last_id = launched(client, address_of(public, plain))
        user = user_of(ready)
        assert user.startswith("public-plain-")
        assert run_code(ready["url"].rstrip("/"), ready["token"], "print(6*7)") == "42\n"
        page = client.get(f"{ready['url']}lab?token={ready['token']}", follow_redirects=True)
        assert (page.status_code, "/lab" in str(page.url)) == (200, True)
    with httpx.Client() as stranger:
        assert stranger.get(f"{ready['url']}api/status").status_code == 403
        token = {"Authorization": f"token {ready['token']}"}
        assert stranger.get(f"{public.url}/hub/api/users/{user}/tokens", headers=token).status_code in {403, 404}
        other, _ = launched(stranger, address_of(public, plain))
        assert user_of(other) != user, "another client has a server of its own"
        resumed, _ = launched(stranger, address_of(public, plain), **{"Last-Event-ID": last_id})
        assert user_of(resumed) == user, "a client that resumes has its own"
        forged = last_id[:-1] + ("0" if last_id[-1] != "0" else "1")
        denied, _ = launched(stranger, address_of(public, plain), **{"Last-Event-ID": forged})
        assert user_of(denied) != user
    home = home_of(public.state / "people", user)
    assert home.is_dir()
    remove(public, user)
    wait_for(lambda: not home.exists(), "the removal of what the visitor had", 60)


def test_a_browser_that_asks_again_has_its_own_launch_and_another_has_not(public: HubProcess, plain: Repository) -> None:
    with httpx.Client() as browser:
        browser.get(f"{public.service_url}/")
        first, _ = launched(browser, address_of(public, plain))
        again, _ = launched(browser, address_of(public, plain))
    assert user_of(first) == user_of(again)


def test_a_launch_that_fails_leaves_no_user(public: HubProcess, git_server: GitServer) -> None:
    broken = git_server.create("public/broken", {"start": "#!/bin/sh\nexit 1\n", "README.md": "x"})
    before = temporary(public)
    reply = httpx.get(address_of(public, broken), headers=EVENTS, timeout=200)
    assert '"failed"' in reply.text, reply.text
    wait_for(lambda: temporary(public) == before, "the user to be removed", 60)


def test_a_launch_whose_client_went_away_leaves_no_user(public: HubProcess, plain: Repository) -> None:
    before = temporary(public)
    with httpx.stream("GET", address_of(public, plain), headers=EVENTS, timeout=60) as reply:
        lines = reply.iter_lines()  # when it is gone, so is the connection
        assert any("Launching server" in line for line in lines)
        wait_for(lambda: temporary(public) != before, "the user", 20)
    wait_for(lambda: temporary(public) == before, "the user to be removed", 90)


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_no_page_of_another_site_launches_unless_the_operator_lets_it(public: HubProcess, plain: Repository, headers: dict[str, str]) -> None:
    before = temporary(public)
    reply = httpx.get(address_of(public, plain), headers=EVENTS | headers)
    assert "Pages of other sites may not launch here" in reply.text
    assert temporary(public) == before


def test_visitors_see_their_own_builds_only_and_need_no_login(public: HubProcess, plain: Repository) -> None:
    with httpx.Client() as one, httpx.Client() as other:
        for client in (one, other):
            assert client.get(f"{public.service_url}/").status_code == 200
        launched(one, address_of(public, plain))
        page = one.get(f"{public.service_url}/v2/git/{quote(plain.url, safe='')}/main")
        assert (page.status_code, "Login" in page.text) == (200, False)
        assert httpx.get(f"{public.url}/", follow_redirects=True).status_code == 200


def test_the_form_launches_without_javascript(public: HubProcess, plain: Repository) -> None:
    link = f"{public.service_url}/v2/git/{quote(plain.url, safe='')}/main?filepath=README.md"
    with httpx.Client(timeout=120) as browser:
        browser.get(link)
        reply = browser.post(link, data={"_xsrf": public.xsrf(browser, "/services/binder/")})
        assert reply.status_code == 303, reply.text
        assert browser.get(f"{public.url}{reply.headers['Location']}", follow_redirects=True).status_code == 200
        assert browser.post(link, data={"_xsrf": "x"}).status_code == 403
