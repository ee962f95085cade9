"""What is removed to stay within the budget, and what never is: with real environments, real servers' processes, real builds."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from binderhub_service.builds.cleaner import Budget, Cleaner
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.errors import Conflict
from binderhub_service.images.layout import UV_CACHE
from binderhub_service.images.uv_cache import UvCache
from binderhub_service.models import Build, Kind, Request, State, now
from binderhub_service.monitoring.metrics import Metrics
from binderhub_service.process.tasks import Tasks
from binderhub_service.store.schema import builds as builds_table
from binderhub_service.store.space import Space
from binderhub_service.worker.job import ProcessLimits
from tests.faults.real_builds import RealBuilds, real_builds
from tests.faults.service import Service
from tests.harness.build_directory import BuildDirectory
from tests.harness.gate import Gate
from tests.harness.git_server import Repository
from tests.harness.records import ADMIN, ALICE, whole
from tests.harness.waiting import until, wait_for

NewRepository = Callable[..., Repository]
HOUR_SECONDS = 3600


@pytest.fixture
async def unlimited(build_directory: BuildDirectory, tmp_path: Path) -> AsyncIterator[RealBuilds]:
    """Builds without limits."""
    async with real_builds(build_directory, tmp_path / "database", BuildLimits(), ProcessLimits()) as made:
        yield made


@pytest.fixture
def serve() -> Iterator[Callable[[Path, str, str], subprocess.Popen[bytes]]]:
    """Starts what a hub would start from an environment: ``serve(environment, user, server)``."""
    with ExitStack() as stack:

        def start(environment: Path, user: str, server: str) -> subprocess.Popen[bytes]:
            process = stack.enter_context(server_of(environment, user, server))
            wait_for(lambda: "time.sleep" in Path(f"/proc/{process.pid}/cmdline").read_text(), "the server's process", 10)
            return process

        yield start


@contextmanager
def server_of(environment: Path, user: str, server: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process from an environment, as its user's server."""
    command = [str(environment / "bin" / "python"), "-c", "import time; time.sleep(600)"]
    process = subprocess.Popen(command, env={"JUPYTERHUB_USER": user, "JUPYTERHUB_SERVER_NAME": server})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def cleaner(unlimited: RealBuilds, **budget: float) -> Cleaner:
    return Cleaner(store=unlimited.store, images=unlimited.build_directory.images, builds=unlimited.builds, budget=Budget(**budget))  # type: ignore[arg-type]  # numbers


@pytest.fixture
def own_cache(build_directory: BuildDirectory, monkeypatch: pytest.MonkeyPatch) -> UvCache:
    """uv's cache where it is by default."""
    monkeypatch.delenv("UV_CACHE_DIR")
    return UvCache(build_directory.root)


async def test_uvs_cache_is_in_the_state_and_goes_when_it_is_too_large_and_no_build_runs(
    own_cache: UvCache, unlimited: RealBuilds, gate: Gate, new_repository: NewRepository
) -> None:
    build = await made(unlimited, new_repository({"requirements.txt": "base\n"}))
    root = unlimited.build_directory.root
    cached = [path for path in (root / UV_CACHE).rglob("*") if path.is_file()]
    installed = [path for path in Path(unlimited.build_directory.manifest(build)["environment"]).rglob("*") if path.is_file()]
    assert {path.stat().st_ino for path in cached} & {path.stat().st_ino for path in installed}, "files are linked, not copied"
    (root / UV_CACHE / "much").write_bytes(b"x" * 10**6)
    assert 10**6 < own_cache.measure() < 2 * 10**6
    metrics = Metrics("embedded")
    metrics.watch(unlimited.builds, [], Tasks(), Space(root), own_cache)
    [told] = re.findall(r"(?m)^binder_uv_cache_bytes (\S+)$", metrics.exposition()[1].decode())
    assert float(told) == own_cache.bytes
    some = Cleaner(
        store=unlimited.store, images=unlimited.build_directory.images, builds=unlimited.builds, budget=Budget(cache_bytes=10**6), uv_cache=own_cache
    )
    running, _ = await unlimited.builds.ensure(Request(new_repository({"postBuild": gate.post_build}, "slow").url), ALICE)
    await until(lambda: unlimited.builds.counts()["running"], "the build")
    await some.clean()
    assert (root / UV_CACHE).exists(), "a build may be about to read from it"
    gate.open()
    await whole(unlimited.builds.follow(running.id, ALICE))
    await until(lambda: not unlimited.builds.counts()["running"], "its end")
    await some.clean()
    assert sorted(path.name for path in root.glob(f"{UV_CACHE}*")) == []
    assert own_cache.bytes == 0
    assert all(path.is_file() for path in installed), "environments keep what they share"


async def made(unlimited: RealBuilds, repository: Repository, ref: str = "", *, used_hours_ago: float = 0) -> Build:
    """Make an image that was last asked for some hours ago."""
    ended = await unlimited.make(repository.url, ref)
    assert ended.build.state is State.READY, ended.log
    await used(unlimited, ended.build, used_hours_ago)
    return ended.build


async def used(unlimited: RealBuilds, build: Build, hours_ago: float) -> None:
    """Pretend that an image was last asked for some hours ago, and made then, too."""
    moment = now() - timedelta(hours=hours_ago)
    unlimited.store._uses.clear()
    await unlimited.store.note_use(build.image.name, moment, 0)
    manifest = unlimited.build_directory.root / "images" / build.image.name / "image.json"
    os.utime(manifest, (moment.timestamp(), moment.timestamp()))


async def there(unlimited: RealBuilds) -> set[str]:
    return {image.name for image in await unlimited.build_directory.images.all()}


def environment_of(unlimited: RealBuilds, build: Build) -> Path:
    return Path(unlimited.build_directory.manifest(build)["environment"])


async def test_beyond_the_bytes_the_least_recently_used_go_first_and_no_more_than_must(unlimited: RealBuilds, new_repository: NewRepository) -> None:
    builds = [
        await made(unlimited, new_repository({"requirements.txt": f"# {hours}\n"}, f"project-{hours}"), used_hours_ago=hours)
        for hours in (5, 30, 2, 20)
    ]
    sizes = {image.name: image.bytes for image in await unlimited.build_directory.images.all()}
    budget = sizes[builds[0].image.name] + sizes[builds[2].image.name]
    gone = await cleaner(unlimited, image_bytes=budget).clean()
    assert gone == [builds[1].image.name, builds[3].image.name], "30 hours, then 20 hours"
    assert await there(unlimited) == {builds[0].image.name, builds[2].image.name}
    assert unlimited.build_directory.half_made() == [], "their directories are gone"
    assert await cleaner(unlimited, image_bytes=budget).clean() == []


async def test_beyond_the_age_all_go_whatever_their_size(unlimited: RealBuilds, new_repository: NewRepository) -> None:
    old = await made(unlimited, new_repository({"requirements.txt": "# old\n"}, "old"), used_hours_ago=50)
    young = await made(unlimited, new_repository({"requirements.txt": "# young\n"}, "young"), used_hours_ago=40)
    assert await cleaner(unlimited, image_seconds=45 * HOUR_SECONDS).clean() == [old.image.name]
    assert await there(unlimited) == {young.image.name}
    again = await unlimited.make(old.source.url)
    assert (again.build.state, again.build.id != old.id) == (State.READY, True), "what was removed is made again"


async def test_asking_for_an_image_keeps_it(unlimited: RealBuilds, new_repository: NewRepository) -> None:
    build = await made(unlimited, new_repository({"requirements.txt": "# 1\n"}), used_hours_ago=50)
    unlimited.store._uses.clear()
    await unlimited.builds.ensure(Request(build.source.url), ALICE)
    assert await cleaner(unlimited, image_seconds=HOUR_SECONDS, image_bytes=1).clean() == [], "its server may be starting"
    assert await there(unlimited) == {build.image.name}


async def test_an_image_that_a_server_runs_from_stays_until_the_server_ends(
    unlimited: RealBuilds, new_repository: NewRepository, serve: Callable[[Path, str, str], subprocess.Popen[bytes]]
) -> None:
    build = await made(unlimited, new_repository({"requirements.txt": "# 1\n"}), used_hours_ago=50)
    process = serve(environment_of(unlimited, build), "alice", "work")
    [image] = await unlimited.build_directory.images.all()
    assert image.used_by == ("alice/work",)
    assert await cleaner(unlimited, image_bytes=1, image_seconds=1).clean() == []
    with pytest.raises(Conflict) as caught:
        await unlimited.builds.delete_image(build.image.name)
    assert caught.value.code == "image_in_use"
    assert subprocess.run([environment_of(unlimited, build) / "bin" / "python", "-c", "import base"]).returncode == 0
    process.kill()
    process.wait()
    assert await cleaner(unlimited, image_bytes=1, image_seconds=1).clean() == [build.image.name]


async def test_an_image_that_is_built_anew_stays(unlimited: RealBuilds, new_repository: NewRepository, gate: Gate) -> None:
    repository = new_repository({"postBuild": gate.post_build})
    gate.open()
    build = await made(unlimited, repository, used_hours_ago=50)
    gate._open.unlink()
    gate._reached.unlink()
    again, _ = await unlimited.builds.ensure(Request(repository.url), ALICE, force=True)
    await asyncio.to_thread(gate.wait_until_reached)
    assert await cleaner(unlimited, image_bytes=1, image_seconds=1).clean() == []
    with pytest.raises(Conflict):
        await unlimited.builds.delete_image(build.image.name)
    gate.open()
    assert (await unlimited.end(again)).build.state is State.READY


@pytest.mark.parametrize("behind_a_link", [False, True], ids=["", "behind a link"])
async def test_an_environment_that_is_shared_goes_with_its_last_image(
    build_directory: BuildDirectory,
    tmp_path: Path,
    new_repository: NewRepository,
    serve: Callable[[Path, str, str], subprocess.Popen[bytes]],
    behind_a_link: bool,
) -> None:
    if behind_a_link:
        (tmp_path / "elsewhere").mkdir()
        build_directory.root.symlink_to(tmp_path / "elsewhere")
    async with real_builds(build_directory, tmp_path / "database", BuildLimits(), ProcessLimits()) as unlimited:
        repository = new_repository({"requirements.txt": "# shared\n"})
        first = await made(unlimited, repository, used_hours_ago=50)
        second_commit = repository.commit({"other": "file"})
        second = await made(unlimited, repository, second_commit, used_hours_ago=1.5)
        environment = environment_of(unlimited, first)
        assert environment.resolve() == environment_of(unlimited, second).resolve()
        assert await cleaner(unlimited, image_seconds=10 * HOUR_SECONDS).clean() == [first.image.name]
        assert await build_directory.images.exists(second.image.name)
        assert (environment / "bin" / "python").exists()
        process = serve(environment_of(unlimited, second), "bob", "")
        await used(unlimited, second, 50)
        assert await cleaner(unlimited, image_seconds=10 * HOUR_SECONDS).clean() == []
        process.kill()
        process.wait()
        assert await cleaner(unlimited, image_seconds=10 * HOUR_SECONDS).clean() == [second.image.name]
        assert not environment.exists()


async def test_a_log_goes_after_its_time_and_everything_else_stays(unlimited: RealBuilds, new_repository: NewRepository) -> None:
    old = await made(unlimited, new_repository({"requirements.txt": "# old\n"}, "old"))
    young = await made(unlimited, new_repository({"requirements.txt": "# young\n"}, "young"))
    before = {build.id: await whole(unlimited.builds.follow(build.id, ADMIN)) for build in (old, young)}
    finished = now() - timedelta(hours=50)
    await unlimited.store.write(lambda connection: _set_finished(connection, old.id, finished))
    record = await unlimited.builds.get(old.id, ADMIN)
    await cleaner(unlimited, log_seconds=10 * HOUR_SECONDS).clean()
    assert await whole(unlimited.builds.follow(old.id, ADMIN)) == before[old.id][-1:], "the end and its number"
    assert await whole(unlimited.builds.follow(old.id, ADMIN, after=before[old.id][-1].number)) == []
    assert [event for event in await whole(unlimited.builds.events_so_far(old.id, ADMIN)) if event.kind is Kind.LOG] == []
    assert await unlimited.builds.get(old.id, ADMIN) == record
    assert await whole(unlimited.builds.follow(young.id, ADMIN)) == before[young.id]
    build, is_new = await unlimited.builds.ensure(Request(old.source.url), ALICE)
    assert (build.id, is_new) == (old.id, False), "its image is there as before"


def _set_finished(connection: sa.Connection, build_id: str, moment: object) -> None:
    connection.execute(builds_table.update().where(builds_table.c.id == build_id).values(finished=moment))


async def test_the_log_of_a_build_that_goes_on_stays_however_long_it_takes(unlimited: RealBuilds, new_repository: NewRepository, gate: Gate) -> None:
    build = await unlimited.ask(new_repository({"postBuild": gate.post_build}).url)
    await asyncio.to_thread(gate.wait_until_reached)
    await cleaner(unlimited, log_seconds=0.001).clean()
    gate.open()
    event_log = (await unlimited.end(build)).event_log
    assert event_log[0].number == 1


async def test_administrators_see_images_and_remove_those_that_nobody_uses(
    service: Service, new_repository: NewRepository, serve: Callable[[Path, str, str], subprocess.Popen[bytes]]
) -> None:
    await service.start()
    build, _ = await service.finished(new_repository({"requirements.txt": "# 1\n"}).url)
    name = build["image"]
    [image] = (await service.ask("GET", "images", "root-admin")).json()
    assert (image["name"], image["used_by"]) == (name, [])
    assert image["bytes"] > 1000
    assert image["made"].endswith("Z")
    assert image["last_used"].endswith("Z")
    for method, path in (("GET", "images"), ("DELETE", f"images/{name}")):
        refused = await service.ask(method, path, "alice")
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    missing = await service.ask("DELETE", "images/nothing", "root-admin")
    assert (missing.status_code, missing.json()["error"]["code"]) == (404, "image_not_found")

    process = serve(next((service.state / "environments").glob("[!.]*")).resolve(), "alice", "work")
    [image] = (await service.ask("GET", "images", "root-admin")).json()
    assert image["used_by"] == ["alice/work"]
    used = await service.ask("DELETE", f"images/{name}", "root-admin")
    assert (used.status_code, used.json()["error"]["code"]) == (409, "image_in_use")
    process.kill()
    process.wait()

    removed = await service.ask("DELETE", f"images/{name}", "root-admin")
    assert (removed.status_code, removed.content) == (204, b"")
    assert (await service.ask("GET", "images", "root-admin")).json() == []
    assert [path.name for path in (service.state / "environments" / ".made").glob("*") if path.suffix != ".lock"] == []
    again, _ = await service.finished(build["repo"])
    assert (again["state"], again["id"] != build["id"]) == ("ready", True)
