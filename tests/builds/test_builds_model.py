"""Whatever is asked, cancelled, told, lost, deleted and restarted, in whatever order: the promises about builds hold.

A machine of Hypothesis plays people, build processes and kills against `Builds` on a real database. The outside world
(`World`) goes on when the service is killed; the service's own memory does not. Every call of the store and the builder
takes some turns of the loop, and every rule lets the loop take a number of turns that Hypothesis chooses, so asks,
ends and kills meet in the middle of each other.

BINDER_TEST_EXAMPLES=2000 plays more than the few of every run; BINDER_TEST_SEED=n plays others.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from binderhub_service.builders.base import Builder
from binderhub_service.builds.builds import Builds
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.errors import BuildFailed, Conflict, NotAllowed
from binderhub_service.images.fake import FakeImages
from binderhub_service.models import Build, Caller, Event, Image, Kind, Phase, Report, Request, State
from binderhub_service.store.store import Store
from tests.harness.empty_database import write_empty_database
from tests.harness.records import ADMIN, ALICE, BOB, CAROL, TableProvider, commit

T = TypeVar("T")
REPO = "https://git.example.org/o/r"
REFS = {"one": commit(1), "two": commit(2), "three": commit(3), "same-as-one": commit(1)}
RUNNING = 2
TURNS_TO_SETTLE = 3000

people = st.sampled_from([ALICE, BOB, CAROL])
refs = st.sampled_from(sorted(REFS))
turns = st.integers(0, 60)
which = st.integers(0, 50)


@dataclass
class BuildJob:
    """A build's process: what it told and how it ended; None while it goes on."""

    image: str
    lines: list[str] = field(default_factory=list)
    outcome: str | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def become(self, outcome: str) -> None:
        """End."""
        self.outcome = outcome
        self.changed.set()


@dataclass
class World:
    """All build processes and images; no restart of the service changes anything here."""

    images: FakeImages = field(default_factory=FakeImages)
    jobs: dict[str, BuildJob] = field(default_factory=dict)
    forgotten: set[str] = field(default_factory=set)

    def running(self) -> list[BuildJob]:
        """Return the processes that live."""
        return [job for job in self.jobs.values() if job.outcome is None]

    def start(self, build: Build) -> BuildJob:
        """Start a build's process."""
        assert build.id not in self.forgotten, "a build that has ended is made again"
        assert build.image.name not in {job.image for job in self.running()}, "the same thing is made twice at the same time"
        self.jobs[build.id] = BuildJob(build.image.name)
        assert len(self.running()) <= RUNNING, "more run than may"
        return self.jobs[build.id]


class Lifetime:
    """One life of the service; once it is over, none of its calls has an effect or comes back."""

    over = False

    async def turn(self) -> None:
        """Take a turn of the loop, or stop for ever."""
        if self.over:
            await asyncio.Future()
        await asyncio.sleep(0)


class TurningStore(Store):
    """A store whose every answer takes turns of the loop, before and after what it does."""

    def __init__(self, url: str, life: Lifetime) -> None:
        super().__init__(url)
        self._life = life

    async def _run(self, work: Callable[[], T], limit_seconds: float | None = None) -> T:
        await self._life.turn()
        await self._life.turn()
        if self._life.over:
            await asyncio.Future()
        answer = work()
        await self._life.turn()
        return answer


class WorldBuilder(Builder):
    """Starts and follows the world's processes."""

    def __init__(self, world: World, life: Lifetime) -> None:
        self._world = world
        self._life = life

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Yield lines; the cursor is their number."""
        await self._life.turn()
        job = self._world.jobs.get(build.id) or self._world.start(build)
        told = int(after or 0)
        while True:
            job.changed.clear()
            for line in job.lines[told:]:
                told += 1
                yield Report(Kind.LOG, {"text": line}, cursor=str(told))
            if job.outcome and told == len(job.lines):
                break
            if told == len(job.lines):
                await job.changed.wait()
            await self._life.turn()
        if job.outcome == "failed":
            raise BuildFailed("It failed.")
        if job.outcome != "made":
            raise BuildFailed("It is gone.", code="builder_lost")

    async def stop(self, build: Build) -> None:
        """End the process."""
        await self._life.turn()
        job = self._world.jobs.get(build.id)
        if job and job.outcome is None:
            job.become("stopped")
        await self._life.turn()

    async def forget(self, build: Build) -> None:
        """Note it."""
        self._world.forgotten.add(build.id)
        await self._life.turn()


def read(what: Coroutine[Any, Any, T]) -> T:
    """Return the answer of a `TurningStore`, taking no turns of anybody's loop."""
    while True:
        try:
            what.send(None)
        except StopIteration as end:
            answer: T = end.value
            return answer


class Machine(RuleBasedStateMachine):
    """People, processes and kills."""

    def __init__(self) -> None:
        super().__init__()
        self.patches = contextlib.ExitStack()
        self.patches.enter_context(mock.patch("binderhub_service.builds.event_log._BATCH_SECONDS", 0))
        self.runner = asyncio.Runner()
        self.folder = Path(tempfile.mkdtemp(prefix="builds-model-"))
        write_empty_database(self.folder / "s")
        self.world = World()
        self.known: list[str] = []  # ids of builds that somebody was told
        self.cancelled: set[str] = set()  # that somebody who may end them for all wanted to end
        self.given_up: dict[str, set[str]] = {}  # who took a wish back, by build
        self.wanting: dict[str, set[str]] = {}  # whose last word was an ask, by build
        self.ended: dict[str, Build] = {}
        self.calls: set[asyncio.Task[Any]] = set()
        self.reader = TurningStore(f"sqlite:///{self.folder / 's'}", Lifetime())
        self.runner.run(self.begin())

    # --- lives -------------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Begin a life of the service."""
        self.life = Lifetime()
        self.store = TurningStore(f"sqlite:///{self.folder / 's'}", self.life)
        self.provider = TableProvider(**REFS)
        self.builds = Builds(
            store=self.store,
            providers=[self.provider],
            images=self.world.images,
            builder=WorldBuilder(self.world, self.life),
            limits=BuildLimits(running=RUNNING),
        )
        await self.builds.resume()

    async def end(self) -> None:
        """End this life at once: nothing of it is left but what is stored."""
        self.life.over = True
        self.calls.clear()
        me = asyncio.current_task()
        while others := [task for task in asyncio.all_tasks() if task is not me]:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        self.store._engine.dispose()
        self.store._calls.close()

    def let(self, count: int) -> None:
        """Let the loop take turns."""

        async def turning() -> None:
            for _ in range(count):
                await asyncio.sleep(0)

        self.runner.run(turning())

    def call(self, what: Coroutine[Any, Any, T], then: Callable[[T], None] = lambda answer: None) -> None:
        """Begin a call of the API; `then` takes its answer, if the service lives to give it."""

        async def calling() -> None:
            with contextlib.suppress(Conflict, NotAllowed):
                then(await what)

        async def begin() -> None:
            self.calls.add(asyncio.create_task(calling()))

        self.runner.run(begin())

    def some(self, number: int) -> str:
        """Return the id of a build that somebody was told of."""
        return self.known[number % len(self.known)]

    # --- people ------------------------------------------------------------------------------------------------------

    @rule(person=people, ref=refs, force=st.booleans(), count=turns)
    def ask(self, person: Caller, ref: str, force: bool, count: int) -> None:
        def answered(answer: tuple[Build, bool]) -> None:
            build, _ = answer
            if build.id not in self.known:
                self.known.append(build.id)
            self.wanting.setdefault(build.id, set()).add(person.name)
            self.given_up.get(build.id, set()).discard(person.name)

        self.call(self.builds.ensure(Request(REPO, ref), person, force=force), answered)
        self.let(count)

    @rule(person=people, ref=refs)
    def ask_when_all_is_quiet(self, person: Caller, ref: str) -> None:
        """Then it is known what the answer is."""
        self.settle()
        name = self.world.images.name_for(self.runner.run(self.provider.resolve(Request(REPO, ref))))
        going_on = {build.image.name: build.id for build in self.stored() if not build.state.ended}
        build, is_new = self.runner.run(self.builds.ensure(Request(REPO, ref), person))
        self.known.append(build.id) if build.id not in self.known else None
        self.wanting.setdefault(build.id, set()).add(person.name)
        self.given_up.get(build.id, set()).discard(person.name)
        if name in going_on:
            assert (build.id, is_new) == (going_on[name], False)
        elif name in self.world.images.there:
            assert (build.state, is_new) == (State.READY, False)
        else:
            assert is_new

    @precondition(lambda self: self.known)
    @rule(number=which, person=st.sampled_from([ALICE, BOB, CAROL, ADMIN]), count=turns, for_all=st.booleans())
    def give_up(self, number: int, person: Caller, count: int, for_all: bool) -> None:
        build_id = self.some(number)
        self.wanting.setdefault(build_id, set()).discard(person.name)
        self.given_up.setdefault(build_id, set()).add(person.name)
        owner = next(build.owner for build in self.stored() if build.id == build_id)
        if for_all and person.name in {owner, ADMIN.name}:
            self.cancelled.add(build_id)
        self.call(self.builds.cancel(build_id, person) if for_all else self.builds.withdraw(build_id, person))
        self.let(count)

    @rule(ref=refs, count=turns)
    def delete_an_image(self, ref: str, count: int) -> None:
        name = self.world.images.name_for(self.runner.run(self.provider.resolve(Request(REPO, ref))))
        self.call(self.builds.delete_image(name))
        self.let(count)

    # --- processes ---------------------------------------------------------------------------------------------------

    @precondition(lambda self: self.world.running())
    @rule(number=which, count=turns, outcome=st.sampled_from(["made", "made", "failed", "lost", None]))
    def a_process_goes_on(self, number: int, count: int, outcome: str | None) -> None:
        running = self.world.running()
        job = running[number % len(running)]
        job.lines.append(f"line {len(job.lines) + 1}")
        job.changed.set()
        if outcome:
            self.finish(job, outcome)
        self.let(count)

    def finish(self, job: BuildJob, outcome: str) -> None:
        """End a process."""
        if outcome == "made":
            self.world.images.there[job.image] = Image(job.image, environment="key")
        job.become(outcome)

    # --- restarts ----------------------------------------------------------------------------------------------------

    @rule()
    def kill_and_start(self) -> None:
        self.runner.run(self.end())
        self.runner.run(self.begin())

    @rule(late=which)
    def stop_and_start(self, late: int) -> None:
        """In good order: what is asked meanwhile may be answered or not, and is never half done."""
        self.call(self.builds.ensure(Request(REPO, sorted(REFS)[late % len(REFS)]), ALICE))
        self.let(late % 7)
        self.runner.run(self.builds.close())
        self.kill_and_start()

    # --- what holds --------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that happens by itself."""

        async def quiet() -> None:
            for _ in range(TURNS_TO_SETTLE):
                await asyncio.sleep(0)
                if not any(not task.done() for task in self.calls):
                    break
            for _ in range(50):
                await asyncio.sleep(0)
            assert all(task.done() for task in self.calls), "a call is never answered"
            for task in self.calls:
                task.result()
            self.calls.clear()

        self.runner.run(quiet())

    def stored(self) -> list[Build]:
        """Return all builds as they are stored, read past the service."""
        return read(self.reader.newest(requester=None, filters={}, before=None, limit=10_000))

    @invariant()
    def promises(self) -> None:
        for build in self.stored():
            event_log = read(self.reader.events(build.id, 0, 10_000))
            self.check_events(build, event_log)
            if build.id in self.ended:
                assert build == self.ended[build.id], "a build changed after its end"
            elif build.state.ended:
                self.ended[build.id] = build
                self.check_end(build)

    def check_events(self, build: Build, event_log: Sequence[Event]) -> None:
        """Check that an event log has no gap and no double, and one end, at its end."""
        assert [event.number for event in event_log] == list(range(1, build.last_event + 1))
        ends = [event.number for event in event_log if event.kind is Kind.END]
        assert ends == ([build.last_event] if build.state.ended else [])
        job = self.world.jobs.get(build.id)
        told = [event.payload["text"] for event in event_log if event.kind is Kind.LOG]
        assert told == (job.lines[: len(told)] if job else [])
        if job and job.outcome in {"made", "failed", "lost"} and build.state in {State.READY, State.FAILED}:
            assert told == job.lines, "a line was lost"

    def check_end(self, build: Build) -> None:
        """Check that a build ended as the world says."""
        job = self.world.jobs.get(build.id)
        outcome = job.outcome if job else None
        if build.state is State.READY:
            assert outcome == "made" or job is None
            assert build.phase is Phase.DONE
        elif build.state is State.FAILED:
            code = (build.error or {})["code"]
            expected = {"failed": {"build_failed"}, "lost": {"builder_lost"}, "stopped": {"builder_lost"}, "made": {"image_missing"}}
            assert code in expected[outcome or ""], f"{code} after {outcome}"
            if outcome == "stopped":
                assert self.given_up.get(build.id), "a process was ended that nobody gave up"
        elif build.id not in self.cancelled:
            assert self.given_up.get(build.id), "cancelled by nobody"
            assert not self.wanting.get(build.id), f"cancelled while {self.wanting[build.id]} wants it"

    def teardown(self) -> None:
        """Let every process end and every build with it."""
        try:
            self.settle()
            for _ in range(100):
                for job in self.world.running():
                    self.finish(job, "made")
                self.settle()
                if all(build.state.ended for build in self.stored()):
                    break
            self.promises()
            stuck = [build for build in self.stored() if not build.state.ended]
            assert not stuck, f"builds never end: {stuck}"
            assert self.builds.counts() == {"queued": 0, "running": 0, "followers": 0}
            for build in self.stored():
                followed = self.runner.run(self.followed(build.id))
                assert followed == read(self.reader.events(build.id, 0, 10_000))
        finally:
            self.runner.run(self.end())
            self.runner.close()
            self.reader._engine.dispose()
            self.reader._calls.close()
            self.patches.close()
            shutil.rmtree(self.folder)

    async def followed(self, build_id: str) -> list[Event]:
        """Return an event log as a follower gets it."""
        return [event async for batch in self.builds.follow(build_id, ADMIN) for event in batch]


def test_the_promises_hold_whatever_happens_in_whatever_order() -> None:
    examples = int(os.environ.get("BINDER_TEST_EXAMPLES", "40"))
    chosen = os.environ.get("BINDER_TEST_SEED")
    machine = seed(int(chosen))(Machine) if chosen else Machine
    profile = settings(
        max_examples=examples,
        stateful_step_count=30,
        deadline=None,
        derandomize=chosen is None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(machine, settings=profile)  # type: ignore[no-untyped-call]  # Hypothesis says so


@pytest.mark.parametrize("head_start", [*range(-12, 13)])
def test_who_joins_at_the_moment_when_the_last_wish_is_taken_back_gets_a_build_that_goes_on(head_start: int) -> None:
    """Whichever comes first, by however many turns of the loop."""
    machine = Machine()

    async def meet() -> None:
        first, _ = await machine.builds.ensure(Request(REPO, "one"), ALICE)
        machine.given_up[first.id] = {ALICE.name}
        asking = asyncio.create_task(after(max(0, -head_start), machine.builds.ensure(Request(REPO, "one"), BOB)))
        await after(max(0, head_start), machine.builds.withdraw(first.id, ALICE))
        joined, is_new = await asking
        for _ in range(100):
            await asyncio.sleep(0)
        assert (await machine.builds.get(joined.id, BOB)).state is State.RUNNING
        assert is_new == (joined.id != first.id)

    try:
        machine.runner.run(meet())
    finally:
        machine.teardown()


async def after(count: int, what: Coroutine[Any, Any, T]) -> T:
    """Wait for some turns of the loop, then for an answer."""
    for _ in range(count):
        await asyncio.sleep(0)
    return await what
