"""Places for servers: who is let through, refused, and waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from binderhub_service.builds.launch_places import LaunchPlaces
from binderhub_service.builds.launch_quota import HubServer, LaunchLimits, QuotaReached, WantedServer
from tests.harness.waiting import until

LOOK_SECONDS = 0.01


class Hub:
    """Tells which servers there are, and counts how often it was asked."""

    def __init__(self) -> None:
        self.servers: list[HubServer] = []
        self.asked = 0

    async def look(self) -> Sequence[HubServer]:
        self.asked += 1
        await asyncio.sleep(0)
        return list(self.servers)


def wanted(user: str, repo: str = "r", quota: int = 0) -> WantedServer:
    return WantedServer(HubServer(user, "s", frozenset({repo})), repo, quota)


async def waited(places: LaunchPlaces, one: WantedServer, told: list[tuple[int, int | None]]) -> None:
    async for place in places.wait(one):
        told.append(place)


def places(hub: Hub, total: int | None = 1, **more: Any) -> LaunchPlaces:
    return LaunchPlaces(LaunchLimits(total=total), hub.look, **{"look_seconds": LOOK_SECONDS, **more})


async def test_launches_at_the_same_moment_cannot_exceed_a_bound() -> None:
    hub = Hub()
    some = places(hub, total=3, look_seconds=60)
    answers = await asyncio.gather(*(some.take(wanted(f"user-{number}")) for number in range(10)), return_exceptions=True)
    assert sum(answer is None for answer in answers) == 3
    assert {type(answer) for answer in answers if answer is not None} == {QuotaReached}
    assert hub.asked == 1


async def test_where_nothing_is_bounded_the_hub_is_not_asked() -> None:
    hub = Hub()
    some = places(hub, total=None)
    await some.take(wanted("alice"))
    await some.check(wanted("alice"))
    assert hub.asked == 0
    await some.take(wanted("alice", quota=1))
    assert hub.asked == 1


async def test_a_server_that_is_there_needs_no_place() -> None:
    hub = Hub()
    hub.servers = [wanted("alice").server]
    await places(hub).take(wanted("alice"))


async def test_a_place_is_free_again_when_a_launch_fails_or_its_server_stops() -> None:
    hub = Hub()
    some = places(hub)
    await some.take(wanted("alice"))
    with pytest.raises(QuotaReached):
        await some.take(wanted("bob"))
    some.give_back(wanted("alice"))
    await some.take(wanted("bob"))
    hub.servers = [wanted("bob").server]
    await asyncio.sleep(2 * LOOK_SECONDS)
    await some.check(wanted("bob"))
    hub.servers = []
    await asyncio.sleep(2 * LOOK_SECONDS)
    await some.take(wanted("carol"))


async def test_launches_wait_in_order_and_are_told_their_places() -> None:
    hub = Hub()
    hub.servers = [wanted("zoe").server]
    some = places(hub, wait_seconds=20)
    first: list[tuple[int, int | None]] = []
    second: list[tuple[int, int | None]] = []
    waiting = [asyncio.create_task(waited(some, wanted("alice"), first))]
    await until(lambda: first, "the first place")
    waiting.append(asyncio.create_task(waited(some, wanted("bob"), second)))
    await until(lambda: second, "the second place")
    with pytest.raises(QuotaReached):
        await some.take(wanted("carol"))
    hub.servers = []
    await waiting[0]
    await until(lambda: len(second) == 2, "a better place")
    with pytest.raises(QuotaReached):
        await some.take(wanted("carol"))
    some.give_back(wanted("alice"))
    await waiting[1]
    assert (first, [position for position, _ in second]) == ([(1, None)], [2, 1])


async def test_who_waits_for_a_repositorys_place_does_not_hold_up_others() -> None:
    hub = Hub()
    hub.servers = [wanted("zoe", "full").server]
    some = places(hub, total=5, wait_seconds=20)
    told: list[tuple[int, int | None]] = []
    waiting = asyncio.create_task(waited(some, wanted("alice", "full", quota=1), told))
    await until(lambda: told, "a place")
    await some.take(wanted("bob", "other", quota=1))
    waiting.cancel()
    await asyncio.wait([waiting])
    hub.servers = []
    await asyncio.sleep(2 * LOOK_SECONDS)
    await some.take(wanted("carol", "full", quota=1))


async def test_who_has_waited_as_long_as_may_be_is_refused() -> None:
    hub = Hub()
    hub.servers = [wanted("zoe").server]
    told: list[tuple[int, int | None]] = []
    with pytest.raises(QuotaReached):
        await waited(places(hub, wait_seconds=0.05), wanted("alice"), told)
    assert told == [(1, None)]


async def test_of_servers_that_start_only_those_that_were_let_through_count_for_a_start_by_the_hub() -> None:
    hub = Hub()
    a, b, c = (WantedServer(HubServer("alice", name, frozenset({"r"})), "r", personal=1) for name in "abc")
    some = places(hub, total=None, look_seconds=0)
    hub.servers = [a.server, b.server, wanted("bob").server]  # the hub starts both at the same moment
    await some.admit(a)
    await some.admit(a)
    with pytest.raises(QuotaReached):
        await some.admit(b)
    some.give_back(a)
    hub.servers = [b.server]
    await some.admit(b)
    hub.servers = [replace(b.server, is_ready=True), c.server]
    with pytest.raises(QuotaReached):
        await places(hub, total=None).admit(c)


async def test_a_launch_is_known_again_once_when_the_hub_starts_its_server() -> None:
    some = places(Hub(), total=None)
    one = wanted("alice")
    assert not some.was_announced(one.server.key)
    await some.take(one)
    assert [some.was_announced(one.server.key) for _ in range(2)] == [True, False]
