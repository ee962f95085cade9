"""How many servers start at a time."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from spawner.turns import Turns
from tests.harness.waiting import until

LONG = 3600.0


async def test_as_many_start_as_there_are_places_and_the_others_in_their_order() -> None:
    turns, go_on = Turns(LONG), [asyncio.Event() for _ in range(5)]
    begun: list[int] = []
    told: list[int] = []

    async def start(number: int) -> None:
        async with turns.turn(2, told.append):
            begun.append(number)
            await go_on[number].wait()

    async with asyncio.timeout(10), asyncio.TaskGroup() as starts:
        for number in range(5):
            starts.create_task(start(number))
        await until(lambda: told == [1, 2, 3], "three that wait")
        for number in range(3):
            assert begun == [0, 1, 2, 3, 4][: number + 2]
            go_on[number].set()
            await until(lambda number=number: len(begun) == number + 3, "the next")
        for event in go_on:
            event.set()
    assert begun == [0, 1, 2, 3, 4]


async def test_a_start_that_takes_long_goes_on_without_its_place() -> None:
    turns = Turns(0.01)
    async with asyncio.timeout(10), AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(turns.turn(1, lambda _: None))


@pytest.mark.parametrize("waits", [True, False], ids=["while it waits", "while it starts"])
async def test_a_start_that_is_cancelled_takes_no_place_along(waits: bool) -> None:
    turns, begun = Turns(LONG), asyncio.Event()

    async def start() -> None:
        async with turns.turn(1, lambda _: None):
            begun.set()
            await asyncio.Event().wait()

    first = asyncio.create_task(start())
    await begun.wait()
    second = asyncio.create_task(start())
    await asyncio.sleep(0)
    for task in (second, first) if waits else (first, second):
        task.cancel()
    await asyncio.gather(first, second, return_exceptions=True)
    async with asyncio.timeout(10), turns.turn(1, lambda _: None):
        pass


async def test_any_number_starts_where_that_is_allowed() -> None:
    turns = Turns(LONG)
    async with asyncio.timeout(10), AsyncExitStack() as stack:
        for _ in range(50):
            await stack.enter_async_context(turns.turn(0, lambda _: None))
