"""What the service remembers instead of asking its database again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.models import Build, Event, Kind, State, now
from binderhub_service.store.caching import CachingStore
from tests.harness.empty_database import write_empty_database
from tests.harness.records import build
from tests.harness.waiting import until


class CountingStore(CachingStore):
    """Counts how often the database is asked."""

    asked = 0

    async def _run(self, *call):  # type: ignore[no-untyped-def]
        self.asked += 1
        return await super()._run(*call)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CountingStore]:
    store = CountingStore(write_empty_database(tmp_path / "store.sqlite"))
    await store.open()
    yield store
    await store.close()


async def ended(store: CountingStore, number: int = 1, lines: int = 3) -> Build:
    """Store a build that is ready, with an event log."""
    begun = build(number)
    await store.create(begun)
    event_log = [Event(line, Kind.LOG, "{}") for line in range(1, lines + 1)] + [Event(lines + 1, Kind.END, "{}")]
    done = replace(begun, state=State.READY, finished=now(), last_event=lines + 1)
    await store.record(done, event_log, "")
    return done


async def test_a_build_that_has_ended_is_read_once(store: CountingStore) -> None:
    done = await ended(store)
    await store.newest_ready(done.image.name)
    await store.requesters(done.id)
    before = store.asked
    for _ in range(10):
        assert await store.get(done.id) == done
        assert await store.newest_ready(done.image.name) == done
        assert await store.requesters(done.id) == {done.owner: True}
        await store.set_requester(done.id, done.owner, wants=True)
    assert store.asked == before


async def test_a_build_that_goes_on_is_read_as_it_is(store: CountingStore) -> None:
    begun = build(1)
    await store.create(begun)
    assert (await store.get(begun.id)) == begun
    await store.record(replace(begun, state=State.RUNNING), [], "")
    found = await store.get(begun.id)
    assert found is not None
    assert found.state is State.RUNNING


async def test_a_forced_build_takes_the_place_of_the_older_one(store: CountingStore) -> None:
    older = await ended(store, 1)
    assert await store.newest_ready(older.image.name) == older
    newer = replace(build(2), image=older.image)
    await store.create(newer)
    newer = replace(newer, state=State.READY, finished=now())
    await store.record(newer, [], "")
    assert await store.newest_ready(older.image.name) == newer


async def test_who_does_not_want_a_build_any_more_is_remembered_so(store: CountingStore) -> None:
    done = await ended(store)
    await store.requesters(done.id)
    await store.set_requester(done.id, done.owner, wants=False)
    await store.set_requester(done.id, "bob", wants=True)
    assert await store.requesters(done.id) == {done.owner: False, "bob": True}


async def test_readers_of_one_page_share_one_answer(store: CountingStore) -> None:
    done = await ended(store)
    before = store.asked
    pages = await asyncio.gather(*(store.events(done.id, 0, 10) for _ in range(20)))
    assert {len(page) for page in pages} == {4}
    assert store.asked == before + 1
    await store.events(done.id, 0, 10)
    assert store.asked == before + 1


async def test_a_page_that_is_not_full_yet_is_read_again(store: CountingStore) -> None:
    begun = build(1)
    await store.create(begun)
    await store.record(replace(begun, last_event=1), [Event(1, Kind.LOG, "{}")], "")
    assert len(await store.events(begun.id, 0, 10)) == 1
    await store.record(replace(begun, last_event=2), [Event(2, Kind.LOG, "{}")], "")
    assert len(await store.events(begun.id, 0, 10)) == 2


async def test_a_page_larger_than_the_memory_is_answered_all_the_same(store: CountingStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.store.caching._KEPT_EVENT_BYTES", 10)
    done = await ended(store)
    assert len(await store.events(done.id, 0, 10)) == 4


async def test_an_event_log_that_was_dropped_is_forgotten(store: CountingStore) -> None:
    done = await ended(store)
    await store.events(done.id, 0, 10)
    assert await store.drop_logs(now() + timedelta(seconds=1), 10) == 1
    assert [event.kind for event in await store.events(done.id, 0, 10)] == [Kind.END]


class SlowStore(CachingStore):
    """Gives its answers only when `answering` is set, though they were read before."""

    answering: asyncio.Event | None = None
    reads = 0

    async def read(self, query):  # type: ignore[no-untyped-def]
        found = await super().read(query)
        self.reads += 1
        if self.answering:
            await self.answering.wait()
        return found


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[SlowStore]:
    store = SlowStore(write_empty_database(tmp_path / "store.sqlite"))
    await store.open()
    yield store
    await store.close()


@asynccontextmanager
async def while_reading(store: SlowStore, ask: Awaitable[Any]) -> AsyncIterator[None]:
    """Do something between an answer of the database and its arrival."""
    held, before = asyncio.Event(), store.reads
    store.answering = held
    asking = asyncio.ensure_future(ask)
    await until(lambda: store.reads > before, "the answer")
    store.answering = None
    yield
    held.set()
    await asking


async def test_how_long_builds_take_is_read_again_when_another_one_is_ready(store: CountingStore) -> None:
    begun = build(1)
    await store.create(begun)
    assert await store.typical_seconds(begun.source.repo) is None
    before = store.asked
    assert await store.typical_seconds(begun.source.repo) is None
    assert store.asked == before
    await store.record(replace(begun, state=State.READY, started=begun.created, finished=begun.created + timedelta(seconds=7)), [], "")
    assert await store.typical_seconds(begun.source.repo) == 7


async def test_an_answer_older_than_a_forced_build_is_not_remembered(slow: SlowStore) -> None:
    older = replace(build(1), state=State.READY, finished=now())
    await slow.create(older)
    newer = replace(build(2), image=older.image)
    await slow.create(newer)
    async with while_reading(slow, slow.newest_ready(older.image.name)):
        newer = replace(newer, state=State.READY, finished=now())
        await slow.record(newer, [], "")
    assert await slow.newest_ready(older.image.name) == newer


async def test_an_answer_older_than_a_wish_is_not_remembered(slow: SlowStore) -> None:
    begun = build(1)
    await slow.create(begun)
    await slow.rename_requester("nobody", "nobody/key")  # forgets who is known to have asked
    async with while_reading(slow, slow.requesters(begun.id)):
        await slow.set_requester(begun.id, "bob", wants=True)
    assert await slow.requesters(begun.id) == {begun.owner: True, "bob": True}


async def test_an_answer_older_than_the_dropping_of_logs_is_not_remembered(slow: SlowStore) -> None:
    begun = build(1)
    await slow.create(begun)
    done = replace(begun, state=State.READY, finished=now(), last_event=2)
    await slow.record(done, [Event(1, Kind.LOG, "{}"), Event(2, Kind.END, "{}")], "")
    async with while_reading(slow, slow.events(done.id, 0, 10)):
        await slow.drop_logs(now() + timedelta(seconds=1), 10)
    assert [event.kind for event in await slow.events(done.id, 0, 10)] == [Kind.END]
