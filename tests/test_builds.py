"""The policy: which asks join, who waits, what is resumed, who may cancel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from binderhub_service import making, stories
from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds import Builds
from binderhub_service.errors import BinderError, BuildFailed, Conflict, NotAllowed, NotFound, TooMany, Unavailable
from binderhub_service.images.fake import FakeImages
from binderhub_service.limits import BuildLimits
from binderhub_service.models import Build, Caller, Event, Image, Kind, Phase, Request, Source, State
from binderhub_service.store import Store
from tests.harness.records import ADMIN, ALICE, BOB, CANCELLER, CAROL, READER, TableProvider, commit, until, whole

REPO = "https://git.example.org/o/r"
MAIN = Request(REPO, "main")
SECRET = "sekret-value"


class MayAway(Store):
    """A store that can be away: `away` counts the calls of `record` that find it so."""

    away = 0
    answers_lost = 0

    async def record(self, build: Build, new_events: Sequence[Event], cursor: str) -> None:
        if self.away:
            self.away -= 1
            raise Unavailable("The database did not answer.")
        await super().record(build, new_events, cursor)
        if self.answers_lost:
            self.answers_lost -= 1
            raise Unavailable("The database did not answer.")


@dataclass
class House:
    """The policy with its parts; `again` is what a restart makes of it."""

    store: MayAway
    provider: TableProvider = field(default_factory=TableProvider)
    images: FakeImages = field(default_factory=FakeImages)
    builder: FakeBuilder = field(default_factory=FakeBuilder)
    limits: BuildLimits = field(default_factory=BuildLimits)
    ended: list[Build] = field(default_factory=list)
    begun: list[str] = field(default_factory=list)
    builds: Builds = field(init=False)

    def __post_init__(self) -> None:
        self.builder.made = self.made
        self.builds = Builds(store=self.store, providers=[self.provider], images=self.images, builder=self.builder, limits=self.limits, observer=self)

    def made(self, build: Build) -> None:
        self.images.there[build.image.name] = Image(build.image.name, environment="key")

    def note_start(self, build: Build) -> None:
        self.begun.append(build.id)

    def note_end(self, build: Build) -> None:
        self.ended.append(build)

    async def again(self, **changes: Any) -> House:
        """Stop in good order and start anew on the same store, images and builder."""
        await self.builds.close()
        return replace(self, **changes)

    async def ask(self, caller: Caller = ALICE, ref: str = "main", force: bool = False) -> Build:
        build, _ = await self.builds.ensure(Request(REPO, ref), caller, force=force)
        return build

    async def end_of(self, build: Build) -> Build:
        async with asyncio.timeout(10):
            await whole(self.builds.follow(build.id, ADMIN))
        await until(lambda: build.id in self.builder.forgotten, "the very end")
        return await self.builds.get(build.id, ADMIN)

    async def story(self, build: Build) -> list[Event]:
        return await whole(self.builds.follow(build.id, ADMIN))

    async def reach(self, build: Build, state: State) -> None:
        """Wait until a build is in a state, as everybody may see it."""
        async with asyncio.timeout(10):
            while (await self.builds.get(build.id, ADMIN)).state is not state:
                await asyncio.sleep(0.005)


@pytest.fixture
async def make(store_url: str) -> AsyncIterator[Callable[..., House]]:
    store = MayAway(store_url)
    await store.open()
    yield lambda **parts: House(store, **parts)
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("build ")]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()


@pytest.fixture
def house(make: Callable[..., House]) -> House:
    return make()


@pytest.fixture
def gated(make: Callable[..., House]) -> House:
    """A house whose builds wait at a gate, `house.builder.gate`, one at a time."""
    return make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1))


def open_gate(house: House) -> None:
    assert house.builder.gate
    house.builder.gate.set()


def assert_whole(events: Sequence[Event]) -> None:
    """A story is numbered 1..n and ends once, at its end."""
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events].count(Kind.END) == 1
    assert events[-1].kind is Kind.END


def told(events: Sequence[Event]) -> list[Any]:
    return [
        event.payload.get("text") or event.payload.get("phase") or event.payload.get("state") or event.payload.get("position") for event in events
    ]


# One ask


async def test_an_ask_becomes_an_image_with_a_whole_story(house: House) -> None:
    build, is_new = await house.builds.ensure(MAIN, ALICE)
    assert is_new
    assert (build.owner, build.source.ref, build.source.commit) == ("alice", "main", commit(1))
    done = await house.end_of(build)
    assert (done.state, done.phase, done.error, done.image.environment) == (State.READY, Phase.DONE, None, "key")
    assert done.started
    assert done.finished
    assert build.created <= done.started <= done.finished
    events = await house.story(build)
    assert_whole(events)
    assert told(events) == ["fetching", "building", "made by nobody", "done", "ready"]
    assert done.last_event == len(events)
    assert (house.begun, [one.id for one in house.ended], house.builder.forgotten) == ([build.id], [build.id], [build.id])
    assert events[-1].payload == {"state": "ready", "image": done.image.name, "environment": "key", "error": None, "time": events[-1].payload["time"]}


async def test_a_failing_build_says_why_and_stays_in_its_phase(make: Callable[..., House]) -> None:
    house = make(builder=FakeBuilder(error=BuildFailed("No.", code="no", hint="Yes.")))
    done = await house.end_of(await house.ask())
    assert (done.state, done.phase, done.error) == (State.FAILED, Phase.BUILDING, {"code": "no", "message": "No.", "hint": "Yes."})
    assert (await house.story(done))[-1].payload["error"] == done.error


async def test_a_builder_that_says_ready_is_not_believed(house: House) -> None:
    house.builder.made = lambda build: None
    done = await house.end_of(await house.ask())
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "image_missing")


async def test_an_image_store_that_does_not_answer_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "_CONFIRM_WAITS_SECONDS", (0.01, 0.01, 0.01))
    exists, troubles = house.images.exists, iter([Unavailable("The registry did not answer.")] * 2)
    asked: list[str] = []

    async def shaky(name: str) -> Image | None:
        asked.append(name)
        if len(asked) > 1:
            for trouble in troubles:
                raise trouble
        return await exists(name)

    monkeypatch.setattr(house.images, "exists", shaky)
    done = await house.end_of(await house.ask())
    assert done.state is State.READY
    assert [text for text in told(await house.story(done)) if "Trying again" in str(text)] == [
        "The registry did not answer. Trying again in 0.01 s."
    ] * 2


async def test_an_unexpected_error_is_logged_and_shown_to_nobody(house: House, caplog: pytest.LogCaptureFixture) -> None:
    def broken(build: Build) -> None:
        raise ZeroDivisionError(SECRET)

    house.builder.made = broken
    with caplog.at_level(logging.ERROR, logger="binderhub_service"):
        build = await house.ask()
        done = await house.end_of(build)
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "internal_error")
    assert SECRET not in "".join(event.data for event in await house.story(build))
    assert build.id in caplog.text
    assert SECRET in caplog.text


async def test_credentials_in_the_log_are_hidden(make: Callable[..., House]) -> None:
    house = make(builder=FakeBuilder([f"fatal: https://alice:{SECRET}@host/r", f"Authorization: Bearer {SECRET}"]))
    build = await house.ask()
    await house.end_of(build)
    assert SECRET not in "".join(event.data for event in await house.story(build))
    assert "fatal: https://***@host/r" in told(await house.story(build))


# Asks that cannot be granted


async def test_who_may_not_build_is_refused_before_anybody_is_asked(house: House) -> None:
    with pytest.raises(NotAllowed):
        await house.ask(READER)
    assert house.provider.asked == []


@pytest.mark.parametrize("error", [NotFound("No."), Unavailable("Away.", code="git_server_timeout")])
async def test_what_a_provider_refuses_begins_nothing_and_is_not_remembered(house: House, error: BinderError) -> None:
    house.provider.error = error
    with pytest.raises(type(error)):
        await house.ask()
    assert await house.builds.list(ADMIN) == []
    house.provider.error = None
    assert (await house.end_of(await house.ask())).state is State.READY


async def test_an_image_store_that_is_away_is_not_an_empty_one(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(name: str) -> Image | None:
        raise Unavailable("Away.")

    monkeypatch.setattr(house.images, "exists", away)
    with pytest.raises(Unavailable):
        await house.ask()
    assert await house.builds.list(ADMIN) == []


async def test_a_limit_per_person_refuses_new_builds_only(make: Callable[..., House]) -> None:
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(per_person=1), provider=TableProvider(a=commit(2)))
    build = await house.ask()
    with pytest.raises(TooMany) as caught:
        await house.ask(ref="a")
    assert caught.value.retry_after_seconds > 0
    assert (await house.ask()).id == build.id
    await house.ask(BOB, "a")
    open_gate(house)
    await house.end_of(build)


# Joining


async def test_a_hundred_equal_asks_are_one_build(gated: House) -> None:
    callers = [Caller(f"user-{number}", admin=True) for number in range(100)]
    answers = await asyncio.gather(*(gated.builds.ensure(MAIN, caller) for caller in callers))
    assert len({build.id for build, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert len(gated.provider.asked) == 1, "they share the question as well"
    build = answers[0][0]
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY
    assert gated.builder.runs == [build.id]
    assert set(await gated.store.askers(build.id)) == {caller.name for caller in callers}


async def test_different_refs_of_one_commit_join(make: Callable[..., House]) -> None:
    house = make(builder=FakeBuilder(gate=asyncio.Event()), provider=TableProvider(v1=commit(1), other=commit(2)))
    builds = await asyncio.gather(house.ask(ref="main"), house.ask(BOB, "v1"), house.ask(CAROL, "other"))
    assert builds[0].id == builds[1].id != builds[2].id
    open_gate(house)
    for build in builds:
        await house.end_of(build)


async def test_an_asker_who_goes_away_while_the_ref_is_looked_up_takes_nobody_along(gated: House) -> None:
    gated.provider.gate = asyncio.Event()
    first, second = asyncio.create_task(gated.ask()), asyncio.create_task(gated.ask(BOB))
    await until(lambda: gated.provider.asked, "the question")
    first.cancel()
    gated.provider.gate.set()
    build = await second
    assert build.owner == "bob"
    open_gate(gated)
    await gated.end_of(build)


async def test_what_is_there_is_found_without_building(house: House) -> None:
    first = await house.end_of(await house.ask())
    again, is_new = await house.builds.ensure(MAIN, BOB)
    assert (again.id, again.state, is_new) == (first.id, State.READY, False)
    assert await house.store.askers(first.id) == {"alice": True, "bob": True}
    assert house.builder.runs == [first.id]


async def test_another_image_of_the_same_name_is_recorded_anew(house: House) -> None:
    done = await house.end_of(await house.ask())
    house.images.there[done.image.name] = replace(done.image, digest="sha256:another")
    found = await house.ask()
    assert (found.id != done.id, found.state, found.image.reference) == (True, State.READY, f"{done.image.name}@sha256:another")
    assert (await house.ask()).id == found.id


async def test_an_image_that_nobody_remembers_building_is_found_and_recorded(house: House) -> None:
    source = await house.provider.resolve(MAIN)
    name = house.images.name_for(source)
    house.images.there[name] = Image(name, "key")
    build, is_new = await house.builds.ensure(MAIN, ALICE)
    assert (build.state, is_new, house.builder.runs) == (State.READY, False, [])
    events = await house.story(build)
    assert_whole(events)
    assert told(events) == ["done", "ready"]
    assert (await house.ask(BOB)).id == build.id


async def test_an_image_that_was_removed_is_built_again(house: House) -> None:
    first = await house.end_of(await house.ask())
    await house.images.delete(first.image.name)
    second = await house.ask()
    assert second.id != first.id
    assert (await house.end_of(second)).state is State.READY


async def test_a_failed_build_is_not_remembered_as_an_answer(house: House) -> None:
    house.builder.error = BuildFailed("No.")
    first = await house.end_of(await house.ask())
    house.builder.error = None
    second = await house.end_of(await house.ask())
    assert (first.state, second.state) == (State.FAILED, State.READY)


async def test_force_builds_again_but_joins_what_goes_on(gated: House) -> None:
    open_gate(gated)
    first = await gated.end_of(await gated.ask())
    assert gated.builder.gate
    gated.builder.gate.clear()
    second = await gated.ask(force=True)
    assert second.id != first.id
    assert second.force
    assert (await gated.ask(BOB, force=True)).id == second.id
    open_gate(gated)
    assert (await gated.end_of(second)).state is State.READY
    assert gated.builder.runs == [first.id, second.id]


# Waiting


async def test_builds_wait_in_turn_between_people_and_are_told_so(make: Callable[..., House]) -> None:
    refs = {name: commit(number) for number, name in enumerate("abcde", start=10)}
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1), provider=TableProvider(**refs))
    asked = [await house.ask(caller, ref) for caller, ref in ((ALICE, "a"), (ALICE, "b"), (ALICE, "c"), (BOB, "d"), (CAROL, "e"))]
    a, b, c, d, e = asked
    places = {build.id: (house.builds.queue_status(build.id) or {}).get("position") for build in asked}
    assert places == {a.id: None, b.id: 1, d.id: 2, e.id: 3, c.id: 4}
    assert house.builds.counts() == {"queued": 4, "running": 1, "followers": 0}
    open_gate(house)
    for build in asked:
        await house.end_of(build)
    assert house.builder.runs == [a.id, b.id, d.id, e.id, c.id]
    told_c = [event.payload["position"] for event in await house.story(c) if event.kind is Kind.QUEUE]
    assert told_c == [2, 3, 4, 3, 2, 1]
    assert_whole(await house.story(c))


async def test_no_more_run_than_may(make: Callable[..., House]) -> None:
    refs = {f"r{number}": commit(100 + number) for number in range(8)}
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=2), provider=TableProvider(**refs))
    asked = [await house.ask(ref=ref) for ref in refs]
    await until(lambda: len(house.builder.runs) == 2, "two builds")
    running: list[int] = []
    house.builder.made = lambda build: (running.append(house.builds.counts()["running"]), house.made(build))[1]
    open_gate(house)
    for build in asked:
        await house.end_of(build)
    assert len(running) == 8
    assert max(running) == 2


async def test_what_is_there_never_waits(make: Callable[..., House]) -> None:
    house = make(limits=BuildLimits(running=1), provider=TableProvider(a=commit(2), b=commit(3)))
    ready = await house.end_of(await house.ask())
    house.builder.gate = asyncio.Event()
    running, waiting = await house.ask(ref="a"), await house.ask(ref="b")
    assert (await house.ask(BOB)).id == ready.id
    open_gate(house)
    await house.end_of(running)
    await house.end_of(waiting)


async def test_waiting_ends_when_it_takes_too_long(make: Callable[..., House]) -> None:
    limits = BuildLimits(running=1, queue_seconds=0.05)
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=limits, provider=TableProvider(a=commit(2)))
    running, waiting = await house.ask(), await house.ask(ref="a")
    done = await house.end_of(waiting)
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "queue_timeout")
    assert_whole(await house.story(waiting))
    open_gate(house)
    assert (await house.end_of(running)).state is State.READY
    assert house.builder.runs == [running.id]


async def test_running_ends_when_it_takes_too_long(make: Callable[..., House]) -> None:
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(build_seconds=0.05))
    done = await house.end_of(await house.ask())
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "build_timeout")
    assert house.builder.stopped == [done.id]


# Cancelling


async def test_a_waiting_build_is_cancelled(gated: House) -> None:
    running = await gated.ask()
    gated.provider.refs["a"] = commit(2)
    waiting = await gated.ask(ref="a")
    done = await gated.builds.cancel(waiting.id, ALICE)
    assert (done.state, (done.error or {})["code"]) == (State.CANCELLED, "cancelled")
    assert_whole(await gated.story(waiting))
    open_gate(gated)
    await gated.end_of(running)
    assert gated.builder.runs == [running.id]


async def test_a_running_build_is_stopped_and_the_next_begins(gated: House) -> None:
    running = await gated.ask()
    gated.provider.refs["a"] = commit(2)
    waiting = await gated.ask(ref="a")
    await gated.reach(running, State.RUNNING)
    done = await gated.builds.cancel(running.id, ALICE)
    assert (done.state, gated.builder.stopped) == (State.CANCELLED, [running.id])
    assert_whole(await gated.story(running))
    open_gate(gated)
    assert (await gated.end_of(waiting)).state is State.READY


async def test_a_build_is_cancelled_before_it_took_its_first_step(gated: House) -> None:
    build = await gated.ask()
    async with asyncio.timeout(5):
        done = await gated.builds.cancel(build.id, ADMIN)
    assert done.state is State.CANCELLED
    assert_whole(await gated.story(build))
    assert gated.builds.counts()["running"] == 0


async def test_cancelling_twice_at_once_is_cancelling_once(gated: House) -> None:
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    first, second = await asyncio.gather(gated.builds.cancel(build.id, ALICE), gated.builds.cancel(build.id, ADMIN), return_exceptions=True)
    assert {getattr(first, "state", None), getattr(second, "state", None)} == {State.CANCELLED}
    assert gated.builder.stopped == [build.id]
    assert_whole(await gated.story(build))


async def test_what_has_ended_cannot_be_cancelled(house: House) -> None:
    build = await house.end_of(await house.ask())
    with pytest.raises(Conflict) as caught:
        await house.builds.cancel(build.id, ALICE)
    assert caught.value.code == "build_ended"
    assert (await house.builds.get(build.id, ALICE)).state is State.READY


@pytest.mark.parametrize("canceller", [ALICE, ADMIN, CANCELLER])
async def test_the_owner_an_admin_and_who_has_the_scope_end_a_shared_build(gated: House, canceller: Caller) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    await gated.reach(build, State.RUNNING)
    assert (await gated.builds.cancel(build.id, canceller)).state is State.CANCELLED


async def test_another_asker_only_takes_the_own_wish_back(gated: House) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    assert not (await gated.builds.cancel(build.id, BOB)).state.ended
    assert await gated.store.askers(build.id) == {"alice": True, "bob": False}
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY


async def test_a_build_ends_when_the_last_wish_is_taken_back(gated: House) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    await gated.reach(build, State.RUNNING)
    assert not (await gated.builds.withdraw(build.id, ALICE)).state.ended, "bob still wants it"
    assert (await gated.builds.withdraw(build.id, BOB)).state is State.CANCELLED


async def test_a_wish_can_be_renewed(gated: House) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    await gated.builds.withdraw(build.id, ALICE)
    await gated.ask(ALICE)
    assert not (await gated.builds.withdraw(build.id, BOB)).state.ended
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY


async def test_a_wish_for_what_has_ended_can_be_taken_back_to_no_effect(house: House) -> None:
    build = await house.end_of(await house.ask())
    assert (await house.builds.withdraw(build.id, ALICE)).state is State.READY


async def test_who_did_not_ask_has_no_wish_to_take_back(gated: House) -> None:
    build = await gated.ask(ALICE)
    for caller in (BOB, READER):
        with pytest.raises(NotAllowed):
            await gated.builds.withdraw(build.id, caller)
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY


@pytest.mark.parametrize("waits", [False, True], ids=["running", "waiting"])
async def test_an_ask_while_its_build_is_being_cancelled_begins_a_new_one(gated: House, waits: bool) -> None:
    gated.provider.refs["a"] = commit(2)
    before = await gated.ask(ref="a") if waits else None
    build = await gated.ask()
    await gated.reach(before or build, State.RUNNING)
    cancelled, again = await asyncio.gather(gated.builds.cancel(build.id, ADMIN), gated.ask(BOB))
    assert cancelled.state is State.CANCELLED
    assert again.id != build.id
    assert (await gated.ask(CAROL)).id == again.id, "the new one is the one to join"
    open_gate(gated)
    assert (await gated.end_of(again)).state is State.READY
    assert_whole(await gated.story(build))
    if before:
        await gated.end_of(before)


async def test_an_ask_waits_for_the_cancelled_build_to_be_gone(gated: House, monkeypatch: pytest.MonkeyPatch) -> None:
    gated.provider.refs["a"] = commit(2)
    first, second = await gated.ask(), await gated.ask(ref="a")
    monkeypatch.setattr(stories, "_FIRST_RETRY_SECONDS", 0.01)
    gated.store.away = 5
    cancelling = asyncio.create_task(gated.builds.cancel(second.id, ADMIN))
    await asyncio.sleep(0)
    again = await gated.ask(BOB, "a")
    assert again.id != second.id
    assert (await cancelling).state is State.CANCELLED
    open_gate(gated)
    await gated.end_of(first)
    assert (await gated.end_of(again)).state is State.READY


# Who may read


async def test_askers_readers_and_admins_may_read_and_nobody_else(house: House) -> None:
    build = await house.end_of(await house.ask(ALICE))
    await house.ask(BOB)
    for caller in (ALICE, BOB, READER, CANCELLER, ADMIN):
        assert (await house.builds.get(build.id, caller)).id == build.id
        assert_whole(await whole(house.builds.follow(build.id, caller)))
        assert_whole(await whole(house.builds.story_so_far(build.id, caller)))
    for call in (
        house.builds.get(build.id, CAROL),
        whole(house.builds.follow(build.id, CAROL)),
        whole(house.builds.story_so_far(build.id, CAROL)),
        house.builds.cancel(build.id, CAROL),
        house.builds.withdraw(build.id, CAROL),
    ):
        with pytest.raises(NotAllowed):
            await call


async def test_a_build_that_is_not_there_is_not_found(house: House) -> None:
    for call in (
        house.builds.get("b0", ADMIN),
        whole(house.builds.follow("b0", ADMIN)),
        house.builds.cancel("b0", ADMIN),
        house.builds.withdraw("b0", ADMIN),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.code == "build_not_found"


async def test_lists_hold_what_one_asked_for_or_everything(make: Callable[..., House]) -> None:
    house = make(provider=TableProvider(a=commit(2), b=commit(3)))
    main, a, b = [await house.end_of(await house.ask(caller, ref)) for caller, ref in ((ALICE, "main"), (ALICE, "a"), (BOB, "b"))]
    await house.ask(BOB, "main")
    assert {build.id for build in await house.builds.list(ALICE)} == {main.id, a.id}
    assert {build.id for build in await house.builds.list(BOB)} == {main.id, b.id}
    assert len(await house.builds.list(READER)) == len(await house.builds.list(ADMIN)) == 3
    assert await house.builds.list(CAROL) == []
    assert [build.id for build in await house.builds.list(ADMIN, owner="bob", state="ready", repo=REPO)] == [b.id]


async def test_a_list_shows_the_state_of_now(gated: House) -> None:
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    assert [(one.id, one.state) for one in await gated.builds.list(ALICE)] == [(build.id, State.RUNNING)]
    open_gate(gated)
    await gated.end_of(build)


# Followers


async def test_followers_get_the_same_story_whenever_they_come(make: Callable[..., House]) -> None:
    house = make(builder=FakeBuilder([f"line {number}" for number in range(3000)], gate=asyncio.Event()))
    build = await house.ask()
    early = asyncio.create_task(whole(house.builds.follow(build.id, ALICE)))
    await until(lambda: house.builder.runs, "the build")
    middle = asyncio.create_task(whole(house.builds.follow(build.id, ALICE)))
    resumed = asyncio.create_task(whole(house.builds.follow(build.id, ALICE, after=1500)))
    gone = house.builds.follow(build.id, ALICE)
    await anext(gone)
    await gone.aclose()
    open_gate(house)
    await house.end_of(build)
    late = await house.story(build)
    assert_whole(late)
    assert [text for text in told(late) if str(text).startswith("line")] == [f"line {number}" for number in range(3000)]
    assert await early == await middle == late
    assert await resumed == late[1500:]
    assert house.builds.counts()["followers"] == 0


async def test_the_story_so_far_does_not_wait_for_more(gated: House) -> None:
    build = await gated.ask()
    async with asyncio.timeout(5):
        while "made by nobody" not in told(await whole(gated.builds.story_so_far(build.id, ALICE))):
            await asyncio.sleep(0.01)
    open_gate(gated)
    await gated.end_of(build)


# Living on


async def test_a_running_build_goes_on_after_a_restart(gated: House) -> None:
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    again = await gated.again()
    assert gated.builder.stopped == gated.builder.forgotten == [], "nobody ended it"
    assert await again.builds.resume() == 1
    following = asyncio.create_task(again.story(build))
    assert (await again.ask(BOB)).id == build.id, "it can be joined again"
    open_gate(again)
    assert (await again.end_of(build)).state is State.READY
    events = await following
    assert_whole(events)
    assert Counter(told(events)) == Counter(["fetching", "building", "made by nobody", "done", "ready"]), "nothing twice"


async def test_waiting_builds_wait_again_after_a_restart(make: Callable[..., House]) -> None:
    provider = TableProvider(a=commit(2), b=commit(3))
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1), provider=provider)
    builds = [await house.ask(ref=ref) for ref in ("main", "a", "b")]
    await house.reach(builds[0], State.RUNNING)
    again = await house.again()
    assert house.builder.runs == [builds[0].id], "stopping starts nobody"
    assert await again.builds.resume() == 3
    assert again.builds.counts() | {"followers": 0} == {"queued": 2, "running": 1, "followers": 0}
    open_gate(again)
    for build in builds:
        assert (await again.end_of(build)).state is State.READY
        assert_whole(await again.story(build))


async def test_running_builds_are_resumed_before_older_ones_that_wait(make: Callable[..., House]) -> None:
    provider = TableProvider(a=commit(2), b=commit(3))
    house = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1), provider=provider)
    first, waiting, younger = await house.ask(ref="main"), await house.ask(ref="a"), await house.ask(BOB, "b")
    await house.reach(first, State.RUNNING)
    await house.builds.cancel(first.id, ALICE)
    await house.builds.cancel(waiting.id, ALICE)
    waiting = await house.ask(CAROL, "a")
    older = await house.store.get(waiting.id)
    assert older
    await house.reach(younger, State.RUNNING)
    # bob's build runs; make carol's the older one
    again = await house.again()
    unfinished = again.store.unfinished

    async def waiting_first() -> list[tuple[Build, str]]:
        return sorted(await unfinished(), key=lambda one: one[0].state is State.RUNNING)

    again.store.unfinished = waiting_first  # type: ignore[method-assign]
    await again.builds.resume()
    assert again.builds.counts()["running"] == 1
    assert again.builds.queue_status(waiting.id)
    open_gate(again)
    await again.end_of(younger)
    await again.end_of(waiting)


async def test_nothing_is_resumed_that_has_ended(house: House) -> None:
    await house.end_of(await house.ask())
    again = await house.again()
    assert await again.builds.resume() == 0


async def test_closing_at_the_very_end_of_a_build_waits_for_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    leave = asyncio.Event()
    forget = house.builder.forget

    async def slow(build: Build) -> None:
        await leave.wait()
        await forget(build)

    monkeypatch.setattr(house.builder, "forget", slow)
    build = await house.ask()
    await until(lambda: house.ended, "the end")
    closing = asyncio.create_task(house.builds.close())
    await asyncio.sleep(0)
    leave.set()
    async with asyncio.timeout(5):
        await closing
    assert house.builder.forgotten == [build.id]


async def test_an_ask_that_is_being_resolved_while_the_service_stops_is_told_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def resolve(_request: Request) -> Source:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(house.provider, "resolve", resolve)
    asking = asyncio.create_task(house.ask())
    await asked.wait()
    await house.builds.close()
    with pytest.raises(Unavailable, match="stopping"):
        await asking
    with pytest.raises(Unavailable, match="stopping"):
        await house.ask()


@pytest.mark.parametrize("state", ["begun", "running", "cancelling"])
async def test_a_service_that_stops_at_any_moment_leaves_a_build_that_ends_once(gated: House, state: str) -> None:
    build = await gated.ask()
    if state != "begun":
        await gated.reach(build, State.RUNNING)
    cancelling = asyncio.create_task(gated.builds.cancel(build.id, ADMIN)) if state == "cancelling" else None
    await asyncio.sleep(0)
    again = await gated.again()
    await again.builds.resume()
    open_gate(again)
    await whole(again.builds.follow(build.id, ADMIN))
    events = await again.story(build)
    assert_whole(events)
    if cancelling:
        with contextlib.suppress(BinderError):
            await cancelling


# A database that comes and goes


async def test_a_database_that_is_away_during_a_build_loses_nothing(gated: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "_FIRST_RETRY_SECONDS", 0.01)
    build = await gated.ask()
    following = asyncio.create_task(gated.story(build))
    await gated.reach(build, State.RUNNING)
    gated.store.away = 4
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY
    assert gated.store.away == 0
    assert_whole(await following)
    assert told(await following) == ["fetching", "building", "made by nobody", "done", "ready"]
    assert await whole(gated.builds.story_so_far(build.id, ADMIN)) == await following


async def test_a_database_whose_answer_is_lost_loses_and_doubles_nothing(gated: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stories, "_FIRST_RETRY_SECONDS", 0.01)
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    gated.store.answers_lost = 2
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY
    assert told(await gated.story(build)) == ["fetching", "building", "made by nobody", "done", "ready"]


async def test_an_ask_that_the_database_did_not_take_leaves_nothing_in_the_way(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever call finds it away, the next ask works."""

    async def away(*arguments: Any, **more: Any) -> Any:
        raise Unavailable("Away.", code="store_unavailable")

    for number, name in enumerate(["create", "typical_seconds", "newest_ready", "set_asker", "note_use"]):
        house.provider.refs["r"] = commit(100 + number)
        with monkeypatch.context() as patch:
            patch.setattr(house.store, name, away)
            with contextlib.suppress(Unavailable):
                await house.ask(ref="r")
        async with asyncio.timeout(5):
            assert (await house.end_of(await house.ask(BOB, "r"))).state is State.READY, name
