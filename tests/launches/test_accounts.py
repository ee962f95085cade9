"""Whose account of the hub a token is of."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from binderhub_service.errors import NotAllowed, Unavailable
from binderhub_service.launches.accounts import SCOPE, HubAccounts
from binderhub_service.models import Account
from tests.fake_hub import FakeHub

CREATED = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
NOT_GIVEN = {"status": 403, "message": f"Action is not authorized with current scopes; requires any of [{SCOPE}]"}
NO_SUCH_TOKEN = {"status": 403, "message": "Missing or invalid credentials."}


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub().running() as running:
        yield running


class Renames(list[tuple[str, str]]):
    """What was renamed; `fails` times the database is away."""

    fails = 0

    async def note(self, former: Account, account: Account) -> None:
        """Note it."""
        if self.fails:
            self.fails -= 1
            raise Unavailable("The database did not answer.")
        self.append((former.name, account.name))


@pytest.fixture
def renames() -> Renames:
    return Renames()


@pytest.fixture
def accounts(hub: FakeHub, renames: Renames) -> HubAccounts:
    return HubAccounts(hub.api_url, "of-the-service", renames.note)


def tell(hub: FakeHub, name: str, created: str | None, status: int = 200) -> None:
    hub.answers["GET", f"/users/{name}"] = status, {"kind": "user", "name": name, "created": created}


@pytest.mark.parametrize("written", ["2026-03-01T12:00:00.123456Z", "2026-03-01T12:00:00.123456", "2026-03-01T14:00:00.123456+02:00"])
async def test_the_hub_is_asked_once_for_a_token_with_the_services_own(hub: FakeHub, accounts: HubAccounts, written: str) -> None:
    tell(hub, "alice", written)
    assert [await accounts.of("t1", "alice") for _ in range(3)] == [Account("alice", CREATED)] * 3
    assert [(asked.path, asked.token) for asked in hub.asked] == [("/users/alice", "of-the-service")]


async def test_a_token_stays_its_accounts_and_a_new_one_is_the_new_accounts(hub: FakeHub, accounts: HubAccounts) -> None:
    """Answers about the old token may be remembered elsewhere for minutes after the account has gone."""
    tell(hub, "alice", "2026-03-01T12:00:00.123456Z")
    old = await accounts.of("old", "alice")
    tell(hub, "alice", "2026-03-02T12:00:00Z")
    new = await accounts.of("new", "alice")
    assert old.key != new.key
    assert await accounts.of("old", "alice") == old


async def test_a_token_with_another_name_proves_a_rename(hub: FakeHub, accounts: HubAccounts, renames: Renames) -> None:
    tell(hub, "alice", "2026-03-01T12:00:00.123456Z")
    tell(hub, "alicia", "2026-03-01T12:00:00.123456Z")
    await accounts.of("t", "alice")
    renames.fails = 1
    with pytest.raises(Unavailable):
        await accounts.of("t", "alicia")
    assert await accounts.of("t", "alicia") == await accounts.of("t", "alicia") == Account("alicia", CREATED)
    assert renames == [("alice", "alicia")]


async def test_the_same_moment_alone_proves_nothing(hub: FakeHub, accounts: HubAccounts, renames: Renames) -> None:
    for name in ("alice", "bob"):
        tell(hub, name, "2026-03-01T12:00:00Z")
        await accounts.of(f"of-{name}", name)
    assert renames == []


async def test_a_name_cannot_lead_to_another_address(hub: FakeHub, accounts: HubAccounts) -> None:
    with pytest.raises(NotAllowed):
        await accounts.of("t", "a?b#c%2f..")
    assert [asked.path for asked in hub.asked] == ["/users/a%3Fb%23c%252f.."]


@pytest.mark.parametrize("answer", [(403, NOT_GIVEN), (200, {"kind": "user", "name": "alice"}), (200, {"name": "alice", "created": None})], ids=str)
async def test_a_hub_that_does_not_tell_leaves_the_name_and_that_is_said_once(
    hub: FakeHub, accounts: HubAccounts, caplog: pytest.LogCaptureFixture, answer: tuple[int, Any]
) -> None:
    hub.answers["GET", "/users/alice"] = answer
    with caplog.at_level(logging.WARNING):
        assert [await accounts.of(token, "alice") for token in ("t1", "t2")] == [Account("alice")] * 2
        assert len(hub.asked) == 1, "not asked again at once"
        accounts._not_told.clear()  # as after a minute
        await accounts.of("t1", "alice")
    with pytest.raises(Unavailable, match=SCOPE):
        await accounts.check()
    [said] = [record.message for record in caplog.records if record.name == "binderhub_service"]
    assert SCOPE in said
    accounts._not_told.clear()
    tell(hub, "alice", "2026-03-01T12:00:00.123456Z")
    assert await accounts.of("t1", "alice") == Account("alice", CREATED), "as soon as it tells"
    await accounts.check()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, {"status": 404, "message": "No such user"}), NotAllowed),
        ((401, {}), Unavailable),
        ((403, NO_SUCH_TOKEN), Unavailable),
        ((403, "a proxy's page"), Unavailable),
        ((302, ""), Unavailable),
        ((500, {}), Unavailable),
        ((200, {"created": "yesterday"}), Unavailable),
    ],
    ids=str,
)
async def test_a_refusal_never_leaves_the_name(hub: FakeHub, accounts: HubAccounts, answer: tuple[int, Any], error: type[Exception]) -> None:
    hub.answers["GET", "/users/alice"] = answer
    with pytest.raises(error):
        await accounts.of("t", "alice")


async def test_a_hub_that_is_away_is_unavailable_and_not_remembered(hub: FakeHub, accounts: HubAccounts, renames: Renames) -> None:
    away = HubAccounts("http://127.0.0.1:9/hub/api", "of-the-service", renames.note)
    with pytest.raises(Unavailable, match="did not answer"):
        await away.of("t", "alice")
    tell(hub, "alice", "2026-03-01T12:00:00.123456Z")
    away._url = accounts._url
    assert await away.of("t", "alice") == Account("alice", CREATED)


async def test_no_token_is_kept_as_it_is(hub: FakeHub, accounts: HubAccounts) -> None:
    tell(hub, "alice", "2026-03-01T12:00:00.123456Z")
    await accounts.of("secret-token", "alice")
    assert "secret-token" not in repr(vars(accounts))
