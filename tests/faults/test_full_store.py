"""A disk that is too small for what builds say: each ends with its code, and everything goes on when there is space again."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds.builds import Builds
from binderhub_service.images.fake import FakeImages
from binderhub_service.models import Build, Image, Kind, Request, State
from binderhub_service.store.caching import CachingStore
from binderhub_service.store.space import Space
from tests.faults.real_builds import fill, small_disk
from tests.faults.service import PREFIX, Service
from tests.harness.git_server import Repository
from tests.harness.records import ADMIN, ALICE, TableProvider, commit, whole
from tests.harness.waiting import until, within

MEGABYTE = 1024**2


def loud() -> list[str]:
    """Return lines of 40 MB, made by the process that needs them, and not by all that collect tests."""
    return [base64.b64encode(os.urandom(30_000)).decode() for _ in range(1000)]


@pytest.mark.parametrize("keep_megabytes", [0, 8])
async def test_a_build_whose_log_finds_no_space_ends_with_its_code_and_the_next_is_made_once_old_logs_are_gone(
    tmp_path: Path, keep_megabytes: int
) -> None:
    """Where nothing is kept free, the end itself finds space only once somebody has made some."""
    with small_disk(tmp_path / "disk", 24) as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(0 if keep_megabytes else 8 * MEGABYTE))
        store = CachingStore(f"sqlite:///{disk / 'database'}")
        await store.open()
        images, builder = FakeImages(), FakeBuilder(loud())

        def made(build: Build) -> None:
            images.there[build.image.name] = Image(build.image.name)

        builder.made = made
        provider = TableProvider()
        provider.refs["next"] = commit(7)
        space = Space(disk, keep_megabytes * MEGABYTE, store.reusable_bytes)
        builds = Builds(store=store, providers=[provider], images=images, builder=builder, space=space)

        async def ended(ref: str) -> tuple[Build, list[Any]]:
            build, _ = await builds.ensure(Request("https://git.example.org/o/r", ref), ALICE)
            if not keep_megabytes:
                await until(lambda: build.id in builder.stopped or ref != "main", "that the build is stopped")
                ballast.write_bytes(b"")
            async with within():
                event_log = await whole(builds.follow(build.id, ADMIN))
            return await builds.get(build.id, ADMIN), event_log

        build, event_log = await ended("main")
        assert build.state is State.FAILED
        assert build.error
        assert build.error["code"] == "disk_full"
        assert builder.stopped == [build.id]
        assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
        assert event_log[-1].kind is Kind.END
        if keep_megabytes:
            await store.check_write()
        assert await store.drop_oldest_logs(0, 10) == 1
        builder.lines = ["quiet"]
        assert (await ended("next"))[0].state is State.READY
        await builds.close()
        await store.close()


async def test_a_service_on_a_full_disk_says_so_and_goes_on_by_itself(
    service: Service, tmp_path: Path, new_repository: Callable[..., Repository]
) -> None:
    repository = new_repository({"a": "b"})
    with small_disk(service.state, 64) as disk:
        told_full = {"store", "disk"}
        service.state.chmod(0o700)
        service.settings["Limits"] = {"free_bytes": MEGABYTE}
        await service.start()
        ballast = fill(disk)
        reply = await service.ask("POST", "builds", json={"repo": repository.url})
        assert (reply.status_code, reply.json()["error"]["code"]) == (503, "disk_full"), reply.text
        async with httpx.AsyncClient(base_url=f"{service.address}{PREFIX}", timeout=60) as client:
            told = {check["service"]: check.get("message") for check in (await client.get("health")).json()["checks"]}
            assert told["store"] == "The disk of the service's database is full."
            assert told["disk"] == "The disk of the service is full."
            ballast.unlink()
            build, _ = await service.finished(repository.url)
            assert build["state"] == "ready", build
            metrics = (await client.get("metrics")).text
            assert "binder_store_writable 1.0" in metrics
            assert "binder_free_bytes" in metrics
            async with within():
                while not all(check["ok"] for check in (await client.get("health")).json()["checks"] if check["service"] in told_full):
                    await asyncio.sleep(0.2)
        await service.stop()
