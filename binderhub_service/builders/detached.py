"""Builds in detached processes of this machine: the service may come and go while they go on."""

from __future__ import annotations

import asyncio
import errno
import json
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from ..common.private import private_folder
from ..errors import BuildFailed, Unavailable
from ..models import Build, Kind, Report
from ..worker.guards import Guard, disk_full
from ..worker.job import Job, JobDirectory, ProcessLimits
from ..worker.main import clean_environment
from ..worker.processes import MARK, end_all_of, end_family_of
from .base import Builder
from .spare import SpareProcess

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger("binderhub_service")
_SHORTEST_WAIT_SECONDS = 0.01
_WAITS_GROW_BY = 1.1  # so that what happens is seen late by a tenth of the silence before it, at most
_LONGEST_WAIT_SECONDS = 0.25
_READ_BYTES = 256 * 1024
_GONE_SECONDS = 5.0


class DetachedBuilder(Builder):
    """Follows a recipe in a process per build that outlives the service.

    Args:
        root: the directory that holds ``builds`` and whatever the recipe makes.
        recipe: the module of `recipes` that makes images.
        settings: what the recipe needs to know, its record of settings.
        limits: what a build may use of this machine.
    """

    def __init__(self, root: Path, recipe: str, settings: DataclassInstance, limits: ProcessLimits) -> None:
        self._root = root.resolve()  # it becomes part of what is made, where it is compared
        self._recipe = recipe
        self._settings = settings
        self._limits = limits
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._spare = SpareProcess(recipe)

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Start the build's process unless it was started before, and follow what it writes; the cursor is a byte offset."""
        directory = self._directory(build)
        if not self.has_begun(build):
            try:
                self._start(directory, build)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    raise disk_full() from error
                raise
        async for report in self._follow(directory, build, int(after or 0)):
            yield report
        await self._end(directory, build)

    def prepare(self) -> None:
        """Have a process ready for the next build, which saves its imports; a build does without where none can be started."""
        try:
            self._spare.begin()
        except OSError as error:
            log.warning("No process waits for the next build: %s", error)

    async def close(self) -> None:
        """Let the process that waits for a build end; those that make one go on."""
        await asyncio.to_thread(self._spare.end)

    def has_begun(self, build: Build) -> bool:
        """Say whether the build's process was started before, maybe by another service."""
        return self._directory(build).pid() is not None

    async def stop(self, build: Build) -> None:
        """End the build's process and everything it started, and remove what is half made."""
        child = self._children.get(build.id)
        if child is not None and child.poll() is None:  # it may have been given the job a moment ago, and carries no mark
            await asyncio.to_thread(end_family_of, child.pid)
        await asyncio.to_thread(_stop_process, self._directory(build), build.id)
        self._reap(build.id)
        await asyncio.to_thread(self.clear, build.id)

    async def forget(self, build: Build) -> None:
        """Remove the job directory."""
        await asyncio.to_thread(shutil.rmtree, self._directory(build).path, ignore_errors=True)

    async def forget_all_but(self, build_ids: Collection[str]) -> None:
        """End and remove the jobs of all other builds: their end was stored right before the service was killed."""
        for directory in _jobs(self._root / "builds"):
            if directory.path.name not in build_ids:
                await asyncio.to_thread(_stop_process, directory, directory.path.name)
                await asyncio.to_thread(shutil.rmtree, directory.path, ignore_errors=True)

    async def check(self) -> None:
        """Raise `Unavailable` if there is no space for another build."""
        private_folder(self._root)
        try:
            Guard(self._limits, self._root).check()
        except BuildFailed as error:
            raise Unavailable(error.message, code=error.code, hint=error.hint) from error

    def _directory(self, build: Build) -> JobDirectory:
        return JobDirectory(self._root / "builds" / build.id)

    def _start(self, directory: JobDirectory, build: Build) -> None:
        directory.write_job(Job.of(build, self._root, self._recipe, self._settings, self._limits))
        if given := self._spare.give(directory.path):
            self._children[build.id] = given
            return
        with directory.output.open("wb") as output:
            self._children[build.id] = subprocess.Popen(  # noqa: S603  # our own program, and a directory named by us
                [sys.executable, "-m", "binderhub_service.worker.main", str(directory.path)],
                start_new_session=True,
                umask=0o077,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(os.environ) | {MARK: build.id},
            )

    async def _follow(self, directory: JobDirectory, build: Build, offset: int) -> AsyncGenerator[Report]:
        wait = _SHORTEST_WAIT_SECONDS
        while True:
            running = self._is_running(directory, build)  # before reading: what a dead process wrote is all there
            chunk = _complete_lines(directory.events, offset)
            for line in chunk.splitlines(keepends=True):
                offset += len(line)
                told = json.loads(line)
                yield Report(Kind(told["kind"]), told["data"], cursor=str(offset))
            if not chunk and not running:
                return
            wait = _SHORTEST_WAIT_SECONDS if chunk else min(_LONGEST_WAIT_SECONDS, wait * _WAITS_GROW_BY)
            await asyncio.sleep(wait)

    def _is_running(self, directory: JobDirectory, build: Build) -> bool:
        child = self._children.get(build.id)
        if child is not None and child.poll() is None:
            return True
        return directory.is_running()

    async def _end(self, directory: JobDirectory, build: Build) -> None:
        self._reap(build.id)
        record = directory.read_exit()
        if record is None:
            log.error("The process of build %s ended without a record: %s", build.id, _tail(directory.output))
            await self.stop(build)
            raise BuildFailed("The process that made the build is gone.", code="builder_lost", hint="Ask again; it starts anew.")
        if "error" in record:
            raise BuildFailed(**record["error"])

    def _reap(self, build_id: str) -> None:
        child = self._children.pop(build_id, None)
        if child is not None:
            child.wait()

    def clear(self, build_id: str) -> None:
        """Remove what a dead process left half made; for those who know where."""


def stop_all(builds: Path) -> None:
    """End every build process that belongs to a directory of jobs."""
    for directory in _jobs(builds):
        _stop_process(directory, directory.path.name)


def _jobs(builds: Path) -> Iterator[JobDirectory]:
    return (JobDirectory(path) for path in sorted(builds.glob("*")) if path.is_dir())


def _stop_process(directory: JobDirectory, build_id: str) -> None:
    """End a job's process and whatever it started; returns when all are gone."""
    pid = directory.pid()
    if pid is not None and directory.is_running():
        end_family_of(pid)
        _wait_until_gone(directory, _GONE_SECONDS)
    end_all_of(build_id)


def _wait_until_gone(directory: JobDirectory, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while directory.is_running() and time.monotonic() < deadline:
        time.sleep(0.02)


def _complete_lines(path: Path, offset: int) -> bytes:
    """Return the whole lines that stand in a file behind an offset, a bounded number of them; none if there is no file yet."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            chunk = file.read(_READ_BYTES)
    except FileNotFoundError:
        return b""
    return chunk[: chunk.rfind(b"\n") + 1]


def _tail(path: Path, size: int = 4000) -> str:
    return path.read_bytes()[-size:].decode(errors="replace") if path.exists() else ""
