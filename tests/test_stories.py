"""The live end of a story: numbered, stored in batches, seen by any number of followers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from binderhub_service import stories
from binderhub_service.errors import Unavailable
from binderhub_service.models import Build, Event, Kind, State
from binderhub_service.store import Store
from binderhub_service.stories import Story, follow_stored
from tests.harness.records import build, until, whole


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
    store = CountingStore(f"sqlite:///{tmp_path / 'store.sqlite'}")
    await store.open()
    await store.create(build(1))
    yield store
    await store.close()


@pytest.fixture
def story(store: CountingStore) -> Story:
    return Story(store, build(1))


def tell(story: Story, *texts: str) -> None:
    for text in texts:
        story.tell(Kind.LOG, {"text": text}, cursor=text)


def end(story: Story) -> None:
    story.become(state=State.READY)
    story.tell(Kind.END, {"state": "ready"})


def texts(events: Sequence[Event]) -> list[Any]:
    return [event.payload.get("text", event.kind) for event in events]


def numbers(events: Sequence[Event]) -> list[int]:
    return [event.number for event in events]


async def test_what_is_told_is_stored_in_one_batch_with_the_record(store: CountingStore, story: Story) -> None:
    tell(story, "a", "b", "c")
    story.become(state=State.RUNNING)
    await story.flush()
    assert store.batches == [3]
    [(stored, cursor)] = await store.unfinished()
    assert (stored.state, stored.last_event, cursor) == (State.RUNNING, 3, "c")
    assert story.build.last_event == 3


async def test_what_is_told_is_stored_soon_without_being_asked(store: CountingStore, story: Story) -> None:
    tell(story, "a", "b")
    await until(lambda: store.batches == [2], "a batch")


async def test_what_is_told_while_a_batch_is_written_is_stored_soon_too(store: CountingStore, story: Story) -> None:
    store.held.clear()
    tell(story, "a")
    await asyncio.sleep(2 * stories._BATCH_SECONDS)
    tell(story, "b")
    store.held.set()
    await until(lambda: sum(store.batches) == 2, "the second line", seconds=3)


async def test_nothing_is_seen_before_it_is_stored(store: CountingStore, story: Story) -> None:
    store.held.clear()
    tell(story, "a")
    async with aclosing(story.follow(0)) as batches:
        coming = asyncio.ensure_future(anext(batches))
        await asyncio.sleep(3 * stories._BATCH_SECONDS)
        assert not coming.done()
        store.held.set()
        assert texts(await coming) == ["a"]


async def test_a_follower_gets_everything_in_order_whenever_it_comes(store: CountingStore, story: Story) -> None:
    early = asyncio.create_task(whole(story.follow(0)))
    tell(story, *"abc")
    await story.flush()
    middle = asyncio.create_task(whole(story.follow(0)))
    resumed = asyncio.create_task(whole(story.follow(2)))
    tell(story, *"de")
    end(story)
    await story.flush()
    late = await whole(story.follow(0))
    assert texts(late) == ["a", "b", "c", "d", "e", "end"]
    assert numbers(late) == [1, 2, 3, 4, 5, 6]
    assert await early == await middle == late
    assert await resumed == late[2:]
    assert await whole(follow_stored(store, "b00000001", 0)) == late
    assert await whole(follow_stored(store, "b00000001", 4)) == late[4:]


async def test_a_follower_that_has_seen_the_end_waits_for_nothing(store: CountingStore, story: Story) -> None:
    tell(story, "a")
    end(story)
    await story.flush()
    async with asyncio.timeout(3):
        assert await whole(story.follow(2)) == []
        assert await whole(story.follow(99)) == []


async def test_a_follower_from_beyond_the_end_leaves_at_the_end(store: CountingStore, story: Story) -> None:
    waiting = asyncio.create_task(whole(story.follow(99)))
    await asyncio.sleep(0)
    tell(story, "a")
    end(story)
    await story.flush()
    async with asyncio.timeout(3):
        assert await waiting == []


async def test_followers_are_counted_until_they_leave(story: Story) -> None:
    async with aclosing(story.follow(0)) as batches:
        tell(story, "a")
        await story.flush()
        await anext(batches)
        assert story.followers == 1
    assert story.followers == 0


async def test_a_follower_reads_from_the_database_only_what_is_no_longer_at_hand(
    store: CountingStore, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stories, "_KEPT_BYTES", 280)  # ten to twenty events
    monkeypatch.setattr(stories, "_PAGE_EVENTS", 7)
    asked: list[int] = []
    events = store.events

    async def counting(build_id: str, after: int, limit: int) -> list[Event]:
        asked.append(after)
        return await events(build_id, after, limit)

    monkeypatch.setattr(store, "events", counting)
    for number in range(50):
        tell(story, str(number))
        await story.flush()
    end(story)
    await story.flush()
    assert numbers(await whole(story.follow(0))) == list(range(1, 52))
    assert asked
    assert max(asked) < 41
    asked.clear()
    assert numbers(await whole(story.follow(45))) == list(range(46, 52))
    assert asked == []


async def test_a_long_story_is_written_before_more_is_told(store: CountingStore, story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "_MAX_WAITING_EVENTS", 5)
    for number in range(12):
        tell(story, str(number))
        await story.tell_in_time()
    await story.flush()
    assert store.batches == [5, 5, 2]


async def test_a_story_goes_on_where_it_was_stored(store: CountingStore, story: Story) -> None:
    tell(story, "a", "b")
    await story.flush()
    [(stored, cursor)] = await store.unfinished()
    again = Story(store, stored, cursor)
    assert again.cursor == "b"
    following = asyncio.create_task(whole(again.follow(0)))
    tell(again, "c")
    end(again)
    await again.flush()
    assert texts(await following) == ["a", "b", "c", "end"]
    assert numbers(await following) == [1, 2, 3, 4]


async def test_a_database_that_is_away_loses_nothing(
    store: CountingStore, story: Story, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(stories, "_FIRST_RETRY_SECONDS", 0.01)
    following = asyncio.create_task(whole(story.follow(0)))
    tell(story, "a")
    store.away = 3
    with caplog.at_level(logging.WARNING, logger="binderhub_service"):
        await story.flush()
    tell(story, "b")
    end(story)
    await story.flush()
    assert texts(await following) == ["a", "b", "end"]
    assert caplog.text.count("cannot be stored now") == 3


async def test_a_flush_that_is_given_up_is_finished_all_the_same(store: CountingStore, story: Story) -> None:
    store.held.clear()
    tell(story, "a")
    flushing = asyncio.create_task(story.flush())
    await asyncio.sleep(0.01)
    flushing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await flushing
    store.held.set()
    await until(lambda: store.batches, "the batch")
    assert texts(await store.events("b00000001", 0, 9)) == ["a"]


async def test_a_log_beyond_its_limit_is_cut_once_and_the_story_goes_on(store: CountingStore, story: Story) -> None:
    for line in ("12345", "67890", "never", "seen"):
        story.tell_log(line, limit_bytes=20)  # {"text": "12345"} is 17
    end(story)
    await story.flush()
    told = texts(await whole(story.follow(0)))
    assert told[:2] == ["12345", "678"]
    assert "cut here" in told[2]
    assert told[3:] == ["end"]


async def test_a_frame_is_what_a_browser_reads(story: Story) -> None:
    tell(story, "a\nb \u2028 <script>")
    await story.flush()
    [event] = await anext(story.follow(0))
    assert event.frame.decode().startswith("id: 1\nevent: log\ndata: {")
    assert event.frame.count(b"\n") == 4
