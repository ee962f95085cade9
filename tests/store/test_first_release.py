"""What the service of 21 November 2026 left is replaced by today's code, and nothing is lost: what it stored, wrote, named and still builds.

`first_release/` holds that service's database and state directory, in which STATE stands for the directory's own path.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from binderhub_service import names
from binderhub_service.builders.process import ProcessBuilder
from binderhub_service.builds.builds import Builds
from binderhub_service.common import labels
from binderhub_service.errors import NotAllowed
from binderhub_service.images.environments import EnvironmentImages
from binderhub_service.models import Kind, Request, Source, State
from binderhub_service.store.store import Store
from binderhub_service.worker.environment_job import EnvironmentSettings
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.processes import MARK
from spawner.docker.spawner import DockerRepoSpawner
from spawner.local.working_copy import copy_of, home_of, place
from tests.harness.records import ADMIN, ALICE, BOB, TableProvider, whole
from tests.harness.waiting import HANGS_SECONDS, in_time, until

LEFT = Path(__file__).parent / "first_release"
READY, FAILED, CANCELLED, RUNNING, LOST = (f"19aa5f2e30{number}0000000{number}" for number in range(1, 6))
REPO = "https://git.example.org/o/made"
COMMIT = "a16f63637630e15997fbc3cb9684d2bd40eabc69"
SETTINGS = EnvironmentSettings(base=("base",), python="3.11", uv="uv")
# The end of that release's process of a build: it holds the lock, tells, makes the image, says how it ended.
PROCESS = """
import fcntl, json, os, sys
from pathlib import Path
job = Path(sys.argv[1])
lock = (job / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
(job / "pid").write_text(str(os.getpid()))
print("it runs", flush=True)
sys.stdin.readline()
with (job / "events.jsonl").open("a") as events:
    events.write('{"kind": "log", "data": {"text": "after"}}\\n')
told = json.loads((job / "job.json").read_text())
images = Path(told["root"]) / "images"
made = images / ".made" / f"{told['image']}.{told['build_id']}"
environment = Path(told["root"]) / "environments" / ".made" / f"4bf3d2392f3881f4f122e4dfc89d072f.{told['build_id']}"
sizes = {"content_bytes": 25151, "environment_bytes": 12}
said = {name: told[name] for name in ("repo", "ref", "commit")}
image = {"environment": str(environment), "key": "4bf3d2392f3881f4f122e4dfc89d072f", "content": str(made / "content"), "start": None}
(made / "image.json").write_text(json.dumps(image | sizes | said))
(images / told["image"]).symlink_to(made)
(job / "exit.json").write_text("{}")
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """The state directory as that release left it."""
    state = tmp_path / "state"
    for name, content in json.loads((LEFT / "state.json").read_text()).items():
        file = state / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            file.write_text(content.replace("STATE", str(state)))
        else:
            file.symlink_to(content["link"].replace("STATE", str(state)))
    with closing(sqlite3.connect(state / "service.sqlite")) as database:
        database.executescript((LEFT / "database.sql").read_text())
    return state


@contextmanager
def running_process(state: Path) -> Iterator[subprocess.Popen[str]]:
    """Run what is left of that release's process of the running build; a line to its input lets it go on."""
    command = [sys.executable, "-c", PROCESS, str(state / "builds" / RUNNING)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True, env={MARK: RUNNING}) as process:
        assert process.stdout
        assert process.stdout.readline() == "it runs\n"
        yield process


@pytest.fixture
def images(state: Path) -> EnvironmentImages:
    """Today's images, with the settings that the service had."""
    return EnvironmentImages(state, SETTINGS.as_text())


@pytest.fixture
async def builds(state: Path, images: EnvironmentImages) -> AsyncIterator[Builds]:
    """Today's builds on that directory, before anything was resumed."""
    store = Store(f"sqlite:///{state / 'service.sqlite'}")
    await store.open()
    builder = ProcessBuilder(state, SETTINGS, ProcessLimits())
    builds = Builds(store=store, providers=[TableProvider(main=COMMIT)], images=images, builder=builder)
    yield builds
    await builds.close()
    await store.close()


async def test_builds_that_ended_are_as_they_were_for_those_who_asked(builds: Builds) -> None:
    assert [build.id for build in await builds.list(ADMIN)] == [LOST, RUNNING, CANCELLED, FAILED, READY]
    assert [build.id for build in await builds.list(BOB)] == [RUNNING, FAILED]
    states = {build.id: (build.state, build.owner) for build in await builds.list(ADMIN)}
    assert states[READY] == (State.READY, "alice")
    assert states[FAILED] == (State.FAILED, "bob")
    assert states[CANCELLED] == (State.CANCELLED, "alice")
    ready, failed = await builds.get(READY, ALICE), await builds.get(FAILED, BOB)
    assert ready.finished
    assert ready.started
    assert (ready.finished - ready.started).total_seconds() == 40
    assert failed.error
    assert failed.error["code"] == "fetch_failed"
    event_log = await whole(builds.follow(READY, ALICE))
    assert [event.number for event in event_log] == list(range(1, 8))
    assert (event_log[-2].payload, event_log[-1].payload["state"]) == ({"text": "installing"}, "ready")
    with pytest.raises(NotAllowed):
        await builds.get(READY, BOB)


async def test_its_image_is_found_again_and_counted(builds: Builds, images: EnvironmentImages) -> None:
    build, is_new = await builds.ensure(Request(REPO, "main"), ALICE)
    assert (build.id, is_new) == (READY, False)
    [image] = await images.all()
    assert (image.name, image.bytes) == (build.image.name, 25150 + 12)
    await images.tidy({RUNNING, LOST})
    assert await images.exists(build.image.name)


async def test_a_running_build_goes_on_and_one_whose_process_was_killed_ends_with_its_code(
    state: Path, builds: Builds, images: EnvironmentImages
) -> None:
    with running_process(state) as process:
        assert await builds.resume() == 2
        lost = await in_time(whole(builds.follow(LOST, ALICE)))
        assert lost[-1].payload["error"]["code"] == "builder_lost"
        following = asyncio.create_task(whole(builds.follow(RUNNING, BOB)))
        process.communicate("go on\n", timeout=HANGS_SECONDS)
        event_log = await in_time(following)
    assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
    texts = [event.payload["text"] for event in event_log if event.kind is Kind.LOG]
    assert (texts.count("before"), texts.count("after"), texts[-1]) == (1, 1, "after")
    assert event_log[-1].payload["state"] == "ready"
    build = await builds.get(RUNNING, BOB)
    assert await images.exists(build.image.name)
    await until(lambda: not (state / "builds" / RUNNING).exists(), "the removal of the build's directory")


def test_everything_has_the_name_that_it_had() -> None:
    source = Source("git", REPO, REPO, REPO, "main", "1" * 40)
    slug = "https-3a-2f-2fgit-2eexample-2eorg-2fo-2fmade-371936"
    assert names.image_name(source, "registry.example.org/p/binder-") == f"registry.example.org/p/binder-{slug}:{source.commit}"
    assert names.image_name(source, "b-", "[settings]") == f"b-{slug}:{source.commit}-971d2ee0"
    assert names.environment_name("b-", "key") == "b-environment:key"
    written = [labels.REPOSITORY, labels.COMMIT, labels.ENVIRONMENT, labels.BUILD, labels.USER, labels.SERVER]
    assert written == [f"binder.{word}" for word in ("repository", "commit", "environment", "build", "user", "server")]
    assert MARK == "BINDER_BUILD_ID"
    assert names.former_server_name(REPO, "main") == "made-main-7ce8e69d"
    assert names.former_server_name("https://github.com/o/2024-course", "feature/x") == "2024-course-feature-x-1c56aa97"
    assert DockerRepoSpawner.home_volume.default_value == "{prefix}-home-{username}"
    assert DockerRepoSpawner.home_dir.default_value == "/home/person"


@pytest.mark.parametrize(
    ("user", "server", "folder"),
    [("alice", "", "alice/default"), ("Ada L.", "default", "Ada-20L-2E/default-"), ("alice", "a name", "alice/a-20name")],
)
def test_a_working_copy_is_where_it_was(tmp_path: Path, user: str, server: str, folder: str) -> None:
    assert copy_of(home_of(tmp_path, user), server, REPO, "main") == tmp_path / folder / "made-7ce8e69d"


@pytest.mark.parametrize(("changed", "said"), [("", "was untouched, so it was brought from commit"), ("mine", "You have changed files")])
def test_a_working_copy_is_taken_for_what_it_is(tmp_path: Path, changed: str, said: str) -> None:
    content, copy = tmp_path / "content", tmp_path / "made-7ce8e69d"

    def git(folder: Path, *arguments: str) -> str:
        command = ["git", "-C", str(folder), "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    content.mkdir()
    git(content, "init", "-q", "-b", "main")
    (content / "a.txt").write_text("first\n")
    git(content, "add", ".")
    git(content, "commit", "-q", "-m", "first")
    subprocess.run(["cp", "-a", str(content), str(copy)], check=True)
    git(copy, "checkout", "-q", "--detach")
    git(copy, "config", "binder.commit", git(copy, "rev-parse", "HEAD"))
    if changed:
        (copy / "a.txt").write_text(changed)
    (content / "a.txt").write_text("second\n")
    git(content, "commit", "-q", "-a", "-m", "second")
    assert said in place(content, git(content, "rev-parse", "HEAD"), copy)
    assert (copy / "a.txt").read_text() == (changed or "second\n")
