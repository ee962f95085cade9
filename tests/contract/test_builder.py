"""Every builder: a builder that reports what it was given, and another that makes environments in processes of this machine."""

from __future__ import annotations

import asyncio
import shlex
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path

import pytest

from binderhub_service.builders import Builder
from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.errors import BuildFailed
from binderhub_service.models import Build, Kind, Report
from tests.harness.build_directory import BuildDirectory
from tests.harness.following import texts, up_to
from tests.harness.git_server import GitServer
from tests.harness.records import build as a_build
from tests.harness.waiting import until

LINES = ["first", "second", "<script>third</script>", "fourth: é"]


class BuilderCase(ABC):
    """How the suite uses a kind of builder: builds that tell `LINES`, wait at a gate, and end."""

    @abstractmethod
    def builder(self) -> Builder:
        """Return a new builder, as a service that just started has it."""

    @abstractmethod
    def ask(self, *, fails: bool = False) -> Build:
        """Return a new build."""

    @abstractmethod
    def open_gate(self) -> None:
        """Let builds end."""

    @abstractmethod
    async def is_made(self, build: Build) -> bool:
        """Say whether a build's image is there."""


class FakeCase(BuilderCase):
    def __init__(self) -> None:
        self._gate = asyncio.Event()
        self._made: set[str] = set()
        self._error: BuildFailed | None = None
        self._count = 0

    def builder(self) -> Builder:
        return FakeBuilder(LINES, made=lambda build: self._made.add(build.id), gate=self._gate, error=self._error)

    def ask(self, *, fails: bool = False) -> Build:
        self._error = BuildFailed("No.", code="post_build_failed", hint="Yes.") if fails else None
        self._count += 1
        return a_build(self._count)

    def open_gate(self) -> None:
        self._gate.set()

    async def is_made(self, build: Build) -> bool:
        return build.id in self._made


class ProcessCase(BuilderCase):
    def __init__(self, build_directory: BuildDirectory, git: GitServer, name: str, gate: Path) -> None:
        self._build_directory = build_directory
        self._git = git
        self._name = name
        self._gate = gate

    def builder(self) -> Builder:
        return self._build_directory.builder()

    def ask(self, *, fails: bool = False) -> Build:
        told = "".join(f"echo {shlex.quote(line)}\n" for line in LINES)
        script = f"#!/bin/sh\n{told}while [ ! -e {self._gate} ]; do sleep 0.05; done\nexit {3 if fails else 0}\n"
        repository = self._git.create(f"builder/{self._name}", {"postBuild": script})
        return self._build_directory.ask(repository.url, repository.rev("main"))

    def open_gate(self) -> None:
        self._gate.touch()

    async def is_made(self, build: Build) -> bool:
        return await self._build_directory.images.exists(build.image.name) is not None


@pytest.fixture(params=["fake", "process"])
async def case(request: pytest.FixtureRequest, git_server: GitServer, build_directory: BuildDirectory, tmp_path: Path) -> AsyncIterator[BuilderCase]:
    if request.param == "fake":
        yield FakeCase()
    else:
        yield ProcessCase(build_directory, git_server, request.node.originalname, tmp_path / "gate")


async def every(builder: Builder, build: Build, after: str = "") -> list[Report]:
    return [report async for report in builder.run(build, after)]


def told(reports: Sequence[Report]) -> list[str]:
    return [text for text in texts(reports) if text in LINES]


async def test_a_build_tells_what_happens_and_ends_when_the_image_is_made(case: BuilderCase) -> None:
    build = case.ask()
    case.open_gate()
    assert not await case.is_made(build)
    reports = await every(case.builder(), build)
    assert await case.is_made(build)
    assert told(reports) == LINES
    assert "building" in [report.data.get("phase") for report in reports if report.kind is Kind.PHASE]
    assert {report.kind for report in reports} == {Kind.PHASE, Kind.LOG}


async def test_the_image_is_not_there_before_the_end(case: BuilderCase) -> None:
    build = case.ask()
    builder = case.builder()
    await up_to(builder, build, LINES[-1])
    assert not await case.is_made(build)
    case.open_gate()
    await every(builder, build)


async def test_a_follower_that_comes_back_gets_the_rest_and_nothing_twice(case: BuilderCase) -> None:
    build = case.ask()
    builder = case.builder()
    first = await up_to(builder, build, LINES[1])
    second = await up_to(builder, build, LINES[2], after=first[-1].cursor)
    case.open_gate()
    third = await every(builder, build, after=second[-1].cursor)
    assert told(first + second + third) == LINES
    cursors = [report.cursor for report in first + second + third]
    assert len(set(cursors)) == len(cursors)
    assert all(cursors)
    assert await case.is_made(build)


async def test_after_a_restart_another_builder_goes_on_with_the_same_build(case: BuilderCase) -> None:
    build = case.ask()
    first = await up_to(case.builder(), build, LINES[0])
    case.open_gate()
    rest = await every(case.builder(), build, after=first[-1].cursor)
    assert told(first + rest) == LINES
    assert await case.is_made(build)


async def test_a_build_that_ended_while_nobody_looked_is_told_to_its_end(case: BuilderCase) -> None:
    build = case.ask()
    first = await up_to(case.builder(), build, LINES[-1])
    case.open_gate()
    whole = await every(case.builder(), build)
    again = await every(case.builder(), build)
    assert whole[: len(first)] == first
    assert again == whole, "as often as anybody asks"
    assert await case.is_made(build)


async def test_two_builders_on_one_build_tell_the_same(case: BuilderCase) -> None:
    build = case.ask()
    one, two = (asyncio.create_task(every(case.builder(), build)) for _ in range(2))
    await asyncio.sleep(0)
    case.open_gate()
    assert told(await one) == LINES
    assert await two == await one


async def test_a_failure_says_its_code_to_every_follower_even_late(case: BuilderCase) -> None:
    build = case.ask(fails=True)
    case.open_gate()
    for builder in (case.builder(), case.builder()):
        with pytest.raises(BuildFailed) as caught:
            await every(builder, build)
        assert caught.value.code == "post_build_failed"
        assert caught.value.message
        assert caught.value.hint
    assert not await case.is_made(build)


async def test_a_stopped_build_makes_nothing(case: BuilderCase) -> None:
    build = case.ask()
    builder = case.builder()
    await up_to(builder, build, LINES[0])
    await builder.stop(build)
    case.open_gate()
    assert not await case.is_made(build)


async def test_another_builder_may_stop_it(case: BuilderCase) -> None:
    build = case.ask()
    await up_to(case.builder(), build, LINES[0])
    await case.builder().stop(build)
    assert not await case.is_made(build)


async def test_stopping_what_does_not_run_does_nothing(case: BuilderCase) -> None:
    build = case.ask()
    builder = case.builder()
    await builder.stop(build)
    case.open_gate()
    await every(builder, build)
    await builder.stop(build)
    assert await case.is_made(build)


async def test_a_build_can_be_forgotten_more_than_once(case: BuilderCase) -> None:
    build = case.ask()
    case.open_gate()
    builder = case.builder()
    await every(builder, build)
    await builder.forget(build)
    await builder.forget(build)
    assert await case.is_made(build), "only the builder's own records are gone"
    await builder.close()


async def test_followers_do_not_wait_for_each_other(case: BuilderCase) -> None:
    build = case.ask()
    slow = case.builder().run(build)
    async with aclosing(slow):
        await anext(slow)
        quick = asyncio.create_task(every(case.builder(), build))
        case.open_gate()
        await until(quick.done, "the quick one")
        rest = [report async for report in slow]
    assert (await quick)[1:] == rest
