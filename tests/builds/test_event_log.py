"""The live end of an event log: numbered, stored in batches, seen by any number of followers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builds.event_log import _BATCH_SECONDS, EventLog, follow_stored
from binderhub_service.errors import Unavailable
from binderhub_service.models import Build, Event, Kind, State
from binderhub_service.store.store import Store
from tests.harness.empty_database import write_empty_database
from tests.harness.records import build, whole
from tests.harness.waiting import until, within


class CountingStore(Store):
    """A store that counts batches and can be away.

    Attributes:
        away: how many more calls find it away.
        held: every record waits for it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.batches: list[int] = []
        self.away = 0
        self.held = asyncio.Event()
        self.held.set()

    async def record(self, build: Build, new_events: Sequence[Event], cursor: str) -> None:
        await self.held.wait()
        if self.away:
            self.away -= 1
            raise Unavailable("The database did not answer.")
        await super().record(build, new_events, cursor)
        self.batches.append(len(new_events))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[CountingStore]:
    store = CountingStore(write_empty_database(tmp_path / "store.sqlite"))
    await store.open()
    await store.create(build(1))
    yield store
    await store.close()


@pytest.fixture
def event_log(store: CountingStore) -> EventLog:
    return EventLog(store, build(1))


def tell(event_log: EventLog, *texts: str) -> None:
    for text in texts:
        event_log.append(Kind.LOG, {"text": text}, cursor=text)


def end(event_log: EventLog) -> None:
    event_log.update(state=State.READY)
    event_log.append(Kind.END, {"state": "ready"})


def texts(events: Sequence[Event]) -> list[Any]:
    return [event.payload.get("text", event.kind) for event in events]


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.number for event in events]


async def test_what_is_told_is_stored_in_one_batch_with_the_record(store: CountingStore, event_log: EventLog) -> None:
    tell(event_log, "a", "b", "c")
    event_log.update(state=State.RUNNING)
    await event_log.flush()
    assert store.batches == [3]
    [(stored, cursor)] = await store.unfinished()
    assert (stored.state, stored.last_event, cursor) == (State.RUNNING, 3, "c")
    assert event_log.build.last_event == 3


async def test_what_is_told_is_stored_soon_without_being_asked(store: CountingStore, event_log: EventLog) -> None:
    tell(event_log, "a", "b")
    await until(lambda: store.batches == [2], "a batch")


async def test_what_is_told_while_a_batch_is_written_is_stored_soon_too(store: CountingStore, event_log: EventLog) -> None:
    store.held.clear()
    tell(event_log, "a")
    await asyncio.sleep(2 * _BATCH_SECONDS)
    tell(event_log, "b")
    store.held.set()
    await until(lambda: sum(store.batches) == 2, "the second line")


async def test_nothing_is_seen_before_it_is_stored(store: CountingStore, event_log: EventLog) -> None:
    store.held.clear()
    tell(event_log, "a")
    async with aclosing(event_log.follow(0)) as batches:
        coming = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(3 * _BATCH_SECONDS)
        assert not coming.done()
        store.held.set()
        assert texts(await coming) == ["a"]


async def test_a_follower_gets_everything_in_order_whenever_it_comes(store: CountingStore, event_log: EventLog) -> None:
    early = asyncio.create_task(whole(event_log.follow(0)))
    tell(event_log, *"abc")
    await event_log.flush()
    middle = asyncio.create_task(whole(event_log.follow(0)))
    resumed = asyncio.create_task(whole(event_log.follow(2)))
    tell(event_log, *"de")
    end(event_log)
    await event_log.flush()
    late = await whole(event_log.follow(0))
    assert texts(late) == ["a", "b", "c", "d", "e", "end"]
    assert numbers(late) == [1, 2, 3, 4, 5, 6]
    assert await early == await middle == late
    assert await resumed == late[2:]
    assert await whole(follow_stored(store, "b00000001", 0)) == late
    assert await whole(follow_stored(store, "b00000001", 4)) == late[4:]


async def test_a_follower_that_has_seen_the_end_waits_for_nothing(store: CountingStore, event_log: EventLog) -> None:
    tell(event_log, "a")
    end(event_log)
    await event_log.flush()
    async with within():
        assert await whole(event_log.follow(2)) == []
        assert await whole(event_log.follow(99)) == []


async def test_a_follower_from_beyond_the_end_leaves_at_the_end(store: CountingStore, event_log: EventLog) -> None:
    waiting = asyncio.create_task(whole(event_log.follow(99)))
    await asyncio.sleep(0)
    tell(event_log, "a")
    end(event_log)
    await event_log.flush()
    async with within():
        assert await waiting == []


async def test_followers_are_counted_until_they_leave(event_log: EventLog) -> None:
    async with aclosing(event_log.follow(0)) as batches:
        tell(event_log, "a")
        await event_log.flush()
        await anext(batches)
        assert event_log.followers == 1
    assert event_log.followers == 0


async def test_a_follower_reads_from_the_database_only_what_is_no_longer_at_hand(
    store: CountingStore, event_log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("binderhub_service.builds.event_log._KEPT_BYTES", 280)  # ten to twenty events
    monkeypatch.setattr("binderhub_service.builds.event_log._PAGE_EVENTS", 7)
    asked: list[int] = []
    events = store.events

    async def counting(build_id: str, after: int, limit: int) -> list[Event]:
        asked.append(after)
        return await events(build_id, after, limit)

    monkeypatch.setattr(store, "events", counting)
    for number in range(50):
        tell(event_log, str(number))
        await event_log.flush()
    end(event_log)
    await event_log.flush()
    assert numbers(await whole(event_log.follow(0))) == list(range(1, 52))
    assert asked
    assert max(asked) < 41
    asked.clear()
    assert numbers(await whole(event_log.follow(45))) == list(range(46, 52))
    assert asked == []


async def test_a_long_event_log_is_written_before_more_is_told(store: CountingStore, event_log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.builds.event_log._MAX_WAITING_EVENTS", 5)
    for number in range(12):
        tell(event_log, str(number))
        await event_log.flush_if_full()
    await event_log.flush()
    assert store.batches == [5, 5, 2]


async def test_an_event_log_goes_on_where_it_was_stored(store: CountingStore, event_log: EventLog) -> None:
    tell(event_log, "a", "b")
    await event_log.flush()
    [(stored, cursor)] = await store.unfinished()
    again = EventLog(store, stored, cursor)
    assert again.cursor == "b"
    following = asyncio.create_task(whole(again.follow(0)))
    tell(again, "c")
    end(again)
    await again.flush()
    assert texts(await following) == ["a", "b", "c", "end"]
    assert numbers(await following) == [1, 2, 3, 4]


async def test_a_database_that_is_away_loses_nothing(
    store: CountingStore, event_log: EventLog, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("binderhub_service.builds.event_log._FIRST_RETRY_SECONDS", 0.01)
    following = asyncio.create_task(whole(event_log.follow(0)))
    tell(event_log, "a")
    store.away = 3
    with caplog.at_level(logging.WARNING, logger="binderhub_service"):
        await event_log.flush()
    tell(event_log, "b")
    end(event_log)
    await event_log.flush()
    assert texts(await following) == ["a", "b", "end"]
    assert caplog.text.count("cannot be stored now") == 3


async def test_a_flush_that_is_given_up_is_finished_all_the_same(store: CountingStore, event_log: EventLog) -> None:
    store.held.clear()
    tell(event_log, "a")
    flushing = asyncio.create_task(event_log.flush())
    await asyncio.sleep(0.01)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    store.held.set()
    await until(lambda: store.batches, "the batch")
    assert texts(await store.events("b00000001", 0, 9)) == ["a"]


async def test_a_log_beyond_its_limit_is_cut_once_and_the_event_log_goes_on(store: CountingStore, event_log: EventLog) -> None:
    for line in ("12345", "67890", "never", "seen"):
        event_log.append_log(line, limit_bytes=20)  # {"text": "12345"} is 17
    end(event_log)
    await event_log.flush()
    told = texts(await whole(event_log.follow(0)))
    assert told[:2] == ["12345", "678"]
    assert "cut here" in told[2]
    assert told[3:] == ["end"]


async def test_a_frame_is_what_a_browser_reads(event_log: EventLog) -> None:
    tell(event_log, "a\nb \u2028 <script>")
    await event_log.flush()
    [event] = await anext(event_log.follow(0))
    assert event.frame.decode().startswith("id: 1\nevent: log\ndata: {")
    assert event.frame.count(b"\n") == 4
