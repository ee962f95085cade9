"""Volumes of an engine belong to accounts; the same with a stand-in for the engine and with a real one."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import docker
import pytest
from docker.errors import NotFound
from docker.utils import kwargs_from_env

from spawner.account import HomeOwner, account_of
from spawner.docker.home_volumes import HomeVolumes
from tests.docker.servers.engine import reason_to_skip

LONG_AGO = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = datetime.now(UTC) + timedelta(days=9)


@dataclass
class FakeEngine:
    """As much of an engine as volumes need; `made` is when new ones were, as the engine writes it."""

    known: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: str | None = "2026-11-26T12:00:00+01:00"

    def create_volume(self, name: str, labels: dict[str, str] | None = None) -> None:
        self.known[name] = {"Name": name, "Labels": labels, **({"CreatedAt": self.made} if self.made else {})}

    def inspect_volume(self, name: str) -> dict[str, Any]:
        if name not in self.known:
            raise NotFound(name)
        return self.known[name]

    def volumes(self, filters: dict[str, list[str]]) -> dict[str, Any]:
        found = [
            volume for volume in self.known.values() if {f"{key}={text}" for key, text in (volume["Labels"] or {}).items()} >= {*filters["label"]}
        ]
        return {"Volumes": found or None}

    def remove_volume(self, name: str) -> None:
        del self.known[name]


@pytest.fixture(params=["fake", "real"])
def engine(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "fake":
        yield FakeEngine()
        return
    if reason_to_skip():
        pytest.skip(reason_to_skip())
    client = docker.APIClient(version="auto", timeout=60, **kwargs_from_env())
    yield client
    client.close()


@pytest.fixture
def name(engine: Any) -> Iterator[str]:
    """The usual name of alice's volume; what begins with it is removed in the end."""
    name = f"homes-test-{secrets.token_hex(4)}-alice"
    yield name
    if not isinstance(engine, FakeEngine):
        for volume in engine.volumes(filters={"name": name})["Volumes"] or ():
            engine.remove_volume(volume["Name"])


@pytest.fixture
def homes(engine: Any, name: str) -> HomeVolumes:
    async def ask(method: str, *arguments: Any, **more: Any) -> Any:
        return getattr(engine, method)(*arguments, **more)

    return HomeVolumes(ask, f"{name}'s hub, {{username}}")


def account(name: str = "alice", number: int = 1, created: datetime = LONG_AGO) -> HomeOwner:
    return account_of(number, name, created)


async def test_a_home_has_the_usual_name_and_stays(homes: HomeVolumes, engine: Any, name: str) -> None:
    assert [await homes.of(account(), name) for _ in range(2)] == [(name, "")] * 2
    assert engine.inspect_volume(name)["Labels"]["binder.account"] == account().key


async def test_a_home_follows_an_account_that_is_renamed(homes: HomeVolumes, name: str) -> None:
    await homes.of(account(), name)
    assert await homes.of(account("alicia"), f"{name}-other") == (name, "")


@pytest.mark.parametrize("later", [account(created=LATER), account(number=2)])
async def test_who_takes_a_name_gets_a_home_of_their_own_and_is_told(homes: HomeVolumes, name: str, later: HomeOwner) -> None:
    await homes.of(account(), name)
    own, said = await homes.of(later, name)
    assert own == f"{name}.{later.key}"
    assert "earlier account named alice" in said
    assert await homes.of(later, name) == (own, ""), "once"
    assert await homes.of(account(), name) == (name, "")


async def test_a_volume_of_an_earlier_version_is_the_accounts_unless_it_is_older(homes: HomeVolumes, engine: Any, name: str) -> None:
    engine.create_volume(name)
    assert await homes.of(account(), name) == (name, "")
    assert (await homes.of(account(created=LATER), name))[0] != name


@pytest.mark.parametrize("made", [None, "", "yesterday"])
async def test_a_volume_of_which_nobody_knows_when_it_was_made_is_nobodys(name: str, made: str | None) -> None:
    engine = FakeEngine(made=made)

    async def ask(method: str, *arguments: Any, **more: Any) -> Any:
        return getattr(engine, method)(*arguments, **more)

    engine.create_volume(name)
    assert (await HomeVolumes(ask, "kind").of(account(), name))[0] != name


async def test_what_is_removed_with_an_account_is_its_own(homes: HomeVolumes, engine: Any, name: str) -> None:
    await homes.of(account(), name)
    later = account(created=LATER)
    await homes.remove(later, name)
    own, _ = await homes.of(later, name)
    await homes.remove(later, name)
    with pytest.raises(NotFound):
        engine.inspect_volume(own)
    assert engine.inspect_volume(name)["Name"] == name
    await homes.remove(account(), name)
    with pytest.raises(NotFound):
        engine.inspect_volume(name)


async def test_a_volume_of_an_earlier_version_is_removed_with_its_account(homes: HomeVolumes, engine: Any, name: str) -> None:
    engine.create_volume(name)
    await homes.remove(account(), name)
    with pytest.raises(NotFound):
        engine.inspect_volume(name)


async def test_homes_of_other_hubs_are_others(homes: HomeVolumes, engine: Any, name: str) -> None:
    async def ask(method: str, *arguments: Any, **more: Any) -> Any:
        return getattr(engine, method)(*arguments, **more)

    await HomeVolumes(ask, "another hub's").of(account(), name)
    assert await homes.of(account(), f"{name}-two") == (f"{name}-two", "")
