"""Does everything answer that the service needs?"""

from __future__ import annotations

import asyncio

from binderhub_service.builds.launch_quota import LaunchLimits
from binderhub_service.errors import Unavailable
from binderhub_service.monitoring.health import Health


class Neighbour:
    """Somebody who is asked, and fails some times."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.asked = 0

    async def check(self) -> None:
        self.asked += 1
        await asyncio.sleep(0)
        if self.asked <= self.failures:
            raise Unavailable("It did not answer.")


async def test_a_check_is_tried_three_times() -> None:
    twice, thrice = Neighbour(failures=2), Neighbour(failures=3)
    report = await Health({"a": twice.check, "b": thrice.check}, pause_seconds=0).report()
    assert report == {"ok": False, "checks": [{"service": "a", "ok": True}, {"service": "b", "ok": False, "message": "It did not answer."}]}
    assert (twice.asked, thrice.asked) == (3, 3)


async def test_tries_are_counted_for_every_check_and_every_time() -> None:
    neighbour = Neighbour(failures=2)
    health = Health({"a": neighbour.check}, pause_seconds=0, kept_seconds=0)
    for _ in range(2):
        assert (await health.report())["ok"]
        neighbour.asked = 0


async def test_those_who_ask_at_a_time_share_an_answer_that_is_kept() -> None:
    neighbour = Neighbour()
    health = Health({"a": neighbour.check})
    await asyncio.gather(*(health.report() for _ in range(50)))
    await health.report()
    assert neighbour.asked == 1


async def test_who_goes_away_does_not_take_the_answer_along() -> None:
    neighbour = Neighbour()
    health = Health({"a": neighbour.check})
    first, second = asyncio.create_task(health.report()), asyncio.create_task(health.report())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second)["ok"]


async def test_places_are_told_and_are_no_failure() -> None:
    async def servers() -> int:
        return 7

    for total, fits in ((10, True), (9, True), (8, False), (0, False)):
        report = await Health({}, quota=LaunchLimits(total=total), servers=servers, builds=lambda: 2).report()
        expected = {"service": "Pod quota", "quota": total, "_ignore_failure": True, "total_pods": 9, "build_pods": 2, "user_pods": 7, "ok": fits}
        assert report == {"ok": True, "checks": [expected]}


async def test_advice_is_told_and_is_no_failure() -> None:
    good, bad = Neighbour(), Neighbour(failures=9)
    report = await Health({"a": good.check}, advice={"b": bad.check}, pause_seconds=0).report()
    advice = {"service": "b", "ok": False, "message": "It did not answer.", "_ignore_failure": True}
    assert report == {"ok": True, "checks": [{"service": "a", "ok": True}, advice]}


async def test_without_a_quota_nothing_is_counted() -> None:
    async def servers() -> int:
        raise AssertionError

    assert await Health({}, servers=servers).report() == {"ok": True, "checks": []}


async def test_a_hub_that_does_not_count_is_told() -> None:
    async def servers() -> int:
        raise Unavailable("The hub did not say.")

    report = await Health({}, quota=LaunchLimits(total=1), servers=servers).report()
    assert (report["ok"], report["checks"][0]["ok"], report["checks"][0]["message"]) == (True, False, "The hub did not say.")
