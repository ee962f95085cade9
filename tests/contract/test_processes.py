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
from binderhub_service.builders.job import JobDirectory
from binderhub_service.builders.worker import main as work
from binderhub_service.errors import BuildFailed
from binderhub_service.models import Build
from tests.harness.gate import BEFORE, Gate
from tests.harness.git_server import Repository
from tests.harness.processes import processes_of
from tests.harness.records import until
from tests.harness.workbench import Workbench

SECRET = "sekret-value"
NewRepository = Callable[..., Repository]


@pytest.fixture
def at_gate(workbench: Workbench, new_repository: NewRepository, gate: Gate) -> Build:
    """A build that will stand at the gate, having left processes of all kinds behind."""
    script = gate.post_build.replace("#!/bin/sh\n", "#!/bin/sh\nsleep 61 &\nsetsid sleep 62 &\n(setsid nohup sleep 63 >/dev/null 2>&1 &) \n")
    repository = new_repository({"postBuild": script})
    return workbench.ask(repository.url, repository.rev("main"))


def job(workbench: Workbench, build: Build) -> JobDirectory:
    return JobDirectory(workbench.root / "builds" / build.id)


async def reach_gate(workbench: Workbench, build: Build) -> None:
    async with aclosing(workbench.builder().run(build)) as reports:
        async for report in reports:
            if report.data.get("text") == BEFORE:
                return


async def test_stopping_ends_every_process_and_leaves_nothing_half_made(workbench: Workbench, at_gate: Build) -> None:
    await reach_gate(workbench, at_gate)
    sleepers = [one for one in processes_of(workbench.root) if one.name() == "sleep"]
    assert len(sleepers) >= 3
    assert workbench.half_made()
    await workbench.builder().stop(at_gate)
    assert processes_of(workbench.root) == []
    assert workbench.half_made() == []
    assert await workbench.images.exists(at_gate.image.name) is None


async def test_stopping_in_the_first_moment_ends_the_process_too(workbench: Workbench, at_gate: Build) -> None:
    builder = workbench.builder()
    following = asyncio.create_task(anext(builder.run(at_gate)))
    await until((workbench.root / "builds" / at_gate.id / "output").exists, "the process")
    following.cancel()
    began = time.monotonic()
    await builder.stop(at_gate)
    assert time.monotonic() - began < 8
    assert processes_of(workbench.root) == []
    assert workbench.half_made() == []


async def test_what_a_build_left_running_ends_with_it(workbench: Workbench, new_repository: NewRepository) -> None:
    repository = new_repository({"postBuild": "#!/bin/sh\nsetsid sleep 64 &\nsleep 65 &\necho done\n"})
    made = await workbench.make(workbench.ask(repository.url, repository.rev("main")))
    assert made.error is None
    assert "done" in made.log
    assert processes_of(workbench.root) == []


async def test_a_process_that_is_gone_without_a_word_is_lost(workbench: Workbench, at_gate: Build) -> None:
    builder = workbench.builder()
    await reach_gate(workbench, at_gate)
    pid = job(workbench, at_gate).pid()
    assert pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(BuildFailed) as caught:
        async for _ in builder.run(at_gate):
            pass
    assert caught.value.code == "builder_lost"
    assert processes_of(workbench.root) == [], "what it had started is gone as well"
    assert workbench.half_made() == []


async def test_a_build_survives_the_process_that_began_it(workbench: Workbench, at_gate: Build, gate: Gate) -> None:
    await reach_gate(workbench, at_gate)
    pid = job(workbench, at_gate).pid()
    assert pid
    assert os.getsid(pid) == pid != os.getsid(0)
    gate.open()
    made = await workbench.make(at_gate)
    assert made.error is None
    assert made.log.count(BEFORE) == 1


async def test_a_script_sees_no_secret_of_the_service(workbench: Workbench, new_repository: NewRepository, monkeypatch: pytest.MonkeyPatch) -> None:
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
    made = await workbench.make(workbench.ask(repository.url, repository.rev("main")))
    assert made.error is None
    log = "\n".join(made.log)
    assert "PATH=" in log
    assert "UV_CACHE_DIR=" in log, "where packages come from is passed on"
    assert SECRET not in log
    assert "JUPYTERHUB_" not in log


async def test_forgetting_removes_the_records(workbench: Workbench, new_repository: NewRepository) -> None:
    repository = new_repository({"README.md": "x"})
    build = workbench.ask(repository.url, repository.rev("main"))
    await workbench.make(build)
    await workbench.builder().forget(build)
    assert list((workbench.root / "builds").iterdir()) == []
    assert await workbench.images.exists(build.image.name)


async def test_all_builds_of_a_directory_end_at_once(workbench: Workbench, at_gate: Build) -> None:
    await reach_gate(workbench, at_gate)
    done = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-m", "binderhub_service.builders.process", "stop", str(workbench.root / "builds")], check=True
    )
    assert done.returncode == 0
    assert processes_of(workbench.root) == []
    stop_all(workbench.root / "nowhere")


@pytest.mark.parametrize("arguments", [[], ["stop"], ["start", "x"]])
def test_the_command_line_says_how_it_is_used(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="usage"):
        command_line.main(arguments)


async def test_a_job_is_done_once(workbench: Workbench, new_repository: NewRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = new_repository({"README.md": "x"})
    build = workbench.ask(repository.url, repository.rev("main"))
    await workbench.make(build)
    directory = job(workbench, build)
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
