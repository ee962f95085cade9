"""How often servers that start are looked at."""

from __future__ import annotations

import asyncio

import pytest

from spawner.readiness import Looks


class Clock:
    """A time that goes on when somebody sleeps, and the pauses so far."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)
        await asyncio.sleep(0)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def looks(clock: Clock) -> Looks:
    return Looks(lambda: clock.now, clock.sleep)


async def answers_from(clock: Clock, seconds: float, looks: Looks) -> None:
    async def answers() -> bool:
        return clock.now >= seconds

    await looks.until(answers)


@pytest.mark.parametrize("seconds", [0.0, 0.31, 1.5, 7.0, 40.0, 300.0])
async def test_the_answer_of_a_server_that_starts_alone_is_noticed_at_once(clock: Clock, looks: Looks, seconds: float) -> None:
    await answers_from(clock, seconds, looks)
    assert clock.now - seconds <= max(0.05, 0.025 * seconds)


async def test_a_server_that_hangs_is_looked_at_ever_less_often_but_each_second(clock: Clock, looks: Looks) -> None:
    await answers_from(clock, 300, looks)
    assert clock.pauses == sorted(clock.pauses)
    assert max(clock.pauses) == 1
    assert len(clock.pauses) < 450


@pytest.mark.parametrize(("crowd", "pause"), [(4, 0.2), (10, 0.5), (20, 1), (200, 1)])
async def test_a_crowd_is_looked_at_twenty_times_a_second_together(clock: Clock, crowd: int, pause: float) -> None:
    looks, answer = Looks(lambda: 0.0, clock.sleep), asyncio.Event()

    async def answers() -> bool:
        return answer.is_set()

    async with asyncio.timeout(10), asyncio.TaskGroup() as starts:
        for _ in range(crowd):
            starts.create_task(looks.until(answers))
        while len(clock.pauses) < 3 * crowd:
            await asyncio.sleep(0)
        answer.set()
    assert set(clock.pauses[crowd:]) == {pause}


async def test_what_has_ended_or_was_given_up_is_not_counted(clock: Clock, looks: Looks) -> None:
    async def ends() -> bool:
        raise RuntimeError

    for _ in range(100):
        with pytest.raises(RuntimeError):
            await looks.until(ends)
        await answers_from(clock, 0, looks)
    await answers_from(clock, 0.01, looks)
    assert clock.pauses == [0.05]
