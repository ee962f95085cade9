"""Builds under names, over a store in memory of the process and builds that end when they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from binderhub_service.builds.builds import Builds
from binderhub_service.builds.named import NamedBuilds
from binderhub_service.builds.templates import Templates
from binderhub_service.errors import Conflict, NotAllowed, NotFound
from binderhub_service.models import Build, Caller, NamedBuild, Phase, Request, State
from binderhub_service.store.named_builds import NamedBuildTable
from binderhub_service.store.store import Store
from binderhub_service.store.templates import TemplateTable
from tests.harness.empty_database import write_empty_database
from tests.harness.records import DAY, build

ALICE = Caller("alice", scopes=frozenset({"custom:binder:build"}))
NAMED = NamedBuild("o-r", "o/r", "https://github.com/o/r", DAY)
REQUEST = Request("https://github.com/o/r")


class OneBuild:
    """Builds of which there is one; asking for it waits until it may begin."""

    def __init__(self) -> None:
        self.build: Build = build(1, state=State.RUNNING, phase=Phase.BUILDING)
        self.may_begin = asyncio.Event()
        self.refusal: Exception | None = None
        self.is_removed = False

    async def ensure(self, *_: Any, **__: Any) -> tuple[Build, bool]:
        await self.may_begin.wait()
        if self.refusal:
            raise self.refusal
        return self.build, True

    async def get(self, *_: Any) -> Build:
        if self.is_removed:
            raise NotFound("There is no build of this id.")
        return self.build


@pytest.fixture
async def table(tmp_path: Path) -> AsyncIterator[NamedBuildTable]:
    store = Store(write_empty_database(tmp_path / "store.sqlite"))
    await store.open()
    yield NamedBuildTable(store)
    await store.close()


def named_builds(table: NamedBuildTable, builds: OneBuild) -> NamedBuilds:
    return NamedBuilds(table, cast(Builds, builds))


async def start(named: NamedBuilds, *, force: bool = False) -> None:
    await named.start(NAMED, REQUEST, ALICE, force=force, told=lambda error: f"Error: {error.message}")


async def until_begun(named: NamedBuilds, builds: OneBuild) -> None:
    builds.may_begin.set()
    await asyncio.wait(named._tasks)


async def test_a_build_whose_commit_is_asked_for_is_fetching(table: NamedBuildTable) -> None:
    builds = OneBuild()
    named = named_builds(table, builds)
    await start(named)
    known = await named.get("o-r")
    assert known is not None
    assert (known.status, known.phase) == ("running", "fetching")
    with pytest.raises(Conflict):
        await start(named)
    await start(named, force=True)
    await until_begun(named, builds)
    assert [(known.status, known.phase, known.build_id) for known in await named.all()] == [("running", "building", builds.build.id)]


async def test_who_may_not_build_leaves_nothing(table: NamedBuildTable) -> None:
    named = named_builds(table, OneBuild())
    with pytest.raises(NotAllowed):
        await named.start(NAMED, REQUEST, Caller("eve"), force=False, told=str)
    assert await named.all() == []


async def test_why_a_build_cannot_begin_is_known_under_its_name(table: NamedBuildTable) -> None:
    builds = OneBuild()
    builds.refusal = NotFound("There is no such repository.")
    named = named_builds(table, builds)
    await start(named)
    await until_begun(named, builds)
    known = await named.get("o-r")
    assert known is not None
    assert (known.status, known.phase, known.error) == ("failed", "fetching", "Error: There is no such repository.")


async def test_a_template_is_there_as_soon_as_somebody_asks(table: NamedBuildTable) -> None:
    builds = OneBuild()
    named = named_builds(table, builds)
    await start(named)
    await until_begun(named, builds)
    builds.build = build(1, state=State.READY, phase=Phase.DONE, finished=DAY, image="made")
    later = named_builds(table, builds)  # as after a restart
    template = await Templates(TemplateTable(table._store), later).get("o-r")
    assert (template.image, template.created) == ("made", DAY)


async def test_a_build_whose_record_was_removed_is_told_of_and_hides_no_other(table: NamedBuildTable) -> None:
    builds = OneBuild()
    named = named_builds(table, builds)
    await start(named)
    await until_begun(named, builds)
    builds.is_removed = True
    for _ in range(2):
        assert [(known.status, known.error) for known in await named.all()] == [("failed", "Error: The record of the build was removed.")]


async def test_a_service_that_ended_before_the_build_began_is_told_of(table: NamedBuildTable) -> None:
    named = named_builds(table, OneBuild())
    await start(named)
    await named.close()
    known = await named_builds(table, OneBuild()).get("o-r")
    assert known is not None
    assert (known.status, known.error) == ("failed", "Error: The service ended before the build began.")
