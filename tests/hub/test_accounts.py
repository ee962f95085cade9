"""Builds belong to accounts of a real hub, and not to names that are used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from binderhub_service.errors import NotAllowed, Unavailable
from binderhub_service.launches.accounts import HubAccounts
from binderhub_service.models import Account
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess

MakePerson = Callable[[str], str]


@pytest.fixture
def make_person(hub: HubProcess) -> Iterator[MakePerson]:
    """Makes accounts that may use the service, and returns a token of theirs; in the end they are deleted."""
    made = []

    def make(name: str) -> str:
        made.append(name)
        assert hub.api("POST", f"/users/{name}").status_code == 201
        assert hub.api("POST", "/groups/insiders/users", json={"users": [name]}).is_success
        return hub.token(name)

    yield make
    for name in made:
        hub.api("DELETE", f"/users/{name}")


def seen(hub: HubProcess, build: dict[str, Any], token: str) -> tuple[int, list[str]]:
    """Return what somebody may see: the status of a build's address, and the list of builds."""
    return hub.service("GET", f"/api/builds/{build['id']}", token).status_code, [
        one["id"] for one in hub.service("GET", "/api/builds", token).raise_for_status().json()
    ]


def rename(hub: HubProcess, name: str, other: str) -> None:
    assert hub.api("PATCH", f"/users/{name}", json={"name": other}).is_success


def test_who_takes_a_name_does_not_get_its_builds(hub: HubProcess, git_server: GitServer, make_person: MakePerson) -> None:
    first = make_person("dora")
    build = hub.finished(git_server.create("accounts/plain", {"README.md": "hello"}).url, first)
    assert build["state"] == "ready", build["error"]
    assert seen(hub, build, first) == (200, [build["id"]])
    rename(hub, "dora", "nora")
    assert seen(hub, build, make_person("dora")) == (403, []), "the name of a renamed account"
    assert seen(hub, build, first) == (200, [build["id"]])
    for name in ("dora", "nora"):
        assert hub.api("DELETE", f"/users/{name}").status_code == 204
        second = make_person(name)
        assert seen(hub, build, second) == (403, []), "the name of a deleted account"
        assert hub.service("GET", f"/builds/{build['id']}", second).status_code == 403
        assert hub.service("GET", f"/api/builds/{build['id']}/log", second).status_code == 403
        assert hub.service("DELETE", f"/api/builds/{build['id']}/ask", second).status_code == 403


async def test_a_renamed_account_is_known_by_its_token(hub: HubProcess, make_person: MakePerson) -> None:
    renamed: list[tuple[Account, Account]] = []

    async def note(former: Account, account: Account) -> None:
        renamed.append((former, account))

    accounts = HubAccounts(f"{hub.url}/hub/api", hub.admin_token, note)
    token = make_person("dora")
    dora = await accounts.of(token, "dora")
    rename(hub, "dora", "nora")
    nora = await accounts.of(token, "nora")
    assert dora.created == nora.created is not None
    assert renamed == [(dora, nora)]
    assert (await accounts.of(make_person("dora"), "dora")).key != dora.key
    assert hub.api("DELETE", "/users/nora").status_code == 204
    with pytest.raises(NotAllowed):
        await accounts.of("another", "nora")


async def test_what_the_hub_refuses_is_told_apart(hub: HubProcess, alice: str) -> None:
    async def note(former: Account, account: Account) -> None:
        raise AssertionError("nobody was renamed")

    without_scope = hub.token("bob", ["read:users:name!user"])
    api = f"{hub.url}/hub/api"
    assert await HubAccounts(api, without_scope, note).of(alice, "bob") == Account("bob")
    with pytest.raises(NotAllowed):
        await HubAccounts(api, without_scope, note).of(alice, "alice")
    with pytest.raises(Unavailable):
        await HubAccounts(api, "0" * 32, note).of(alice, "alice")
