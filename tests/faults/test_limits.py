"""Every limit made to be reached, for real: each has its own code, and nothing is left of what went beyond it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builds.limits import BuildLimits
from binderhub_service.errors import NotFound, Unavailable
from binderhub_service.models import State
from binderhub_service.worker.job import ProcessLimits
from tests.faults.real_builds import RealBuilds, fill, real_builds, running, small_disk, wait_until_running
from tests.faults.service import Service, log_of
from tests.harness.build_directory import BuildDirectory
from tests.harness.gate import Gate
from tests.harness.git_server import Repository
from tests.harness.records import ADMIN
from tests.harness.repository import Files

NewRepository = Callable[..., Repository]
MakeRealBuilds = Callable[..., AbstractAsyncContextManager[RealBuilds]]
MEGABYTE = 1024 * 1024
CUT = "The log is cut here, at {} bytes. The build goes on."


@pytest.fixture
def make_real_builds(build_directory: BuildDirectory, tmp_path: Path) -> MakeRealBuilds:
    """Makes builds: ``make_real_builds(limits, processes, git_seconds=...)``."""

    @asynccontextmanager
    async def make(limits: BuildLimits = BuildLimits(), processes: ProcessLimits = ProcessLimits(), **more: Any) -> AsyncIterator[RealBuilds]:  # noqa: B008  # frozen
        async with real_builds(build_directory, tmp_path / "database", limits, processes, **more) as made:
            yield made

    return make


@pytest.fixture
def word() -> Iterator[str]:
    """An argument for `sleep` that no other process has; what sleeps with it is ended with the test."""
    word = f"{1000 + os.getpid() % 1000}.{os.urandom(4).hex().translate(str.maketrans('abcdef', '123456'))}"
    yield word
    for pid in running(word):
        os.kill(pid, 9)


# --- time ------------------------------------------------------------------------------------------------------------


async def test_a_build_that_takes_too_long_is_ended_with_everything_it_started(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, word: str
) -> None:
    repository = new_repository({"postBuild": f"#!/bin/sh\nsetsid sleep {word} &\nsleep {word}\n"})
    async with make_real_builds(BuildLimits(build_seconds=4)) as made:
        build = await made.ask(repository.url)
        await asyncio.to_thread(wait_until_running, word, 2)
        ended = await made.end(build)
    assert (ended.build.state, ended.code) == (State.FAILED, "build_timeout")
    assert running(word) == []
    assert made.build_directory.half_made() == []


async def test_a_build_that_waits_too_long_fails_and_its_place_goes_to_nobody(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, gate: Gate
) -> None:
    first, second = new_repository({"postBuild": gate.post_build}, "first"), new_repository({"a": "b"}, "second")
    async with make_real_builds(BuildLimits(running=1, queue_seconds=0.5)) as made:
        going_on = await made.ask(first.url)
        ended = await made.make(second.url)
        assert (ended.build.state, ended.code) == (State.FAILED, "queue_timeout")
        assert ended.build.phase == "queued"
        gate.open()
        assert (await made.end(going_on)).build.state is State.READY
        assert (await made.make(second.url)).build.state is State.READY


# --- the log ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "script",
    ["seq 1 60000", "yes '' | head -n 60000", "yes x | tr -d '\\n' | head -c 600000", "head -c 600000 /dev/urandom", "yes é | head -n 60000"],
    ids=["short lines", "empty lines", "one line", "no text at all", "letters with accents"],
)
async def test_a_log_that_is_too_long_is_cut_once_and_the_build_goes_on(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, script: str
) -> None:
    limit = 50_000
    repository = new_repository({"postBuild": f"#!/bin/bash\n{script}\necho the last line\n"})
    async with make_real_builds(BuildLimits(log_bytes=limit), ProcessLimits(log_bytes=limit)) as made:
        ended = await made.make(repository.url)
    assert ended.build.state is State.READY
    assert ended.log.count(CUT.format(limit)) == 1
    assert ended.log[-1] == CUT.format(limit)
    assert sum(len(line.encode()) for line in ended.log) <= limit + len(CUT)


async def test_a_log_within_the_limit_is_whole(make_real_builds: MakeRealBuilds, new_repository: NewRepository) -> None:
    repository = new_repository({"postBuild": "#!/bin/bash\nseq 1 1000\n"})
    async with make_real_builds(BuildLimits(log_bytes=50_000), ProcessLimits(log_bytes=50_000)) as made:
        ended = await made.make(repository.url)
    assert [line for line in ended.log if line.isdigit()] == [str(number) for number in range(1, 1001)]
    assert not any("cut" in line for line in ended.log)


@pytest.mark.slow
async def test_a_build_that_prints_500_megabytes_costs_bounded_memory(service: Service, new_repository: NewRepository) -> None:
    limit = 5 * MEGABYTE
    service.settings["Limits"] = {"log_bytes": limit}
    repository = new_repository({"postBuild": "#!/bin/bash\nyes 'a line of the log, as long as lines of logs are' | head -c 500M\n"})
    await service.start()
    await service.finished(new_repository({"a": "b"}, "warm").url)
    before = service.resident_bytes()
    build = await service.build(repository.url)
    following = asyncio.create_task(service.event_log(build["id"]))
    most = before
    while not following.done():
        most = max(most, service.resident_bytes())
        await asyncio.wait([following], timeout=0.1)
    event_log = following.result()
    assert event_log[-1].data["state"] == "ready"
    assert log_of(event_log)[-1] == CUT.format(limit)
    assert most - before < 60 * MEGABYTE


# --- what a build takes of the disk ----------------------------------------------------------------------------------


async def test_a_repository_that_is_too_large_is_refused(make_real_builds: MakeRealBuilds, new_repository: NewRepository) -> None:
    repository = new_repository({"large": os.urandom(3 * MEGABYTE)})
    async with make_real_builds(processes=ProcessLimits(content_bytes=MEGABYTE)) as made:
        ended = await made.make(repository.url)
    assert (ended.build.state, ended.code) == (State.FAILED, "content_too_large")
    assert made.build_directory.half_made() == []


@pytest.fixture
def disk(build_directory: BuildDirectory) -> Iterator[Path]:
    """A disk of 24 MB that holds the builds; the database is elsewhere."""
    with small_disk(build_directory.root, 24) as path:
        yield path


async def test_a_disk_without_enough_space_is_said_before_anything_is_fetched(
    make_real_builds: MakeRealBuilds, disk: Path, new_repository: NewRepository
) -> None:
    repository = new_repository({"a": "b"})
    limits = ProcessLimits(free_bytes=100 * MEGABYTE)
    async with make_real_builds(processes=limits) as made:
        ended = await made.make(repository.url)
        assert (ended.build.state, ended.code) == (State.FAILED, "disk_full")
        assert repository.count("git-upload-pack") <= 1, "only the ref was looked up"
        with pytest.raises(Unavailable) as caught:
            await made.build_directory.builder(limits).check()
        assert caught.value.code == "disk_full"
    assert made.build_directory.half_made() == []


async def test_a_disk_without_a_byte_left_is_said_and_the_next_build_after_that_is_made(
    make_real_builds: MakeRealBuilds, disk: Path, new_repository: NewRepository
) -> None:
    repository = new_repository({"a": "b"})
    ballast = fill(disk)
    async with make_real_builds() as made:
        ended = await made.make(repository.url)
        assert (ended.build.state, ended.code) == (State.FAILED, "disk_full")
        ballast.unlink()
        assert (await made.make(repository.url)).build.state is State.READY
    assert made.build_directory.half_made() == []


FILLING: dict[str, Files] = {
    "a script at once": {"postBuild": '#!/bin/sh\nexec dd if=/dev/zero of="$NB_PYTHON_PREFIX/large" bs=1M\n'},
    "a script bit by bit": {
        "postBuild": '#!/bin/sh\nwhile :; do dd if=/dev/zero bs=512k count=1 status=none >> "$NB_PYTHON_PREFIX/large" || sleep 1; sleep 0.02; done\n'
    },
    "a script that does not mind": {
        "postBuild": '#!/bin/sh\ndd if=/dev/zero of="$NB_PYTHON_PREFIX/large" bs=1M\nwhile echo on; do sleep 0.01; done\n'
    },
    "the checkout": {},  # large files, made by the process that needs them, and not by all that collect tests
}


@pytest.mark.parametrize("free_megabytes", [0, 8])
@pytest.mark.parametrize("case", FILLING)
async def test_a_disk_that_fills_up_during_a_build_is_said_and_freed_again(
    make_real_builds: MakeRealBuilds, disk: Path, new_repository: NewRepository, case: str, free_megabytes: int
) -> None:
    if case == "a script bit by bit" and not free_megabytes:
        pytest.skip("such a script would go on for ever, as it may")
    repository = new_repository(FILLING[case] or {f"large-{number}": os.urandom(10 * MEGABYTE) for number in range(3)})
    async with make_real_builds(processes=ProcessLimits(free_bytes=free_megabytes * MEGABYTE)) as made:
        ended = await made.make(repository.url)
        assert (ended.build.state, ended.code) == (State.FAILED, "disk_full"), ended.log[-3:]
        assert made.build_directory.half_made() == []
        assert (await made.make(new_repository({"a": "b"}, "small").url)).build.state is State.READY


# --- Git servers -----------------------------------------------------------------------------------------------------


async def test_a_git_server_that_says_nothing_begins_no_build_and_is_asked_again_next_time(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository
) -> None:
    repository = new_repository({"a": "b"})
    repository.hang()
    async with make_real_builds(git_seconds=1) as made:
        with pytest.raises(Unavailable) as caught:
            await made.ask(repository.url)
        assert (caught.value.status, caught.value.code) == (503, "git_server_timeout")
        assert await made.builds.list(ADMIN) == []
        assert running(repository.url) == [], "git is gone"
        repository.recover()
        assert (await made.make(repository.url)).build.state is State.READY


async def test_a_git_server_that_hangs_while_a_build_fetches_is_not_waited_for_for_ever(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository
) -> None:
    repository = new_repository({"a": "b"})
    commit = repository.rev("main")
    async with make_real_builds(BuildLimits(build_seconds=3)) as made:
        repository.hang()
        ended = await made.make(repository.url, commit)
        assert (ended.build.state, ended.code) == (State.FAILED, "build_timeout")
        assert running(repository.url) == []
        repository.recover()
        assert (await made.make(repository.url, commit)).build.state is State.READY


@pytest.mark.parametrize("trouble", ["answer", "drop"])
async def test_a_passing_trouble_of_a_git_server_is_waited_out_before_a_build(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, trouble: str
) -> None:
    repository = new_repository({"a": "b"})
    begin_trouble(repository, trouble, times=2)
    async with make_real_builds() as made:
        assert (await made.make(repository.url)).build.state is State.READY


@pytest.mark.parametrize("trouble", ["answer", "drop"])
async def test_a_passing_trouble_of_a_git_server_is_waited_out_in_a_build_which_says_so(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, trouble: str
) -> None:
    repository = new_repository({"a": "b"})
    commit = repository.rev("main")  # a commit needs no look-up, so the trouble is met by the build alone
    begin_trouble(repository, trouble, times=2)
    async with make_real_builds() as made:
        ended = await made.make(repository.url, commit)
    assert ended.build.state is State.READY
    assert [line for line in ended.log if "trying again" in line] == [
        "The Git server has a problem; trying again in 1 s.",
        "The Git server has a problem; trying again in 3 s.",
    ]


async def test_a_lasting_trouble_of_a_git_server_is_an_answer_that_is_not_remembered(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository
) -> None:
    repository = new_repository({"a": "b"})
    repository.answer(502)
    async with make_real_builds() as made:
        with pytest.raises(Unavailable) as caught:
            await made.ask(repository.url)
        assert caught.value.code == "git_server_unavailable"
        assert await made.builds.list(ADMIN) == []
        repository.recover()
        assert (await made.make(repository.url)).build.state is State.READY


async def test_what_is_not_there_is_asked_for_once(make_real_builds: MakeRealBuilds, new_repository: NewRepository) -> None:
    repository = new_repository({"a": "b"})
    repository.answer(404)
    async with make_real_builds() as made:
        with pytest.raises(NotFound) as caught:
            await made.ask(repository.url)
        assert caught.value.code == "repository_not_found"
        assert len(repository.requests) == 1
        repository.recover()
        assert (await made.make(repository.url)).build.state is State.READY


def begin_trouble(repository: Repository, kind: str, times: int) -> None:
    """Let a repository answer with a server's error, or break connections."""
    if kind == "answer":
        repository.answer(503, times)
    else:
        repository.drop(times)


# --- how many --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("limit", "user"), [("per_user", "alice"), ("per_repo", "bob")])
async def test_one_build_too_many_is_refused_with_when_to_come_back(
    service: Service, new_repository: NewRepository, gate: Gate, limit: str, user: str
) -> None:
    service.settings["Limits"] = {limit: 1, "ref_seconds": 0}
    repository = new_repository({"postBuild": gate.post_build})
    await service.start()
    first = await service.build(repository.url)
    repository.commit({"another": "commit"})
    refused = await service.ask("POST", "builds", user, json={"repo": repository.url})
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "too_many_builds")
    assert int(refused.headers["Retry-After"]) > 0
    assert (await service.build(repository.url, user, ref=first["commit"]))["id"] == first["id"], "joining is not beginning"
    gate.open()
    await service.event_log(first["id"])
    again, _ = await service.finished(repository.url, user)
    assert again["state"] == "ready"


# --- what does not want to end ---------------------------------------------------------------------------------------

SURVIVORS = {
    "in a session of its own": "setsid sleep {word} &",
    "deaf to being asked": "(trap '' TERM HUP INT; sleep {word}; sleep {word}) &",
    "a daemon": "python3 -c \"import os; os.fork() and exit(); os.setsid(); os.fork() and exit(); os.execlp('sleep', 'sleep', '{word}')\"",
    "without its mark": "env -i setsid sleep {word} &",
}


@pytest.mark.parametrize("kind", SURVIVORS)
async def test_what_a_build_leaves_running_ends_with_it(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, word: str, kind: str
) -> None:
    script = SURVIVORS[kind].format(word=word)
    repository = new_repository({"postBuild": f"#!/bin/bash\n{script}\nwhile ! pgrep -f 'sleep {word}' >/dev/null; do sleep 0.05; done\n"})
    async with make_real_builds() as made:
        assert (await made.make(repository.url)).build.state is State.READY
    assert running(word) == []


@pytest.mark.parametrize("kind", SURVIVORS)
async def test_cancelling_ends_all_that_a_build_started(
    make_real_builds: MakeRealBuilds, new_repository: NewRepository, gate: Gate, word: str, kind: str
) -> None:
    script = SURVIVORS[kind].format(word=word)
    repository = new_repository({"postBuild": f"#!/bin/bash\n{script}\n{gate.post_build}"})
    async with make_real_builds() as made:
        build = await made.ask(repository.url)
        await asyncio.to_thread(gate.wait_until_reached)
        await asyncio.to_thread(wait_until_running, word, 1)
        cancelled = await made.builds.cancel(build.id, ADMIN)
        assert cancelled.state is State.CANCELLED
        assert running(word) == []
        ended = await made.end(build)
        assert ended.code == "cancelled"
    assert made.build_directory.half_made() == []
