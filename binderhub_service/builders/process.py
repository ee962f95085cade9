"""Builds as detached processes of this machine: no container, no cluster, and no loss when the service restarts.

    python -m binderhub_service.builders.process stop BUILDS_DIRECTORY    end all of them
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import BuildFailed
from ..images.environments import MADE
from ..models import Build, Kind, Report
from .base import Builder
from .job import Job, JobDirectory
from .worker import clean_environment

log = logging.getLogger("binderhub_service")
_SHORTEST_WAIT_SECONDS = 0.02
_LONGEST_WAIT_SECONDS = 0.25
_READ_BYTES = 256 * 1024
_TERM_SECONDS = 5.0
_KILL_SECONDS = 5.0


@dataclass(frozen=True)
class Settings:
    """What shapes every environment.

    Attributes:
        base: requirements that are part of every environment.
        python: the Python version where a repository asks for none, e.g. ``3.12``.
        uv: the uv program.
    """

    base: tuple[str, ...]
    python: str
    uv: str

    def as_text(self) -> str:
        """Return the settings as they enter the names of images and the keys of environments."""
        return json.dumps([self.base, self.python])


class ProcessBuilder(Builder):
    """Makes environments with uv, in a process per build that outlives the service.

    Args:
        root: the directory that holds ``builds``, ``images`` and ``environments``.
    """

    def __init__(self, root: Path, settings: Settings) -> None:
        self._root = root
        self._settings = settings
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Start the build's process unless it was started before, and follow what it writes; the cursor is a byte offset."""
        directory = self._directory(build)
        if directory.pid() is None:
            self._start(directory, build)
        async for report in self._follow(directory, build, int(after or 0)):
            yield report
        self._end(directory, build)

    async def stop(self, build: Build) -> None:
        """Kill the build's process group and remove what is half made."""
        directory = self._directory(build)
        await asyncio.to_thread(_stop_process, directory)
        self._reap(build.id)
        await asyncio.to_thread(self._clear, build.id)

    async def forget(self, build: Build) -> None:
        """Remove the job directory."""
        await asyncio.to_thread(shutil.rmtree, self._directory(build).path, ignore_errors=True)

    def _directory(self, build: Build) -> JobDirectory:
        return JobDirectory(self._root / "builds" / build.id)

    def _start(self, directory: JobDirectory, build: Build) -> None:
        source = build.source
        directory.write_job(
            Job(
                build_id=build.id,
                url=source.url,
                repo=source.repo,
                ref=source.ref,
                commit=source.commit,
                image=build.image.name,
                force=build.force,
                root=str(self._root),
                base=self._settings.base,
                python=self._settings.python,
                settings=self._settings.as_text(),
                uv=self._settings.uv,
            )
        )
        with directory.output.open("wb") as output:
            self._children[build.id] = subprocess.Popen(
                [sys.executable, "-m", "binderhub_service.builders.worker", str(directory.path)],
                start_new_session=True,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=clean_environment(os.environ),
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
            wait = _SHORTEST_WAIT_SECONDS if chunk else min(_LONGEST_WAIT_SECONDS, wait * 1.5)
            await asyncio.sleep(wait)

    def _is_running(self, directory: JobDirectory, build: Build) -> bool:
        child = self._children.get(build.id)
        if child is not None and child.poll() is None:
            return True
        return directory.is_running()

    def _end(self, directory: JobDirectory, build: Build) -> None:
        self._reap(build.id)
        record = directory.read_exit()
        if record is None:
            log.error("The process of build %s ended without a record: %s", build.id, _tail(directory.output))
            self._clear(build.id)
            raise BuildFailed("The process that made the build is gone.", code="builder_lost", hint="Ask again; it starts anew.")
        if "error" in record:
            raise BuildFailed(**record["error"])

    def _reap(self, build_id: str) -> None:
        child = self._children.pop(build_id, None)
        if child is not None:
            child.wait()

    def _clear(self, build_id: str) -> None:
        """Remove what a dead process left half made."""
        for folder in ("images", "environments"):
            for made in (self._root / folder / MADE).glob(f"*.{build_id}"):
                link = made.parent.parent / made.name.removesuffix(f".{build_id}")
                if link.resolve() != made.resolve():
                    shutil.rmtree(made, ignore_errors=True)


def stop_all(builds: Path) -> None:
    """End every build process that belongs to a directory of jobs."""
    for directory in _jobs(builds):
        _stop_process(directory)


def _jobs(builds: Path) -> Iterator[JobDirectory]:
    return (JobDirectory(path) for path in sorted(builds.glob("*")) if path.is_dir())


def _stop_process(directory: JobDirectory) -> None:
    """Kill the process group of a job, gently first; returns when its process is gone."""
    pid = directory.pid()
    if pid is None or not directory.is_running():
        return
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGTERM)
        _wait_until_gone(directory, _TERM_SECONDS)
        os.killpg(pid, signal.SIGKILL)  # whoever in the group did not listen
    _wait_until_gone(directory, _KILL_SECONDS)


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


def main(arguments: list[str]) -> None:
    """Run the command line."""
    if len(arguments) != 2 or arguments[0] != "stop":
        raise SystemExit("usage: python -m binderhub_service.builders.process stop BUILDS_DIRECTORY")
    stop_all(Path(arguments[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
