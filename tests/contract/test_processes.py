"""What only builders with processes of their own have to keep: nothing outlives a build, nothing is lost, nothing is seen."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import pytest

from binderhub_service.builders import process as command_line
from binderhub_service.builders.detached import stop_all
from binderhub_service.builders.process import ProcessBuilder
from binderhub_service.errors import BuildFailed
from binderhub_service.models import Build
from binderhub_service.worker.job import JobDirectory
from binderhub_service.worker.main import main as work
from tests.harness.build_directory import BuildDirectory
from tests.harness.following import followed
from tests.harness.gate import BEFORE, Gate
from tests.harness.git_server import Repository
from tests.harness.processes import describe, processes_of
from tests.harness.waiting import until

SECRET = "sekret-value"
NewRepository = Callable[..., Repository]


@pytest.fixture
def at_gate(build_directory: BuildDirectory, new_repository: NewRepository, gate: Gate) -> Build:
    """A build that will stand at the gate, having left processes of all kinds behind."""
    script = gate.post_build.replace("#!/bin/sh\n", "#!/bin/sh\nsleep 61 &\nsetsid sleep 62 &\n(setsid nohup sleep 63 >/dev/null 2>&1 &) \n")
    repository = new_repository({"postBuild": script})
    return build_directory.ask(repository.url, repository.rev("main"))


def job(build_directory: BuildDirectory, build: Build) -> JobDirectory:
    return JobDirectory(build_directory.root / "builds" / build.id)


async def reach_gate(build_directory: BuildDirectory, build: Build) -> None:
    async with aclosing(build_directory.builder().run(build)) as reports:
        async for report in reports:
            if report.data.get("text") == BEFORE:
                return


async def test_stopping_ends_every_process_and_leaves_nothing_half_made(build_directory: BuildDirectory, at_gate: Build) -> None:
    await reach_gate(build_directory, at_gate)
    await until(lambda: describe(processes_of(build_directory.root)).count(": sleep ") >= 3, "the processes that were detached, and one at the gate")
    assert build_directory.half_made()
    await build_directory.builder().stop(at_gate)
    assert processes_of(build_directory.root) == []
    assert build_directory.half_made() == []
    assert await build_directory.images.exists(at_gate.image.name) is None


async def test_stopping_in_the_first_moment_ends_the_process_too(
    build_directory: BuildDirectory, at_gate: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = build_directory.builder()
    following = asyncio.create_task(anext(builder.run(at_gate)))
    await until((build_directory.root / "builds" / at_gate.id / "output").exists, "the process")
    following.cancel()
    monkeypatch.setattr("binderhub_service.builders.detached._GONE_SECONDS", 600)
    began = time.monotonic()
    await builder.stop(at_gate)
    assert time.monotonic() - began < 300
    assert processes_of(build_directory.root) == []
    assert build_directory.half_made() == []


async def test_what_a_build_left_running_ends_with_it(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"postBuild": "#!/bin/sh\nsetsid sleep 64 &\nsleep 65 &\necho done\n"})
    made = await build_directory.make_by_process(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error is None
    assert "done" in made.log
    assert processes_of(build_directory.root) == []


async def test_a_process_that_is_gone_without_a_word_is_lost(build_directory: BuildDirectory, at_gate: Build) -> None:
    builder = build_directory.builder()
    await reach_gate(build_directory, at_gate)
    pid = job(build_directory, at_gate).pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BuildFailed) as caught:
        async for _ in builder.run(at_gate):
            pass
    assert caught.value.code == "builder_lost"
    assert processes_of(build_directory.root) == [], "what it had started is gone as well"
    assert build_directory.half_made() == []


async def test_a_build_survives_the_process_that_began_it(build_directory: BuildDirectory, at_gate: Build, gate: Gate) -> None:
    await reach_gate(build_directory, at_gate)
    pid = job(build_directory, at_gate).pid()
    assert pid
    assert os.getsid(pid) == pid != os.getsid(0)
    gate.open()
    made = await build_directory.make_by_process(at_gate)
    assert made.error is None
    assert made.log.count(BEFORE) == 1


async def test_a_script_sees_no_secret_of_the_service(
    build_directory: BuildDirectory, new_repository: NewRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "JUPYTERHUB_API_TOKEN",
        "JUPYTERHUB_CRYPT_KEY",
        "BINDERHUB_SERVICE_CONFIG",
        "CONFIGPROXY_AUTH_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "ANY",
    ):
        monkeypatch.setenv(name, SECRET)
    repository = new_repository({"postBuild": "#!/bin/sh\nenv\ntr '\\0' '\\n' < /proc/$PPID/environ\n"})
    made = await build_directory.make_by_process(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error is None
    log = "\n".join(made.log)
    assert "PATH=" in log
    assert "UV_CACHE_DIR=" in log, "where packages come from is passed on"
    assert SECRET not in log
    assert "JUPYTERHUB_" not in log


async def test_forgetting_removes_the_records(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "x"})
    build = build_directory.ask(repository.url, repository.rev("main"))
    await build_directory.make_by_process(build)
    await build_directory.builder().forget(build)
    assert list((build_directory.root / "builds").iterdir()) == []
    assert await build_directory.images.exists(build.image.name)


async def test_all_builds_of_a_directory_end_at_once(build_directory: BuildDirectory, at_gate: Build) -> None:
    await reach_gate(build_directory, at_gate)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "binderhub_service.builders.process", "stop", str(build_directory.root / "builds")], check=True
    )
    assert done.returncode == 0
    assert processes_of(build_directory.root) == []
    stop_all(build_directory.root / "nowhere")


@pytest.mark.parametrize("arguments", [[], ["stop"], ["start", "x"]])
def test_the_command_line_says_how_it_is_used(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        command_line.main(arguments)


async def test_a_job_is_done_once(build_directory: BuildDirectory, new_repository: NewRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = new_repository({"README.md": "x"})
    build = build_directory.ask(repository.url, repository.rev("main"))
    await build_directory.make_by_process(build)
    directory = job(build_directory, build)
    pid, events = directory.pid(), directory.events.read_bytes()
    work(directory.path)
    assert (directory.pid(), directory.events.read_bytes()) == (pid, events)


def test_a_job_that_another_process_has_is_left_to_it(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path)
    assert not directory.is_running()
    lock = directory.lock()
    assert lock
    work(tmp_path)
    assert directory.is_running()
    assert directory.pid() is None
    os.close(lock)
    assert not directory.is_running()


# --- a process that waits for a build ---------------------------------------------------------------------------------


def spare_of(builder: ProcessBuilder) -> subprocess.Popen[bytes]:
    builder.prepare()
    spare = builder._spare._process
    assert spare
    return spare


def nothing_to_fetch(build_directory: BuildDirectory) -> Build:
    return build_directory.ask("file:///nowhere", "0" * 40)


async def test_a_build_is_made_by_the_process_that_waits_and_the_next_by_one_of_its_own(build_directory: BuildDirectory) -> None:
    builder = build_directory.builder()
    spare = spare_of(builder)
    for is_spare in (True, False):
        build = nothing_to_fetch(build_directory)
        _, error = await followed(builder, build)
        assert error
        assert error.code == "fetch_failed"
        assert (job(build_directory, build).pid() == spare.pid) is is_spare


async def test_a_build_that_was_given_a_moment_ago_is_stopped(build_directory: BuildDirectory) -> None:
    builder = build_directory.builder()
    spare, build = spare_of(builder), nothing_to_fetch(build_directory)
    spare.send_signal(signal.SIGSTOP)  # it has read nothing yet
    following = asyncio.create_task(followed(builder, build))
    await until(lambda: build.id in builder._children, "the process to be given the job")
    await builder.stop(build)
    assert spare.returncode == -signal.SIGKILL
    following.cancel()
    await asyncio.wait([following])


async def test_a_process_that_waits_and_is_killed_keeps_no_build_from_being_made(build_directory: BuildDirectory) -> None:
    builder = build_directory.builder()
    spare, build = spare_of(builder), nothing_to_fetch(build_directory)
    spare.kill()
    spare.wait()
    _, error = await followed(builder, build)
    assert error
    assert error.code == "fetch_failed"


async def test_a_process_that_waits_ends_with_the_service(build_directory: BuildDirectory) -> None:
    builder = build_directory.builder()
    spare = spare_of(builder)
    assert spare.stdin
    spare.stdin.close()  # as the death of the service does
    await until(lambda: spare.poll() is not None, "the process to notice that")
    assert spare.returncode == 0
    spare = spare_of(builder)
    await builder.close()
    assert spare.returncode == -signal.SIGKILL
