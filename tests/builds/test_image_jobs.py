"""Jobs whose images others want at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds.builds import Builds
from binderhub_service.builds.image_jobs import BUILDING, FINISHED, ImageJobs
from binderhub_service.clients.credentials import Login
from binderhub_service.errors import BuildFailed
from binderhub_service.images.fake import FakeImages
from binderhub_service.models import Build, Image, ImageJob
from binderhub_service.store.image_jobs import ImageJobTable
from binderhub_service.store.store import Store
from tests.harness.records import ALICE
from tests.harness.waiting import until, within


class PushedImages(FakeImages):
    """Pushes what is there, when `gate` is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.is_asked = False

    async def publish(self, name: str, target: str, login: Login | None) -> None:
        self.is_asked = True
        await self.gate.wait()
        if name not in self.there:
            raise BuildFailed("It is gone.", code="push_failed")


class HeldTable(ImageJobTable):
    """Writes which build a job has found when `gate` is open."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.gate = asyncio.Event()
        self.gate.set()
        self.is_waited_for = False

    async def put(self, job: ImageJob) -> None:
        if job.build_id and job.status == BUILDING and not self.gate.is_set():
            self.is_waited_for = True
            await self.gate.wait()
        await super().put(job)


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open store."""
    store = Store(store_url)
    await store.open()
    yield store
    await store.close()


async def test_an_image_that_another_job_has_just_found_is_not_deleted_before_it_is_pushed(store: Store) -> None:
    images, table = PushedImages(), HeldTable(store)

    def made(build: Build) -> None:
        images.there[build.image.name] = Image(build.image.name)

    builds = Builds(store=store, providers=[], images=images, builder=FakeBuilder(made=made))
    jobs = ImageJobs(table, builds, images)

    async def content() -> str:
        return "ab" * 32

    first = await jobs.start("first:1", content, None, ALICE)
    await until(lambda: images.is_asked, "the first job's push")
    table.gate.clear()
    second = await jobs.start("second:1", content, None, ALICE)
    await until(lambda: table.is_waited_for, "the second job to find the image")
    images.gate.set()
    async with within():
        while not (await jobs.get(first.id, ALICE)).ended:
            await asyncio.sleep(0.005)
    table.gate.set()
    await until(lambda: not jobs.count(), "the end of both")
    assert [(await jobs.get(job.id, ALICE)).status for job in (first, second)] == [FINISHED, FINISHED]
    assert images.there == {}
    await builds.close()
