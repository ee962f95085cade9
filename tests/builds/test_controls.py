"""What administrators switch while the service runs: over the API, and what it does to people."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builds.controls import Controls
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.errors import NotAllowed, NotFound, Unavailable
from binderhub_service.names import server_name
from binderhub_service.store.controls import ControlTable
from binderhub_service.store.store import Store
from tests.handlers.test_api import PREFIX, REPO, Service, error_of, hub_auth, service
from tests.harness.empty_database import write_empty_database
from tests.harness.waiting import until

__all__ = ["hub_auth", "service"]  # fixtures
ADMIN = "root-admin"
# A pattern, an address, and whether it matches.
ADDRESSES = [
    ("github.com/owner/name", "https://github.com/owner/name", True),
    ("github.com/owner/name", "https://github.com/owner/name.git", True),
    ("https://github.com/Owner/Name.git", "https://GitHub.com/owner/name/", True),
    ("github.com/owner/name", "https://github.com/owner/names", False),
    ("github.com/owner/name", "https://github.com/owner", False),
    ("github.com/owner", "https://github.com/owner/name", True),
    ("github.com/owner", "https://github.com/owners/name", False),
    ("github.com/owner/*", "https://github.com/owner/name", True),
    ("github.com/*/coins", "https://github.com/anybody/coins", True),
    ("git.example.org", "https://git.example.org/group/sub/name", True),
    ("git.example.org", "https://user@git.example.org/name", True),
    ("git.example.org", "ssh://git@git.example.org/name", True),
    ("git.example.org", "https://evil.example/git.example.org", False),
    ("*.example.org", "https://git.example.org/name", True),
    ("*coin*", "https://git.example.org/a/bitcoin-demo", True),
    ("quay.io/jupyter/*", "docker://quay.io/jupyter/base-notebook:1", True),
    ("git.example.org:8080", "https://git.example.org:8080/x", True),
    ("git.example.org:8080", "https://git.example.org/x", False),
    ("git.example.org", "https://git.example.org:8080/x", True),
    ("git.example.org/o", "git://git.example.org:9418/o/r", True),
    ("git.example.org/[ab]", "https://git.example.org/a", True),
    ("git.example.org/[ab", "https://git.example.org/a", False),
]


@pytest.fixture
async def controls(tmp_path: Path) -> Controls:
    return Controls(ControlTable(await opened(tmp_path)))


async def opened(folder: Path) -> Store:
    store = Store(write_empty_database(folder / "store.sqlite"))
    await store.open()
    return store


async def put(service: Service, kind: str, who: str = ADMIN, **body: str) -> Any:
    return await service.ask("PUT", f"/controls/{kind}", who, content=json.dumps(body))


@pytest.mark.parametrize(("pattern", "address", "matches"), ADDRESSES)
async def test_a_pattern_stands_for_a_host_an_account_a_repository_or_many(controls: Controls, pattern: str, address: str, matches: bool) -> None:
    await controls.put("ban-repository", pattern, "", "root")
    if matches:
        with pytest.raises(NotAllowed):
            controls.check_repository(address)
    else:
        controls.check_repository(address)
    await controls.remove("ban-repository", pattern)
    await controls.put("allow-repository", pattern, "", "root")
    if matches:
        controls.check_repository(address)
    else:
        with pytest.raises(NotAllowed):
            controls.check_repository(address)


async def test_a_banned_repository_is_refused_with_the_reason_before_its_server_is_asked(service: Service) -> None:
    assert (await put(service, "ban-repository", pattern=REPO, text="Its servers mine coins.")).status_code == 200
    service.provider.error = Unavailable("It is away.")
    for path, body in (("/builds", {"repo": REPO}), ("/launches", {"repo": REPO}), ("/builds", {"repo": f"{REPO}.git", "force": True})):
        error = error_of(await service.ask("POST", path, json=body), 403, "repository_banned")
        assert error["message"] == "This repository may not be used here: Its servers mine coins."
    assert (await service.ask("DELETE", f"/controls/ban-repository?pattern={REPO}", ADMIN)).status_code == 204
    error_of(await service.ask("POST", "/builds", json={"repo": REPO}), 503, "unavailable")


async def test_a_ban_holds_for_what_somebody_had_while_its_server_is_away(service: Service) -> None:
    await service.finished()
    await put(service, "ban-repository", pattern=REPO)
    service.provider.error = Unavailable("It is away.")
    error_of(await service.ask("POST", "/builds", json={"repo": REPO}), 403, "repository_banned")


async def test_only_repositories_that_are_allowed_may_be_used(service: Service) -> None:
    await put(service, "allow-repository", pattern="git.example.org/course", text="This hub is for the course.")
    error = error_of(await service.ask("POST", "/builds", json={"repo": REPO}), 403, "repository_banned")
    assert error["message"] == "Only some repositories may be used here, and this is none of them: This hub is for the course."
    await put(service, "allow-repository", pattern=REPO)
    assert (await service.ask("POST", "/builds", json={"repo": REPO})).status_code == 201


async def test_a_banned_person_is_refused_and_others_are_not(service: Service) -> None:
    await put(service, "ban-person", pattern="A*", text="See your e-mail.")
    error = error_of(await service.ask("POST", "/builds", json={"repo": REPO}), 403, "person_banned")
    assert error["message"] == "You may not use repositories here: See your e-mail."
    error_of(await service.ask("POST", "/launches", json={"repo": REPO}), 403, "person_banned")
    assert (await service.ask("POST", "/builds", "bob", json={"repo": REPO})).status_code == 201


async def test_a_pause_lets_no_build_begin_and_what_is_built_launch(service: Service) -> None:
    await service.finished()
    await put(service, "pause", text="The registry is moved.")
    assert (await service.ask("POST", "/builds", json={"repo": REPO})).status_code == 200
    error = error_of(await service.ask("POST", "/builds", json={"repo": REPO, "ref": "r2"}), 503, "builds_paused")
    assert (error["message"], error["hint"]) == (
        "No new builds are begun at the moment: The registry is moved.",
        "What is built already can be launched. Try again later.",
    )
    error_of(await service.ask("POST", "/builds", json={"repo": REPO, "force": True}), 503, "builds_paused")
    assert (await service.ask("DELETE", "/controls/pause", ADMIN)).status_code == 204
    assert (await service.ask("POST", "/builds", json={"repo": REPO, "ref": "r2"})).status_code == 201


async def test_a_build_that_runs_when_a_pause_begins_goes_on_and_is_joined(service: Service) -> None:
    service.builder.gate = asyncio.Event()
    build = await service.build()
    await put(service, "pause")
    assert (await service.ask("POST", "/builds", "bob", json={"repo": REPO})).json()["id"] == build["id"]
    service.builder.gate.set()
    assert (await service.events(build["id"]))[-1].data["state"] == "ready"


async def test_a_drain_lets_what_was_begun_end_begins_nothing_and_says_when_the_service_can_be_stopped(service: Service) -> None:
    service.builder.gate = asyncio.Event()
    running, queued = await service.build(), await service.build(ref="r2")
    assert (await service.ask("GET", "/drain", ADMIN)).json()["draining"] is False
    error_of(await service.ask("GET", "/drain"), 403, "forbidden")
    await put(service, "drain", text="It is moved to another machine.")
    error = error_of(await service.ask("POST", "/builds", json={"repo": REPO, "ref": "r3"}), 503, "service_draining")
    sentence = "No new builds are begun, because the build service is about to be stopped: It is moved to another machine."
    assert error["message"] == sentence
    assert (await service.ask("GET", "/notices")).json() == {"notices": [f"{sentence} What is built already can be launched."]}
    drain = (await service.ask("GET", "/drain", ADMIN)).json()
    assert drain == {"draining": True, "drained": False, "queued": 1, "running": 1, "jobs": 0}
    service.builder.gate.set()
    for build in (running, queued):
        assert (await service.events(build["id"]))[-1].data["state"] == "ready"
    await until(lambda: not service.context.builds.counts()["running"], "the last build's end")
    drain = (await service.ask("GET", "/drain", ADMIN)).json()
    assert drain == {"draining": True, "drained": True, "queued": 0, "running": 0, "jobs": 0}
    assert (await service.ask("POST", "/builds", json={"repo": REPO})).status_code == 200
    await service.ask("DELETE", "/controls/drain", ADMIN)
    assert (await service.ask("POST", "/builds", json={"repo": REPO, "ref": "r3"})).status_code == 201


QUOTAS = [
    ({}, 3, 3),
    ({"builds-of-person": {"alice": "1"}}, 1, 3),
    ({"builds-of-person": {"*": "1", "group:students": "2"}}, 2, 3),
    ({"builds-of-person": {"*": "1", "group:students": "2", "group:teach*": "5"}}, 5, 3),
    ({"builds-of-person": {"*": "9", "group:students": "none", "Alice": "2"}}, 2, 3),
    ({"builds-of-person": {"bob": "1", "group:others": "1", "group:students": "none"}}, 0, 3),
    ({"builds-of-repository": {"git.example.org": "1"}}, 3, 1),
    ({"builds-of-repository": {"git.example.org": "1", "git.example.org/o": "none", "elsewhere.example/o/r": "2"}}, 3, 0),
]


@pytest.mark.parametrize(("quotas", "of_person", "of_repository"), QUOTAS)
async def test_a_quota_with_exceptions_holds_for_a_person_a_group_and_a_repository(
    tmp_path: Path, quotas: dict[str, dict[str, str]], of_person: int, of_repository: int
) -> None:
    async def groups_of(name: str) -> list[str]:
        return ["students", "Teachers"] if name == "alice" else []

    controls = Controls(ControlTable(await opened(tmp_path)), groups_of)
    for kind, numbers in quotas.items():
        for pattern, number in numbers.items():
            await controls.put(kind, pattern, number, "root")
    found = await controls.limits_for(BuildLimits(per_user=3, per_repo=3), "alice", "https://git.example.org/o/r")
    assert (found.per_user, found.per_repo) == (of_person, of_repository)


async def test_who_has_as_many_builds_as_the_group_may_have_is_told_so_until_there_is_an_exception(service: Service) -> None:
    service.builder.gate = asyncio.Event()
    service.hub.groups["alice"] = ["students"]
    await put(service, "builds-of-person", pattern="group:students", text="1")
    await service.build()
    refused = await service.ask("POST", "/builds", json={"repo": REPO, "ref": "r2"})
    assert error_of(refused, 429, "too_many_builds")["message"] == "You have 1 builds waiting or running, which is as many as you may have."
    await put(service, "builds-of-person", pattern="alice", text="none")
    assert (await service.ask("POST", "/builds", json={"repo": REPO, "ref": "r2"})).status_code == 201
    assert (await service.ask("POST", "/builds", "bob", json={"repo": REPO, "ref": "r3"})).status_code == 201
    await put(service, "builds-of-repository", pattern="*", text="3")
    refused = await service.ask("POST", "/builds", "bob", json={"repo": REPO, "ref": "r4"})
    message = "The repository has 3 builds waiting or running, which is as many as it may have."
    assert error_of(refused, 429, "too_many_builds")["message"] == message
    service.builder.gate.set()


def running(**servers: bool) -> tuple[int, Any]:
    """Return what the hub tells of alice's servers, by name whether they are ready."""
    options = {"repo": "https://git.example.org/o/other"}
    found = {name: {"ready": is_ready, "user_options": options} for name, is_ready in servers.items()}
    return 200, {"items": [{"name": "alice", "servers": found}], "_pagination": {"next": None}}


async def test_who_has_as_many_servers_as_the_group_may_have_starts_no_other_one_by_whatever_way(service: Service) -> None:
    service.hub.groups["alice"] = ["students"]
    refused = await put(service, "servers-of-person", pattern="group:students", text="1")
    assert error_of(refused, 503, "hub_unavailable")["message"] == "The hub did not say how many servers there are.", "else nobody could start one"
    service.hub.answers["GET", "/users"] = running(one=True)
    await put(service, "servers-of-person", pattern="group:students", text="1")
    message = "You may have 1 servers at a time, and as many run or start."
    for path in ("/launches", "/starts"):
        refused = await service.ask("POST", path, json={"repo": REPO})
        assert error_of(refused, 429, "launch_quota")["message"] == message
        assert int(refused.headers["Retry-After"]) > 0
    assert (await service.ask("POST", "/starts", json={"repo": REPO, "server": "one"})).status_code == 204
    assert (await service.ask("POST", "/starts", "bob", json={"repo": REPO})).status_code == 204
    await put(service, "servers-of-person", pattern="alice", text="2")
    assert (await service.ask("POST", "/starts", json={"repo": REPO})).status_code == 204


async def test_a_repository_has_as_many_servers_as_an_administrator_says(service: Service) -> None:
    service.hub.answers["GET", "/users"] = running(one=True)
    await put(service, "servers-of-repository", pattern="git.example.org/o", text="1")
    for path in ("/launches", "/starts"):
        refused = await service.ask("POST", path, "bob", json={"repo": "https://git.example.org/o/other"})
        assert error_of(refused, 429, "launch_quota")["message"] == "Too many users running https://git.example.org/o/other! Try again soon."
    assert (await service.ask("POST", "/starts", "bob", json={"repo": REPO})).status_code == 204


async def test_launches_are_counted_once_however_they_come(service: Service) -> None:
    await put(service, "launches-of-person", pattern="*", text="2")
    service.hub.answers["GET", "/users/alice"] = (200, {"servers": {}})
    server = server_name(REPO, "")
    service.hub.answers["POST", f"/users/alice/servers/{server}"] = (202, "")
    assert (await service.ask("POST", "/launches", json={"repo": REPO})).status_code == 201
    assert (await service.ask("POST", "/starts", json={"repo": REPO, "server": server})).status_code == 204, "the hub starts what was launched"
    assert (await service.ask("POST", "/starts", json={"repo": REPO})).status_code == 204
    for path in ("/launches", "/starts"):
        error = error_of(await service.ask("POST", path, json={"repo": REPO}), 429, "rate_limit")
        assert error["hint"] == "You may launch 2 times in 3600 seconds."
    assert (await service.ask("POST", "/starts", "bob", json={"repo": REPO})).status_code == 204


async def test_an_announcement_is_a_text_on_every_page(service: Service) -> None:
    await put(service, "announcement", text="Down at <b>noon</b>.")
    service.sign_in("alice")
    for path in ("", "builds/", "about"):
        page = await service.client.get(f"{PREFIX}{path}", headers={"Accept": "text/html"})
        assert "Down at &lt;b&gt;noon&lt;/b&gt;." in page.text, path
    await service.ask("DELETE", "/controls/announcement", ADMIN)
    assert "noon" not in (await service.client.get(PREFIX)).text


async def test_everybody_hears_of_an_announcement_and_a_pause(service: Service) -> None:
    assert (await service.ask("GET", "/notices")).json() == {"notices": []}
    await put(service, "pause")
    await put(service, "announcement", text="Down at noon.")
    paused = "No new builds are begun at the moment. What is built already can be launched."
    assert (await service.ask("GET", "/notices")).json() == {"notices": ["Down at noon.", paused]}


async def test_controls_are_for_administrators_and_say_who_set_them(service: Service) -> None:
    for who in ("alice", "narrow-admin", "robot"):
        for method, path in (("GET", "/controls"), ("PUT", "/controls/pause"), ("DELETE", "/controls/pause")):
            error_of(await service.ask(method, path, who, **({"json": {}} if method == "PUT" else {})), 403, "forbidden")
    await put(service, "pause", text="a")
    await put(service, "pause", text="b")
    await put(service, "ban-person", pattern="eve")
    listed = (await service.ask("GET", "/controls", ADMIN)).json()
    assert [(one["kind"], one["pattern"], one["text"], one["set_by"]) for one in listed] == [
        ("ban-person", "eve", "", ADMIN),
        ("pause", "", "b", ADMIN),
    ]


@pytest.mark.parametrize(
    ("kind", "body", "message"),
    [
        ("stop", {}, "There is no control 'stop'."),
        ("pause", {"pattern": "x"}, "A control of the kind pause has no pattern."),
        ("ban-person", {"text": "x"}, "A control of the kind ban-person needs a pattern, e.g. github.com/owner/*, or *-guest."),
        ("ban-repository", {"pattern": " "}, "A control of the kind ban-repository needs a pattern, e.g. github.com/owner/*, or *-guest."),
        ("builds-of-person", {"pattern": "*", "text": "0"}, "The text of builds-of-person is the number of builds, from 1 on, or none."),
        ("launches-of-person", {"pattern": "x", "text": "1.5"}, "The text of launches-of-person is the number of launches, from 1 on, or none."),
        ("builds-of-repository", {"pattern": "x", "text": "many"}, "The text of builds-of-repository is the number of builds, from 1 on, or none."),
        ("announcement", {}, "An announcement needs a text."),
        ("announcement", {"text": "x" * 1001}, "A pattern has at most 500 characters, and a text 1000."),
        ("ban-person", {"pattern": "x" * 501}, "A pattern has at most 500 characters, and a text 1000."),
        ("pause", {"reason": "x"}, "The key 'reason' is not known."),
        ("pause", {"text": "\ud800"}, "The text cannot be written as UTF-8."),
    ],
)
async def test_what_makes_no_control_is_refused_in_a_sentence(service: Service, kind: str, body: dict[str, str], message: str) -> None:
    assert error_of(await put(service, kind, **body), 400, "invalid_request")["message"] == message
    assert (await service.ask("GET", "/controls", ADMIN)).json() == []


async def test_what_is_not_set_cannot_be_removed(service: Service) -> None:
    error = error_of(await service.ask("DELETE", "/controls/ban-person?pattern=eve", ADMIN), 404, "control_not_found")
    assert error["message"] == "Nothing is set as ban-person for eve."
    error_of(await service.ask("DELETE", "/controls/stop", ADMIN), 400, "invalid_request")


async def test_credentials_in_a_reason_are_not_kept(controls: Controls) -> None:
    control = await controls.put("pause", "", "See https://user:s3cret@git.example.org/x", "root")
    assert "s3cret" not in control.text


async def test_controls_outlive_the_service(tmp_path: Path) -> None:
    store = await opened(tmp_path)
    control = await Controls(ControlTable(store)).put("ban-person", "eve", "Why.", "root")
    await store.close()
    again = Controls(ControlTable(await opened(tmp_path)))
    await again.load()
    assert again.all() == [replace(control, set_at=again.all()[0].set_at)]
    with pytest.raises(NotAllowed):
        again.check_person("eve")
    await again.remove("ban-person", "eve")
    with pytest.raises(NotFound):
        await again.remove("ban-person", "eve")
