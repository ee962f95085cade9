"""The policy with a real Git provider and real build processes, in the test's own process."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from binderhub_service.builds.builds import Builds
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.models import Build, Caller, Event, Kind, Request
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.ls_remote import LsRemote
from binderhub_service.store.store import Store
from binderhub_service.worker.job import ProcessLimits
from tests.harness.build_directory import BuildDirectory
from tests.harness.empty_database import write_empty_database
from tests.harness.records import ADMIN, ALICE, whole
from tests.harness.waiting import wait_for, within


@dataclass
class Ended:
    """A build that ended, and its event log."""

    build: Build
    event_log: list[Event] = field(repr=False)

    @property
    def code(self) -> str | None:
        """The code of its error."""
        return self.build.error["code"] if self.build.error else None

    @property
    def log(self) -> list[str]:
        """The lines of its log."""
        return [event.payload["text"] for event in self.event_log if event.kind is Kind.LOG]


@dataclass
class RealBuilds:
    """Real builds with their policy."""

    store: Store
    builds: Builds
    build_directory: BuildDirectory

    async def ask(self, url: str, ref: str = "", caller: Caller = ALICE) -> Build:
        """Ask for a build."""
        build, _ = await self.builds.ensure(Request(url, ref), caller)
        return build

    async def end(self, build: Build) -> Ended:
        """Wait for a build's end; check that its event log has no gap and one end."""
        async with within():
            event_log = await whole(self.builds.follow(build.id, ADMIN))
        assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
        assert [event.number for event in event_log if event.kind is Kind.END] == [len(event_log)]
        return Ended(await self.builds.get(build.id, ADMIN), event_log)

    async def make(self, url: str, ref: str = "") -> Ended:
        """Ask for a build and wait for its end."""
        return await self.end(await self.ask(url, ref))


@asynccontextmanager
async def real_builds(
    build_directory: BuildDirectory, database: Path, limits: BuildLimits, processes: ProcessLimits, git_seconds: float = 30
) -> AsyncIterator[RealBuilds]:
    """Yield builds with limits, on a new database."""
    store = Store(write_empty_database(database))
    await store.open()
    builder = build_directory.builder(processes)
    builds = Builds(
        store=store, providers=[GitProvider(LsRemote(timeout_seconds=git_seconds))], images=build_directory.images, builder=builder, limits=limits
    )
    try:
        yield RealBuilds(store, builds, build_directory)
    finally:
        await builds.close()
        await store.close()


def running(mark: str) -> list[int]:
    """Return the living processes that have a word in their command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and mark in process.cmdline():
                found.append(process.pid)
    return found


def wait_until_running(mark: str, count: int) -> None:
    """Wait until so many processes have a word in their command line."""
    wait_for(lambda: len(running(mark)) == count, f"{count} processes with {mark}", timeout_seconds=30)


@contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Path]:
    """Mount a disk of so many megabytes; skip, saying why, where that is not allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    if os.getuid() != 0 or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte; return the file that does, to be removed."""
    path = disk / "ballast"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(64 * 1024))
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0")
    return path
