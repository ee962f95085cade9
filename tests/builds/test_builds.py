"""The policy: which asks join, who waits, what is resumed, who may cancel."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds.builds import Builds
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.errors import BinderError, BuildFailed, Conflict, NotAllowed, NotFound, TooMany, Unavailable
from binderhub_service.images.fake import FakeImages
from binderhub_service.models import Build, Caller, Event, Image, Kind, Phase, Request, Source, State, now
from binderhub_service.providers.image import ImageProvider
from binderhub_service.store.caching import CachingStore
from binderhub_service.store.store import Store
from tests.harness.records import ADMIN, ALICE, BOB, CANCELLER, CAROL, DAY, READER, TableProvider, commit, whole
from tests.harness.waiting import until, within

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
class RealBuilds:
    """The policy with its parts; `again` is what a restart makes of it."""

    store: Store
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

    async def again(self, **changes: Any) -> RealBuilds:
        """Stop in good order and start anew on the same store, images and builder."""
        await self.builds.close()
        return replace(self, **changes)

    async def ask(self, caller: Caller = ALICE, ref: str = "main", force: bool = False) -> Build:
        build, _ = await self.builds.ensure(Request(REPO, ref), caller, force=force)
        return build

    async def end_of(self, build: Build) -> Build:
        async with within():
            await whole(self.builds.follow(build.id, ADMIN))
        await until(lambda: build.id in self.builder.forgotten, "the very end")
        return await self.builds.get(build.id, ADMIN)

    async def event_log(self, build: Build) -> list[Event]:
        return await whole(self.builds.follow(build.id, ADMIN))

    async def reach(self, build: Build, state: State) -> None:
        """Wait until a build is in a state, as everybody may see it."""
        async with within():
            while (await self.builds.get(build.id, ADMIN)).state is not state:
                await asyncio.sleep(0.005)


@pytest.fixture
async def make(store_url: str) -> AsyncIterator[Callable[..., RealBuilds]]:
    store = MayAway(store_url)
    await store.open()
    yield lambda **parts: RealBuilds(store, **parts)
    tasks = [task for task in asyncio.all_tasks() if task.get_name().startswith("build ")]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await store.close()


@pytest.fixture
def real_builds(make: Callable[..., RealBuilds]) -> RealBuilds:
    return make()


@pytest.fixture
def gated(make: Callable[..., RealBuilds]) -> RealBuilds:
    """Builds that wait at a gate, `gated.builder.gate`, one at a time."""
    return make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1))


async def test_nothing_is_built_of_an_image_that_somebody_else_made(make: Callable[..., RealBuilds]) -> None:
    provider = ImageProvider(allowed_images=["course:*"])
    hexadecimal = "ab" * 32

    async def find(_: str) -> str:
        return f"sha256:{hexadecimal}"

    provider.find_digest = find
    real = make(provider=provider)
    asked = Request("docker://course:1")
    with pytest.raises(NotFound, match="There is no image course:1 any more"):
        await real.builds.ensure(asked, ALICE, force=True)
    name = real.images.name_for(await provider.resolve(asked))
    real.images.there[name] = Image(name)
    for force in (False, True):
        build, is_begun = await real.builds.ensure(asked, ALICE, force=force)
        assert (build.state, build.source.commit, is_begun) == (State.READY, hexadecimal, False)
    assert real.begun == []


def open_gate(real_builds: RealBuilds) -> None:
    assert real_builds.builder.gate
    real_builds.builder.gate.set()


def assert_whole(events: Sequence[Event]) -> None:
    """An event log is numbered 1..n and ends once, at its end."""
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events].count(Kind.END) == 1
    assert events[-1].kind is Kind.END


def told(events: Sequence[Event]) -> list[Any]:
    return [
        event.payload.get("text") or event.payload.get("phase") or event.payload.get("state") or event.payload.get("position") for event in events
    ]


# One ask


async def test_an_ask_becomes_an_image_with_a_whole_event_log(real_builds: RealBuilds) -> None:
    build, is_new = await real_builds.builds.ensure(MAIN, ALICE)
    assert is_new
    assert (build.owner, build.source.ref, build.source.commit) == ("alice", "main", commit(1))
    done = await real_builds.end_of(build)
    assert (done.state, done.phase, done.error, done.image.environment) == (State.READY, Phase.DONE, None, "key")
    assert done.started
    assert done.finished
    assert build.created <= done.started <= done.finished
    events = await real_builds.event_log(build)
    assert_whole(events)
    assert told(events) == ["fetching", "building", "made by nobody", "done", "ready"]
    assert done.last_event == len(events)
    assert (real_builds.begun, [one.id for one in real_builds.ended], real_builds.builder.forgotten) == ([build.id], [build.id], [build.id])
    assert events[-1].payload == {"state": "ready", "image": done.image.name, "environment": "key", "error": None, "time": events[-1].payload["time"]}


async def test_a_failing_build_says_why_and_stays_in_its_phase(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(builder=FakeBuilder(error=BuildFailed("No.", code="no", hint="Yes.")))
    done = await real_builds.end_of(await real_builds.ask())
    assert (done.state, done.phase, done.error) == (State.FAILED, Phase.BUILDING, {"code": "no", "message": "No.", "hint": "Yes."})
    assert (await real_builds.event_log(done))[-1].payload["error"] == done.error


async def test_a_builder_that_says_ready_is_not_believed(real_builds: RealBuilds) -> None:
    real_builds.builder.made = lambda build: None
    done = await real_builds.end_of(await real_builds.ask())
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "image_missing")


async def test_an_image_store_that_does_not_answer_is_asked_again(real_builds: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.builds.runner._CONFIRM_WAITS_SECONDS", (0.01, 0.01, 0.01))
    exists, troubles = real_builds.images.exists, iter([Unavailable("The registry did not answer.")] * 2)
    asked: list[str] = []

    async def shaky(name: str) -> Image | None:
        asked.append(name)
        if len(asked) > 1:
            for trouble in troubles:
                raise trouble
        return await exists(name)

    monkeypatch.setattr(real_builds.images, "exists", shaky)
    done = await real_builds.end_of(await real_builds.ask())
    assert done.state is State.READY
    assert [text for text in told(await real_builds.event_log(done)) if "Trying again" in str(text)] == [
        "The registry did not answer. Trying again in 0.01 s."
    ] * 2


async def test_an_unexpected_error_is_logged_and_shown_to_nobody(real_builds: RealBuilds, caplog: pytest.LogCaptureFixture) -> None:
    def broken(build: Build) -> None:
        raise ZeroDivisionError(SECRET)

    real_builds.builder.made = broken
    with caplog.at_level(logging.ERROR, logger="binderhub_service"):
        build = await real_builds.ask()
        done = await real_builds.end_of(build)
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "internal_error")
    assert SECRET not in "".join(event.data for event in await real_builds.event_log(build))
    assert build.id in caplog.text
    assert SECRET in caplog.text


async def test_credentials_in_the_log_are_hidden(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(builder=FakeBuilder([f"fatal: https://alice:{SECRET}@host/r", f"Authorization: Bearer {SECRET}"]))
    build = await real_builds.ask()
    await real_builds.end_of(build)
    assert SECRET not in "".join(event.data for event in await real_builds.event_log(build))
    assert "fatal: https://***@host/r" in told(await real_builds.event_log(build))


# Asks that cannot be granted


async def test_who_may_not_build_is_refused_before_anybody_is_asked(real_builds: RealBuilds) -> None:
    with pytest.raises(NotAllowed):
        await real_builds.ask(READER)
    assert real_builds.provider.asked == []


@pytest.mark.parametrize("error", [NotFound("No."), Unavailable("Away.", code="git_server_timeout")])
async def test_what_a_provider_refuses_begins_nothing_and_is_not_remembered(real_builds: RealBuilds, error: BinderError) -> None:
    real_builds.provider.error = error
    with pytest.raises(type(error)):
        await real_builds.ask()
    assert await real_builds.builds.list(ADMIN) == []
    real_builds.provider.error = None
    assert (await real_builds.end_of(await real_builds.ask())).state is State.READY


@pytest.mark.parametrize("error", [NotFound("No such branch."), Unavailable("The Git server is away.", code="git_server_timeout")])
async def test_who_had_an_image_gets_it_again_when_the_repository_gives_no_answer(make: Callable[..., RealBuilds], error: BinderError) -> None:
    real = make(limits=BuildLimits(ref_seconds=0))
    alice, later = replace(ALICE, created=DAY), replace(ALICE, created=now())
    first = await real.end_of(await real.ask(alice))
    real.provider.error = error
    again = await real.ask(alice)
    assert again.id == first.id
    assert again.notice == f"{error.message} So this is what you had last, commit {first.source.commit[:7]}."
    for caller, ref, force in ((BOB, "main", False), (later, "main", False), (alice, "other", False), (alice, "main", True)):
        with pytest.raises(type(error)):
            await real.ask(caller, ref, force)
    real.images.there.clear()
    with pytest.raises(type(error)):
        await real.ask(alice)


@pytest.mark.parametrize("old", ["master", "main"])
async def test_where_a_default_branch_was_renamed_the_new_one_is_taken_with_a_word(make: Callable[..., RealBuilds], old: str) -> None:
    real = make(limits=BuildLimits(ref_seconds=0))
    del real.provider.refs["main"]
    build = await real.ask(ref=old)
    assert (build.source.ref, build.source.commit) == (old, commit(1))
    assert build.notice.endswith("So this is its default branch; the link or the name is an old one.")
    assert (await real.builds.get(build.id, ALICE)).notice == "", "it is about the answer"
    with pytest.raises(NotFound):
        await real.builds.ensure(Request("https://host/o/r", old), ALICE, as_named=True)
    with pytest.raises(NotFound):
        await real.ask(ref="gone")
    real.provider.refs.clear()
    with pytest.raises(NotFound, match=old):
        await real.ask(BOB, ref=old)


async def test_an_image_store_that_is_away_is_not_an_empty_one(real_builds: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(name: str) -> Image | None:
        raise Unavailable("Away.")

    monkeypatch.setattr(real_builds.images, "exists", away)
    with pytest.raises(Unavailable):
        await real_builds.ask()
    assert await real_builds.builds.list(ADMIN) == []


async def test_a_limit_per_user_refuses_new_builds_only(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(per_user=1), provider=TableProvider(a=commit(2)))
    build = await real_builds.ask()
    with pytest.raises(TooMany) as caught:
        await real_builds.ask(ref="a")
    assert caught.value.retry_after_seconds > 0
    assert (await real_builds.ask()).id == build.id
    await real_builds.ask(BOB, "a")
    open_gate(real_builds)
    await real_builds.end_of(build)


# Joining


async def test_a_hundred_equal_asks_are_one_build(gated: RealBuilds) -> None:
    callers = [Caller(f"user-{number}", admin=True) for number in range(100)]
    answers = await asyncio.gather(*(gated.builds.ensure(MAIN, caller) for caller in callers))
    assert len({build.id for build, _ in answers}) == 1
    assert [is_new for _, is_new in answers].count(True) == 1
    assert len(gated.provider.asked) == 1, "they share the question as well"
    build = answers[0][0]
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY
    assert gated.builder.runs == [build.id]
    assert set(await gated.store.requesters(build.id)) == {caller.name for caller in callers}


async def test_different_refs_of_one_commit_join(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), provider=TableProvider(v1=commit(1), other=commit(2)))
    builds = await asyncio.gather(real_builds.ask(ref="main"), real_builds.ask(BOB, "v1"), real_builds.ask(CAROL, "other"))
    assert builds[0].id == builds[1].id != builds[2].id
    open_gate(real_builds)
    for build in builds:
        await real_builds.end_of(build)


async def test_a_requester_who_goes_away_while_the_ref_is_looked_up_takes_nobody_along(gated: RealBuilds) -> None:
    gated.provider.gate = asyncio.Event()
    first, second = asyncio.create_task(gated.ask()), asyncio.create_task(gated.ask(BOB))
    await until(lambda: gated.provider.asked, "the question")
    first.cancel()
    gated.provider.gate.set()
    build = await second
    assert build.owner == "bob"
    open_gate(gated)
    await gated.end_of(build)


async def test_what_is_there_is_found_without_building(real_builds: RealBuilds) -> None:
    first = await real_builds.end_of(await real_builds.ask())
    again, is_new = await real_builds.builds.ensure(MAIN, BOB)
    assert (again.id, again.state, is_new) == (first.id, State.READY, False)
    assert await real_builds.store.requesters(first.id) == {"alice": True, "bob": True}
    assert real_builds.builder.runs == [first.id]


async def test_who_asks_for_what_is_there_waits_for_nobody_else_who_does(real_builds: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await real_builds.end_of(await real_builds.ask())
    both = asyncio.Barrier(2)

    async def exists(name: str) -> Image | None:
        async with within():
            await both.wait()
        return real_builds.images.there.get(name)

    monkeypatch.setattr(real_builds.images, "exists", exists)
    assert [build.id for build in await asyncio.gather(real_builds.ask(), real_builds.ask(BOB))] == [first.id] * 2


async def test_another_image_of_the_same_name_is_recorded_anew(real_builds: RealBuilds) -> None:
    done = await real_builds.end_of(await real_builds.ask())
    real_builds.images.there[done.image.name] = replace(done.image, digest="sha256:another")
    found = await real_builds.ask()
    assert (found.id != done.id, found.state, found.image.reference) == (True, State.READY, f"{done.image.name}@sha256:another")
    assert (await real_builds.ask()).id == found.id


async def test_an_image_that_nobody_remembers_building_is_found_and_recorded(real_builds: RealBuilds) -> None:
    source = await real_builds.provider.resolve(MAIN)
    name = real_builds.images.name_for(source)
    real_builds.images.there[name] = Image(name, "key")
    build, is_new = await real_builds.builds.ensure(MAIN, ALICE)
    assert (build.state, is_new, real_builds.builder.runs) == (State.READY, False, [])
    events = await real_builds.event_log(build)
    assert_whole(events)
    assert told(events) == ["done", "ready"]
    assert (await real_builds.ask(BOB)).id == build.id


async def test_an_image_that_was_removed_is_built_again(real_builds: RealBuilds) -> None:
    first = await real_builds.end_of(await real_builds.ask())
    await real_builds.images.delete(first.image.name)
    second = await real_builds.ask()
    assert second.id != first.id
    assert (await real_builds.end_of(second)).state is State.READY


async def test_a_failed_build_is_not_remembered_as_an_answer(real_builds: RealBuilds) -> None:
    real_builds.builder.error = BuildFailed("No.")
    first = await real_builds.end_of(await real_builds.ask())
    real_builds.builder.error = None
    second = await real_builds.end_of(await real_builds.ask())
    assert (first.state, second.state) == (State.FAILED, State.READY)


@pytest.fixture
def trying(make: Callable[..., RealBuilds]) -> RealBuilds:
    """Builds that make their image, tell so, and wait at a gate until they know whether servers start from it."""
    return make(builder=FakeBuilder(gate=asyncio.Event(), tries=True))


async def made(trying: RealBuilds) -> tuple[Build, Event]:
    """Return a build whose image was just told, and the event that told it."""
    build = await trying.ask()
    async with within(), aclosing(trying.builds.follow(build.id, ALICE)) as batches:
        async for batch in batches:
            for event in batch:
                if event.kind is Kind.PHASE and "image" in event.payload:
                    return await trying.builds.get(build.id, ALICE), event
    raise AssertionError("no image was told")


REFUSED = BuildFailed("It starts no server.", code="no_singleuser")


async def test_an_image_is_told_before_it_is_known_whether_servers_start_from_it(trying: RealBuilds) -> None:
    build, event = await made(trying)
    assert (build.state, build.phase, build.image.environment) == (State.RUNNING, Phase.BUILDING, "key")
    assert (event.payload["image"], event.payload["phase"]) == (build.image.reference, "building")
    assert (await trying.ask(BOB)).id == build.id, "who asks now joins, and reads the same event"
    open_gate(trying)
    assert (await trying.end_of(build)).state is State.READY


async def test_an_image_that_starts_no_server_is_taken_away(trying: RealBuilds) -> None:
    build, _ = await made(trying)
    trying.builder.error = REFUSED
    open_gate(trying)
    assert (await trying.end_of(build)).error == REFUSED.as_dict()
    assert not trying.images.there
    assert (await trying.ask()).id != build.id


async def test_an_image_of_a_build_that_ends_while_nobody_follows_it_is_taken_away(trying: RealBuilds) -> None:
    build, _ = await made(trying)
    again = await trying.again()
    again.builder.error = REFUSED
    await again.builds.resume()
    open_gate(again)
    assert (await again.end_of(build)).state is State.FAILED
    assert not again.images.there


async def test_who_asks_for_an_image_that_starts_no_server_and_is_in_use_is_told_at_once(trying: RealBuilds) -> None:
    build, _ = await made(trying)
    trying.images.used_by[build.image.name] = ("alice/",)
    trying.builder.error = REFUSED
    open_gate(trying)
    await trying.end_of(build)
    found, is_new = await trying.builds.ensure(MAIN, BOB)
    assert (found.id, found.state, is_new) == (build.id, State.FAILED, False)
    assert await trying.builds.get(build.id, BOB) == found, "Bob may read why"
    trying.builder.error = None
    assert (await trying.end_of(await trying.ask(force=True))).state is State.READY
    assert (await trying.ask(BOB)).state is State.READY


async def test_force_builds_again_but_joins_what_goes_on(gated: RealBuilds) -> None:
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


async def test_builds_wait_in_turn_between_people_and_are_told_so(make: Callable[..., RealBuilds]) -> None:
    refs = {name: commit(number) for number, name in enumerate("abcde", start=10)}
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1), provider=TableProvider(**refs))
    asked = [await real_builds.ask(caller, ref) for caller, ref in ((ALICE, "a"), (ALICE, "b"), (ALICE, "c"), (BOB, "d"), (CAROL, "e"))]
    a, b, c, d, e = asked
    places = {build.id: (real_builds.builds.queue_status(build.id) or {}).get("position") for build in asked}
    assert places == {a.id: None, b.id: 1, d.id: 2, e.id: 3, c.id: 4}
    assert real_builds.builds.counts() == {"queued": 4, "running": 1, "followers": 0}
    open_gate(real_builds)
    for build in asked:
        await real_builds.end_of(build)
    assert real_builds.builder.runs == [a.id, b.id, d.id, e.id, c.id]
    told_c = [event.payload["position"] for event in await real_builds.event_log(c) if event.kind is Kind.QUEUE]
    assert told_c == [2, 3, 4, 3, 2, 1]
    assert_whole(await real_builds.event_log(c))


async def test_far_behind_a_place_is_told_when_it_has_changed_by_a_fifth_and_near_the_end_each_time(make: Callable[..., RealBuilds]) -> None:
    refs = {f"r{number}": commit(number) for number in range(21)}
    real = make(provider=TableProvider(**refs), builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1))
    asked = [await real.ask(ref=ref) for ref in refs]
    for number, build in enumerate(asked[1:-1], start=1):
        await real.builds.cancel(build.id, ALICE)
        assert (real.builds.queue_status(asked[-1].id) or {})["position"] == 20 - number, "who asks is told exactly"
    open_gate(real)
    for build in asked:
        await real.end_of(build)
    places = [event.payload["position"] for event in await real.event_log(asked[-1]) if event.kind is Kind.QUEUE]
    assert places == [20, 17, 14, 12, 10, *range(9, 0, -1)]


async def test_no_more_run_than_may(make: Callable[..., RealBuilds]) -> None:
    refs = {f"r{number}": commit(100 + number) for number in range(8)}
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=2), provider=TableProvider(**refs))
    asked = [await real_builds.ask(ref=ref) for ref in refs]
    await until(lambda: len(real_builds.builder.runs) == 2, "two builds")
    running: list[int] = []
    real_builds.builder.made = lambda build: (running.append(real_builds.builds.counts()["running"]), real_builds.made(build))[1]
    open_gate(real_builds)
    for build in asked:
        await real_builds.end_of(build)
    assert len(running) == 8
    assert max(running) == 2


async def test_what_is_there_never_waits(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(limits=BuildLimits(running=1), provider=TableProvider(a=commit(2), b=commit(3)))
    ready = await real_builds.end_of(await real_builds.ask())
    real_builds.builder.gate = asyncio.Event()
    running, waiting = await real_builds.ask(ref="a"), await real_builds.ask(ref="b")
    assert (await real_builds.ask(BOB)).id == ready.id
    open_gate(real_builds)
    await real_builds.end_of(running)
    await real_builds.end_of(waiting)


async def test_waiting_ends_when_it_takes_too_long(make: Callable[..., RealBuilds]) -> None:
    limits = BuildLimits(running=1, queue_seconds=0.05)
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=limits, provider=TableProvider(a=commit(2)))
    running, waiting = await real_builds.ask(), await real_builds.ask(ref="a")
    done = await real_builds.end_of(waiting)
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "queue_timeout")
    assert_whole(await real_builds.event_log(waiting))
    open_gate(real_builds)
    assert (await real_builds.end_of(running)).state is State.READY
    assert real_builds.builder.runs == [running.id]


async def test_running_ends_when_it_takes_too_long(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(build_seconds=0.05))
    done = await real_builds.end_of(await real_builds.ask())
    assert (done.state, (done.error or {})["code"]) == (State.FAILED, "build_timeout")
    assert real_builds.builder.stopped == [done.id]


# Cancelling


async def test_a_waiting_build_is_cancelled(gated: RealBuilds) -> None:
    running = await gated.ask()
    gated.provider.refs["a"] = commit(2)
    waiting = await gated.ask(ref="a")
    done = await gated.builds.cancel(waiting.id, ALICE)
    assert (done.state, (done.error or {})["code"]) == (State.CANCELLED, "cancelled")
    assert_whole(await gated.event_log(waiting))
    open_gate(gated)
    await gated.end_of(running)
    assert gated.builder.runs == [running.id]


async def test_a_running_build_is_stopped_and_the_next_begins(gated: RealBuilds) -> None:
    running = await gated.ask()
    gated.provider.refs["a"] = commit(2)
    waiting = await gated.ask(ref="a")
    await gated.reach(running, State.RUNNING)
    done = await gated.builds.cancel(running.id, ALICE)
    assert (done.state, gated.builder.stopped) == (State.CANCELLED, [running.id])
    assert_whole(await gated.event_log(running))
    open_gate(gated)
    assert (await gated.end_of(waiting)).state is State.READY


async def test_a_build_is_cancelled_before_it_took_its_first_step(gated: RealBuilds) -> None:
    build = await gated.ask()
    async with within():
        done = await gated.builds.cancel(build.id, ADMIN)
    assert done.state is State.CANCELLED
    assert_whole(await gated.event_log(build))
    assert gated.builds.counts()["running"] == 0


async def test_cancelling_twice_at_once_is_cancelling_once(gated: RealBuilds) -> None:
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    first, second = await asyncio.gather(gated.builds.cancel(build.id, ALICE), gated.builds.cancel(build.id, ADMIN), return_exceptions=True)
    assert {getattr(first, "state", None), getattr(second, "state", None)} == {State.CANCELLED}
    assert gated.builder.stopped == [build.id]
    assert_whole(await gated.event_log(build))


async def test_what_has_ended_cannot_be_cancelled(real_builds: RealBuilds) -> None:
    build = await real_builds.end_of(await real_builds.ask())
    with pytest.raises(Conflict) as caught:
        await real_builds.builds.cancel(build.id, ALICE)
    assert caught.value.code == "build_ended"
    assert (await real_builds.builds.get(build.id, ALICE)).state is State.READY


@pytest.mark.parametrize("canceller", [ALICE, ADMIN, CANCELLER])
async def test_the_owner_an_admin_and_who_has_the_scope_end_a_shared_build(gated: RealBuilds, canceller: Caller) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    await gated.reach(build, State.RUNNING)
    assert (await gated.builds.cancel(build.id, canceller)).state is State.CANCELLED


async def test_another_requester_only_takes_the_own_wish_back(gated: RealBuilds) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    assert not (await gated.builds.cancel(build.id, BOB)).state.ended
    assert await gated.store.requesters(build.id) == {"alice": True, "bob": False}
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY


async def test_a_build_ends_when_the_last_wish_is_taken_back(gated: RealBuilds) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    await gated.reach(build, State.RUNNING)
    assert not (await gated.builds.withdraw(build.id, ALICE)).state.ended, "bob still wants it"
    assert (await gated.builds.withdraw(build.id, BOB)).state is State.CANCELLED


async def test_a_wish_can_be_renewed(gated: RealBuilds) -> None:
    build = await gated.ask(ALICE)
    await gated.ask(BOB)
    await gated.builds.withdraw(build.id, ALICE)
    await gated.ask(ALICE)
    assert not (await gated.builds.withdraw(build.id, BOB)).state.ended
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY


async def test_a_wish_for_what_has_ended_can_be_taken_back_to_no_effect(real_builds: RealBuilds) -> None:
    build = await real_builds.end_of(await real_builds.ask())
    assert (await real_builds.builds.withdraw(build.id, ALICE)).state is State.READY


async def test_who_did_not_ask_has_no_wish_to_take_back(gated: RealBuilds) -> None:
    build = await gated.ask(ALICE)
    for caller in (BOB, READER):
        with pytest.raises(NotAllowed):
            await gated.builds.withdraw(build.id, caller)
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY


@pytest.mark.parametrize("waits", [False, True], ids=["running", "waiting"])
async def test_an_ask_while_its_build_is_being_cancelled_begins_a_new_one(gated: RealBuilds, waits: bool) -> None:
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
    assert_whole(await gated.event_log(build))
    if before:
        await gated.end_of(before)


async def test_an_ask_waits_for_the_cancelled_build_to_be_gone(gated: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    gated.provider.refs["a"] = commit(2)
    first, second = await gated.ask(), await gated.ask(ref="a")
    monkeypatch.setattr("binderhub_service.builds.event_log._FIRST_RETRY_SECONDS", 0.01)
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


async def test_requesters_readers_and_admins_may_read_and_nobody_else(real_builds: RealBuilds) -> None:
    build = await real_builds.end_of(await real_builds.ask(ALICE))
    await real_builds.ask(BOB)
    for caller in (ALICE, BOB, READER, CANCELLER, ADMIN):
        assert (await real_builds.builds.get(build.id, caller)).id == build.id
        assert_whole(await whole(real_builds.builds.follow(build.id, caller)))
        assert_whole(await whole(real_builds.builds.events_so_far(build.id, caller)))
    for call in (
        real_builds.builds.get(build.id, CAROL),
        whole(real_builds.builds.follow(build.id, CAROL)),
        whole(real_builds.builds.events_so_far(build.id, CAROL)),
        real_builds.builds.cancel(build.id, CAROL),
        real_builds.builds.withdraw(build.id, CAROL),
    ):
        with pytest.raises(NotAllowed):
            await call


# Whose builds they are


def account(caller: Caller, created: datetime) -> Caller:
    return replace(caller, created=created)


async def test_who_takes_a_deleted_persons_name_sees_and_ends_nothing(gated: RealBuilds) -> None:
    old = account(ALICE, DAY)
    build = await gated.ask(old)
    late = account(ALICE, now())
    assert await gated.builds.list(late) == []
    for call in (gated.builds.get, gated.builds.cancel, gated.builds.withdraw):
        with pytest.raises(NotAllowed):
            await call(build.id, late)
    assert (await gated.ask(late)).id == (await gated.ask(BOB)).id == (await gated.builds.get(build.id, old)).id
    assert not (await gated.builds.cancel(build.id, late)).state.ended, "others want it, and the first of that name owns it"
    assert (await gated.builds.cancel(build.id, old)).state is State.CANCELLED


async def test_what_was_asked_for_by_name_is_the_accounts_unless_it_is_older(make: Callable[..., RealBuilds]) -> None:
    """An earlier version, or a hub that does not tell: the names alone are stored."""
    real_builds = make(provider=TableProvider(a=commit(2)))
    older = await real_builds.end_of(await real_builds.ask(ALICE))
    alice = account(ALICE, now())
    newer = await real_builds.end_of(await real_builds.ask(ALICE, "a"))
    assert [build.id for build in await real_builds.builds.list(alice)] == [newer.id]
    assert (await real_builds.builds.get(newer.id, alice)).id == newer.id
    with pytest.raises(NotAllowed):
        await real_builds.builds.get(older.id, alice)


@pytest.mark.parametrize("kept", [0, 1])
async def test_a_hub_whose_database_keeps_whole_seconds_tells_another_time_after_its_next_start(real_builds: RealBuilds, kept: int) -> None:
    build = await real_builds.end_of(await real_builds.ask(account(ALICE, DAY + timedelta(seconds=0.6))))
    again = await real_builds.again()
    for seconds, sees in ((kept, True), (kept + 2, False), (kept - 2, False)):
        listed = await again.builds.list(account(ALICE, DAY + timedelta(seconds=seconds)))
        assert bool(listed) is sees
    assert (await again.builds.get(build.id, account(ALICE, DAY + timedelta(seconds=kept)))).id == build.id


async def test_a_renamed_account_keeps_its_builds_and_its_name_has_none(real_builds: RealBuilds) -> None:
    alice = account(ALICE, DAY)
    build = await real_builds.end_of(await real_builds.ask(alice))
    alicia = replace(alice, name="alicia")
    await real_builds.builds.note_rename(alice.account, alicia.account)
    assert [one.id for one in await real_builds.builds.list(alicia)] == [build.id]
    assert await real_builds.builds.list(account(ALICE, now())) == []


async def test_a_build_that_is_not_there_is_not_found(real_builds: RealBuilds) -> None:
    for call in (
        real_builds.builds.get("b0", ADMIN),
        whole(real_builds.builds.follow("b0", ADMIN)),
        real_builds.builds.cancel("b0", ADMIN),
        real_builds.builds.withdraw("b0", ADMIN),
    ):
        with pytest.raises(NotFound) as caught:
            await call
        assert caught.value.code == "build_not_found"


async def test_lists_hold_what_one_asked_for_or_everything(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(provider=TableProvider(a=commit(2), b=commit(3)))
    main, a, b = [await real_builds.end_of(await real_builds.ask(caller, ref)) for caller, ref in ((ALICE, "main"), (ALICE, "a"), (BOB, "b"))]
    await real_builds.ask(BOB, "main")
    assert {build.id for build in await real_builds.builds.list(ALICE)} == {main.id, a.id}
    assert {build.id for build in await real_builds.builds.list(BOB)} == {main.id, b.id}
    assert len(await real_builds.builds.list(READER)) == len(await real_builds.builds.list(ADMIN)) == 3
    assert await real_builds.builds.list(CAROL) == []
    assert [build.id for build in await real_builds.builds.list(ADMIN, owner="bob", state="ready", repo=REPO)] == [b.id]


async def test_a_list_shows_the_state_of_now(gated: RealBuilds) -> None:
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    assert [(one.id, one.state) for one in await gated.builds.list(ALICE)] == [(build.id, State.RUNNING)]
    open_gate(gated)
    await gated.end_of(build)


# Followers


async def test_followers_get_the_same_event_log_whenever_they_come(make: Callable[..., RealBuilds]) -> None:
    real_builds = make(builder=FakeBuilder([f"line {number}" for number in range(3000)], gate=asyncio.Event()))
    build = await real_builds.ask()
    early = asyncio.create_task(whole(real_builds.builds.follow(build.id, ALICE)))
    await until(lambda: real_builds.builder.runs, "the build")
    middle = asyncio.create_task(whole(real_builds.builds.follow(build.id, ALICE)))
    resumed = asyncio.create_task(whole(real_builds.builds.follow(build.id, ALICE, after=1500)))
    gone = real_builds.builds.follow(build.id, ALICE)
    await anext(gone)
    await gone.aclose()
    open_gate(real_builds)
    await real_builds.end_of(build)
    late = await real_builds.event_log(build)
    assert_whole(late)
    assert [text for text in told(late) if str(text).startswith("line")] == [f"line {number}" for number in range(3000)]
    assert await early == await middle == late
    assert await resumed == late[1500:]
    assert real_builds.builds.counts()["followers"] == 0


async def test_the_event_log_so_far_does_not_wait_for_more(gated: RealBuilds) -> None:
    build = await gated.ask()
    async with within():
        while "made by nobody" not in told(await whole(gated.builds.events_so_far(build.id, ALICE))):
            await asyncio.sleep(0.01)
    open_gate(gated)
    await gated.end_of(build)


# Living on


async def test_a_running_build_goes_on_after_a_restart(gated: RealBuilds) -> None:
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    again = await gated.again()
    assert gated.builder.stopped == gated.builder.forgotten == [], "nobody ended it"
    assert await again.builds.resume() == 1
    following = asyncio.create_task(again.event_log(build))
    assert (await again.ask(BOB)).id == build.id, "it can be joined again"
    open_gate(again)
    assert (await again.end_of(build)).state is State.READY
    events = await following
    assert_whole(events)
    assert Counter(told(events)) == Counter(["fetching", "building", "made by nobody", "done", "ready"]), "nothing twice"


async def test_waiting_builds_wait_again_after_a_restart(make: Callable[..., RealBuilds]) -> None:
    provider = TableProvider(a=commit(2), b=commit(3))
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1), provider=provider)
    builds = [await real_builds.ask(ref=ref) for ref in ("main", "a", "b")]
    await real_builds.reach(builds[0], State.RUNNING)
    again = await real_builds.again()
    assert real_builds.builder.runs == [builds[0].id], "stopping starts nobody"
    assert await again.builds.resume() == 3
    assert again.builds.counts() | {"followers": 0} == {"queued": 2, "running": 1, "followers": 0}
    open_gate(again)
    for build in builds:
        assert (await again.end_of(build)).state is State.READY
        assert_whole(await again.event_log(build))


async def test_running_builds_are_resumed_before_older_ones_that_wait(make: Callable[..., RealBuilds]) -> None:
    provider = TableProvider(a=commit(2), b=commit(3))
    real_builds = make(builder=FakeBuilder(gate=asyncio.Event()), limits=BuildLimits(running=1), provider=provider)
    first, waiting, younger = await real_builds.ask(ref="main"), await real_builds.ask(ref="a"), await real_builds.ask(BOB, "b")
    await real_builds.reach(first, State.RUNNING)
    await real_builds.builds.cancel(first.id, ALICE)
    await real_builds.builds.cancel(waiting.id, ALICE)
    waiting = await real_builds.ask(CAROL, "a")
    older = await real_builds.store.get(waiting.id)
    assert older
    await real_builds.reach(younger, State.RUNNING)
    # bob's build runs; make carol's the older one
    again = await real_builds.again()
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


async def test_nothing_is_resumed_that_has_ended(real_builds: RealBuilds) -> None:
    await real_builds.end_of(await real_builds.ask())
    again = await real_builds.again()
    assert await again.builds.resume() == 0


async def test_closing_at_the_very_end_of_a_build_waits_for_it(real_builds: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    leave = asyncio.Event()
    forget = real_builds.builder.forget

    async def slow(build: Build) -> None:
        await leave.wait()
        await forget(build)

    monkeypatch.setattr(real_builds.builder, "forget", slow)
    build = await real_builds.ask()
    await until(lambda: real_builds.ended, "the end")
    closing = asyncio.create_task(real_builds.builds.close())
    await asyncio.sleep(0)
    leave.set()
    async with within():
        await closing
    assert real_builds.builder.forgotten == [build.id]


async def test_an_ask_that_is_being_resolved_while_the_service_stops_is_told_so(real_builds: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = asyncio.Event()

    async def resolve(_request: Request) -> Source:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(real_builds.provider, "resolve", resolve)
    asking = asyncio.create_task(real_builds.ask())
    await asked.wait()
    await real_builds.builds.close()
    with pytest.raises(Unavailable, match="stopping"):
        await asking
    with pytest.raises(Unavailable, match="stopping"):
        await real_builds.ask()


@pytest.mark.parametrize("state", ["begun", "running", "cancelling"])
async def test_a_service_that_stops_at_any_moment_leaves_a_build_that_ends_once(gated: RealBuilds, state: str) -> None:
    build = await gated.ask()
    if state != "begun":
        await gated.reach(build, State.RUNNING)
    cancelling = asyncio.create_task(gated.builds.cancel(build.id, ADMIN)) if state == "cancelling" else None
    await asyncio.sleep(0)
    again = await gated.again()
    await again.builds.resume()
    open_gate(again)
    await whole(again.builds.follow(build.id, ADMIN))
    events = await again.event_log(build)
    assert_whole(events)
    if cancelling:
        with contextlib.suppress(BinderError):
            await cancelling


# A database that comes and goes


async def test_a_database_that_is_away_during_a_build_loses_nothing(gated: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.builds.event_log._FIRST_RETRY_SECONDS", 0.01)
    build = await gated.ask()
    following = asyncio.create_task(gated.event_log(build))
    await gated.reach(build, State.RUNNING)
    gated.store.away = 4
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY
    assert gated.store.away == 0
    assert_whole(await following)
    assert told(await following) == ["fetching", "building", "made by nobody", "done", "ready"]
    assert await whole(gated.builds.events_so_far(build.id, ADMIN)) == await following


async def test_a_database_whose_answer_is_lost_loses_and_doubles_nothing(gated: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.builds.event_log._FIRST_RETRY_SECONDS", 0.01)
    build = await gated.ask()
    await gated.reach(build, State.RUNNING)
    gated.store.answers_lost = 2
    open_gate(gated)
    assert (await gated.end_of(build)).state is State.READY
    assert told(await gated.event_log(build)) == ["fetching", "building", "made by nobody", "done", "ready"]


async def test_an_ask_that_the_database_did_not_take_leaves_nothing_in_the_way(real_builds: RealBuilds, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever call finds it away, the next ask works."""

    async def away(*arguments: Any, **more: Any) -> Any:
        raise Unavailable("Away.", code="store_unavailable")

    for number, name in enumerate(["create", "typical_seconds", "newest_ready", "set_requester", "note_use"]):
        real_builds.provider.refs["r"] = commit(100 + number)
        with monkeypatch.context() as patch:
            patch.setattr(real_builds.store, name, away)
            with contextlib.suppress(Unavailable):
                await real_builds.ask(ref="r")
        async with within():
            assert (await real_builds.end_of(await real_builds.ask(BOB, "r"))).state is State.READY, name


async def test_on_a_full_disk_an_image_is_given_to_those_who_asked_for_it_before(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*arguments: Any) -> None:
        raise Unavailable("Full.", code="disk_full")

    store = CachingStore(store_url)
    await store.open()
    real = RealBuilds(store)
    made = await real.end_of(await real.ask())
    monkeypatch.setattr(store, "write", full)
    assert await real.ask() == made
    with pytest.raises(Unavailable, match="Full"):
        await real.ask(BOB)
    await real.builds.close()
    await store.close()


# What the database is asked


async def _transactions(url: str, asks: int, limits: BuildLimits) -> int:
    """Return how many transactions it takes to make so many builds, of a person each, with a store as the service has it."""
    store, gate, transactions = CachingStore(url), asyncio.Event(), Counter[str]()
    await store.open()
    sa.event.listen(store._engine, "begin", lambda _: transactions.update(("begun",)))
    real = RealBuilds(store, builder=FakeBuilder(lines=["one", "two"], gate=gate, tries=True), limits=limits)
    real.provider.refs = {f"r{number}": commit(number) for number in range(asks)}
    for number in range(asks):
        await real.ask(Caller(f"person-{number}", scopes=ALICE.scopes), f"r{number}")
    gate.set()
    await until(lambda: len(real.ended) == asks, "the end of all builds")
    await real.builds.close()
    await store.close()
    return transactions["begun"]


async def test_a_build_takes_at_most_seven_transactions(store_url: str) -> None:
    """Is there an image, and how long may it take, which are three reads; then it is created, begins, is made, and ends."""
    assert await _transactions(store_url, 1, BuildLimits()) <= 7


async def test_a_build_that_waits_with_forty_others_takes_no_more(store_url: str) -> None:
    """Each is told a dozen times where it stands, and so is everybody at the same moment."""
    assert await _transactions(store_url, 40, BuildLimits(running=4)) <= 7 * 40
