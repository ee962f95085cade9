"""The spawner's side of the wire, against a service that drops connections, restarts and refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from binder_client.answers import ServiceError
from binder_client.client import BuildClient, BuildEvent
from tests.harness.waiting import until
from tests.spawner.fakes import REPO, FakeBuild, FakeService


@pytest_asyncio.fixture(loop_scope="function")
async def client(service: FakeService) -> AsyncIterator[BuildClient]:
    async with BuildClient(service.url, "sekret", patience_seconds=5, keep_alive_seconds=2) as opened:
        yield opened


async def progress(client: BuildClient, build_id: str, after: int = 0) -> list[BuildEvent]:
    return [event async for event in client.follow(build_id, after)]


def tell_ten_lines(build: FakeBuild) -> None:
    for number in range(1, 10):
        build.log(f"line {number}")
    build.ready("img")


async def test_an_ask_carries_the_token_and_only_what_was_asked(service: FakeService, client: BuildClient) -> None:
    build = await client.ensure(REPO)
    assert build["id"] == "b1"
    headers, body = service.asks[0]
    assert headers["Authorization"] == "token sekret"
    assert body == {"repo": REPO}
    await client.ensure("o/r", "main", "gh")
    assert service.asks[1][1] == {"repo": "o/r", "ref": "main", "provider": "gh"}


async def test_an_event_log_arrives_in_order_up_to_its_end(service: FakeService, client: BuildClient) -> None:
    service.on_ask = tell_ten_lines
    build = await client.ensure(REPO, "main")
    events = await progress(client, build["id"])
    assert [event.number for event in events] == list(range(1, 11))
    assert events[0] == BuildEvent(1, "log", {"text": "line 1"})
    assert events[-1].kind == "end"
    assert events[-1].data["image"] == "img"


async def test_an_event_log_goes_on_behind_dropped_connections(service: FakeService, client: BuildClient) -> None:
    service.on_ask = tell_ten_lines
    service.drops = [3, 3, 7]
    build = await client.ensure(REPO, "main")
    events = await progress(client, build["id"])
    assert [event.number for event in events] == list(range(1, 11))
    assert service.resumes == [0, 3, 7]


async def test_an_event_log_can_be_taken_up_in_the_middle(service: FakeService, client: BuildClient) -> None:
    service.on_ask = tell_ten_lines
    build = await client.ensure(REPO, "main")
    assert [event.number for event in await progress(client, build["id"], after=8)] == [9, 10]


async def test_events_that_come_twice_are_told_once(service: FakeService, client: BuildClient) -> None:
    service.on_ask = tell_ten_lines
    service.drops = [5]
    service.forgets_resumes = True
    build = await client.ensure(REPO, "main")
    assert [event.number for event in await progress(client, build["id"])] == list(range(1, 11))


async def test_a_service_that_restarts_loses_no_event(service: FakeService, client: BuildClient) -> None:
    build = service.build_of(REPO, "main")
    build.log("before")
    following = asyncio.create_task(progress(client, build.id))
    await until(lambda: service.resumes, "the following")
    await service.stop()
    build.log("meanwhile")
    await asyncio.sleep(0.6)
    await service.start()
    build.ready()
    assert [event.number for event in await following] == [1, 2, 3]


async def test_an_ask_waits_for_a_service_that_restarts(service: FakeService, client: BuildClient) -> None:
    await service.stop()
    asking = asyncio.create_task(client.ensure(REPO, "main"))
    await asyncio.sleep(0.6)
    assert not asking.done()
    await service.start()
    assert (await asking)["id"] == "b1"


async def test_a_silent_build_outlasts_the_patience(service: FakeService) -> None:
    async with BuildClient(service.url, "t", patience_seconds=2, keep_alive_seconds=10) as client:
        build = service.build_of(REPO, "main")
        following = asyncio.create_task(progress(client, build.id))
        await until(lambda: service.resumes, "the following")
        await asyncio.sleep(2.5)
        await service.stop()
        await service.start()
        build.ready()
        assert [event.kind for event in await following] == ["end"]


async def test_a_connection_without_keep_alives_is_taken_up_anew(service: FakeService) -> None:
    async with BuildClient(service.url, "t", keep_alive_seconds=0.6) as client:
        build = service.build_of(REPO, "main")
        build.log("before")
        following = asyncio.create_task(progress(client, build.id))
        await until(lambda: len(service.resumes) > 1, "another connection")
        build.ready()
        assert [event.number for event in await following] == [1, 2]


async def test_keep_alives_are_no_events(service: FakeService, client: BuildClient) -> None:
    service.keep_alives = True
    service.on_ask = tell_ten_lines
    build = await client.ensure(REPO, "main")
    assert len(await progress(client, build["id"])) == 10


async def test_patience_ends_with_a_sentence(service: FakeService) -> None:
    await service.stop()
    async with BuildClient(service.url, "t", patience_seconds=0.4) as client:
        with pytest.raises(ServiceError, match="does not answer") as caught:
            await client.ensure(REPO, "main")
        with pytest.raises(ServiceError, match="does not answer"):
            await progress(client, "b1")
    assert (caught.value.status, caught.value.code) == (0, "service_unavailable")


async def test_an_event_log_that_ends_at_once_again_and_again_is_given_up(service: FakeService) -> None:
    build = service.build_of(REPO, "main")
    build.log("only line")
    async with BuildClient(service.url, "t", patience_seconds=0.5) as client:
        service.drops = [1]
        followed = client.follow(build.id)
        assert (await anext(followed)).number == 1
        await service.stop()
        with pytest.raises(ServiceError, match="does not answer"):
            await anext(followed)


async def test_the_services_own_words_reach_the_requester(service: FakeService, client: BuildClient) -> None:
    service.refusal = (404, {"error": {"code": "ref_not_found", "message": "There is no branch x.", "hint": "Check it."}}, {})
    with pytest.raises(ServiceError) as caught:
        await client.ensure(REPO, "main")
    error = caught.value
    assert (error.status, error.code, error.message, error.hint) == (404, "ref_not_found", "There is no branch x.", "Check it.")
    assert len(service.asks) == 1


async def test_a_limit_says_when_to_come_back(service: FakeService, client: BuildClient) -> None:
    service.refusal = (429, {"error": {"code": "too_many", "message": "Too many.", "hint": None}}, {"Retry-After": "30"})
    with pytest.raises(ServiceError) as caught:
        await client.ensure(REPO, "main")
    assert caught.value.retry_after_seconds == 30
    assert caught.value.hint == ""


async def test_the_services_own_503_is_an_answer_and_a_proxys_is_not(service: FakeService, client: BuildClient) -> None:
    service.refusal = (503, {"error": {"code": "git_server_unavailable", "message": "GitHub is down.", "hint": ""}}, {})
    with pytest.raises(ServiceError, match="GitHub is down"):
        await client.ensure(REPO, "main")
    service.refusal = (503, "<h1>Service Unavailable</h1>", {})
    asking = asyncio.create_task(client.ensure(REPO, "main"))
    await asyncio.sleep(0.4)
    assert not asking.done()
    service.refusal = None
    assert (await asking)["id"] == "b1"


@pytest.mark.parametrize("code", ["service_starting", "service_stopping"])
async def test_a_service_that_says_it_is_on_its_way_is_waited_for(service: FakeService, client: BuildClient, code: str) -> None:
    service.refusal = (503, {"error": {"code": code, "message": "Another service uses the same state.", "hint": "Try again."}}, {"Retry-After": "5"})
    asking = asyncio.create_task(client.ensure(REPO, "main"))
    while len(service.asks) < 2:
        assert not asking.done()
        await asyncio.sleep(0.01)
    service.refusal = None
    assert (await asking)["id"] == "b1"


async def test_a_service_that_is_on_its_way_for_too_long_is_given_up(service: FakeService) -> None:
    service.refusal = (503, {"error": {"code": "service_starting", "message": "Another service uses the same state."}}, {})
    async with BuildClient(service.url, "t", patience_seconds=0.4) as client:
        with pytest.raises(ServiceError, match="does not answer") as caught:
            await client.ensure(REPO, "main")
    assert caught.value.code == "service_unavailable"


@pytest.mark.parametrize(("status", "answer"), [(200, "<html>"), (200, "[1]"), (500, "oops"), (404, "<h1>404</h1>"), (400, {"error": "text"})])
async def test_an_answer_that_makes_no_sense_is_an_error_of_ours(service: FakeService, client: BuildClient, status: int, answer: object) -> None:
    service.refusal = (status, answer, {})
    with pytest.raises(ServiceError, match="makes no sense") as caught:
        await client.ensure(REPO, "main")
    assert caught.value.code == "unexpected_answer"


async def test_a_refusal_by_a_guard_before_the_service_is_one_sentence(service: FakeService, client: BuildClient) -> None:
    service.refusal = (403, "<html>403</html>", {})
    with pytest.raises(ServiceError, match="You may not") as caught:
        await client.ensure(REPO, "main")
    assert caught.value.status == 403


async def test_a_build_that_is_not_there_ends_the_following(client: BuildClient) -> None:
    with pytest.raises(ServiceError) as caught:
        await progress(client, "nope")
    assert caught.value.status == 404


async def test_unusual_line_ends_in_a_log_line_are_no_line_ends(service: FakeService, client: BuildClient) -> None:
    text = "a\u2028b\u2029c\x85d\x0be\u00e9 \U0001f600"
    service.on_ask = lambda build: (build.log(text), build.ready())  # type: ignore[func-returns-value]  # two calls in one expression
    build = await client.ensure(REPO, "main")
    assert (await progress(client, build["id"]))[0].data == {"text": text}


async def test_withdrawing_is_one_quick_request(service: FakeService, client: BuildClient) -> None:
    build = await client.ensure(REPO, "main")
    await client.withdraw(build["id"])
    assert service.withdrawn == ["b1"]
    await service.stop()
    with pytest.raises(ServiceError):
        await client.withdraw(build["id"])
