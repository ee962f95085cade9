"""How often clients have asked, on every database that the store is meant for."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import sqlalchemy as sa

from binderhub_service.store.rates import Period, RateTable
from binderhub_service.store.schema import rates
from binderhub_service.store.store import Store
from tests.harness.records import DAY

HOUR = timedelta(hours=1)


async def test_a_client_is_counted_up_to_one_more_than_it_may(store: Store) -> None:
    table = RateTable(store)
    counted = [await table.count("a", DAY + timedelta(seconds=number), 3600, 2) for number in range(5)]
    assert [period.count for period in counted] == [1, 2, 3, 3, 3]
    assert {period.ends for period in counted} == {DAY + HOUR}, "the period is not extended"
    assert await table.count("b", DAY, 60, 2) == Period(DAY + timedelta(minutes=1), 1)


async def test_nobody_is_counted_less_than_they_ask_at_once(store: Store) -> None:
    counted = await asyncio.gather(*(RateTable(store).count("a", DAY, 3600, 100) for _ in range(20)))
    assert sorted(period.count for period in counted) == list(range(1, 21))


async def test_a_period_that_has_ended_is_forgotten_whatever_client_asks_next(store: Store) -> None:
    table = RateTable(store)
    await table.count("a", DAY, 3600, 2)
    await table.count("b", DAY + HOUR, 3600, 2)
    assert [row["client"] for row in await store.read(sa.select(rates))] == ["b"]
    assert (await table.count("a", DAY + HOUR, 3600, 2)).count == 1


async def test_a_period_is_no_longer_for_a_clock_that_was_set_back(store: Store) -> None:
    table = RateTable(store)
    await table.count("a", DAY, 3600, 2)
    assert [await table.count("a", DAY - HOUR + timedelta(seconds=number), 3600, 2) for number in (0, 1)] == [Period(DAY, 2), Period(DAY, 3)]


async def test_a_limit_that_was_made_lower_or_higher_holds_at_once(store: Store) -> None:
    table = RateTable(store)
    for _ in range(5):
        await table.count("a", DAY, 3600, 9)
    assert (await table.count("a", DAY, 3600, 2)).count == 3
    assert (await table.count("a", DAY, 3600, 9)).count == 4
