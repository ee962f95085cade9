"""Real builds by real build processes, with a package index of our own: for tests of the process builder and its recipe."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binderhub_service.builders.detached import stop_all
from binderhub_service.builders.process import ProcessBuilder
from binderhub_service.errors import BinderError
from binderhub_service.images.environments import MADE, EnvironmentImages
from binderhub_service.models import Build, Image, Kind, Phase, Source, State, now
from binderhub_service.names import new_build_id
from binderhub_service.worker.environment_job import EnvironmentSettings
from binderhub_service.worker.job import Job, JobDirectory, ProcessLimits
from binderhub_service.worker.main import clean_environment
from binderhub_service.worker.processes import MARK
from binderhub_service.worker.recipes.environment import make_image
from binderhub_service.worker.reporter import Reporter
from tests.harness.following import followed, texts
from tests.harness.waiting import HANGS_SECONDS

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def find_uv() -> str:
    """Return the uv program that tests use."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else str(shutil.which("uv"))


@dataclass
class Made:
    """What came of a build: its log, and the error it failed with."""

    build: Build
    log: list[str]
    error: dict[str, Any] | None


class BuildDirectory:
    """A directory for builds; environments hold the package `base` of the index beside what a repository asks for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._builders: list[ProcessBuilder] = []
        self.settings = EnvironmentSettings(base=("base",), python=PYTHON, uv=find_uv())

    def builder(self, limits: ProcessLimits = ProcessLimits()) -> ProcessBuilder:  # noqa: B008  # frozen
        """Return a builder as a service that just started has it."""
        builder = ProcessBuilder(self.root, self.settings, limits)
        self._builders.append(builder)
        return builder

    def close(self) -> None:
        """End all builds, and the children of builders that nobody uses any more."""
        stop_all(self.root / "builds")
        for builder in self._builders:
            builder._spare.end()
            for child in builder._children.values():
                child.wait(HANGS_SECONDS)

    @property
    def images(self) -> EnvironmentImages:
        """The images made here."""
        return EnvironmentImages(self.root, self.settings.as_text())

    def ask(self, url: str, commit: str, *, force: bool = False, ref: str = "main") -> Build:
        """Return a new build of a commit."""
        source = Source("git", url, url, url, ref, commit)
        image = Image(self.images.name_for(source))
        return Build(new_build_id(now()), source, image, State.RUNNING, Phase.FETCHING, "alice", now(), force=force)

    async def make(self, build: Build, limits: ProcessLimits = ProcessLimits()) -> Made:  # noqa: B008  # frozen
        """Run the recipe as a build's process runs it, in a thread of this one: for tests of what it makes and says."""
        directory = JobDirectory(self.root / "builds" / build.id)
        directory.write_job(Job.of(build, self.root.resolve(), "environment", self.settings, limits))
        error = await asyncio.to_thread(_follow_recipe, directory)
        if error:  # as the service does
            await self.images.withdraw(build.image.name)
        told = [json.loads(line) for line in directory.events.read_bytes().splitlines()]
        return Made(build, [report["data"]["text"] for report in told if report["kind"] == Kind.LOG], error)

    async def make_by_process(self, build: Build, limits: ProcessLimits = ProcessLimits()) -> Made:  # noqa: B008  # frozen
        """Run a build to its end, in a process of its own as the service does."""
        reports, error = await followed(self.builder(limits), build)
        return Made(build, texts(reports), error.as_dict() if error else None)

    def manifest(self, build: Build) -> dict[str, Any]:
        """Return the manifest of a build's image."""
        content: dict[str, Any] = json.loads((self.root / "images" / build.image.name / "image.json").read_text())
        return content

    def half_made(self) -> list[str]:
        """Return what was made and is not led to by any link."""
        found = []
        for folder in ("images", "environments"):
            led_to = {link.resolve() for link in (self.root / folder).glob("*") if link.is_symlink()}
            found += [path.name for path in (self.root / folder / MADE).glob("*") if path.suffix != ".lock" and path.resolve() not in led_to]
        return found


def _follow_recipe(directory: JobDirectory) -> dict[str, Any] | None:
    """Make what a job says; return the error it ends with."""
    job = directory.read_job()
    with directory.events.open("ab", buffering=0) as events:
        try:
            make_image(job, Reporter(events, job.limits.log_bytes), clean_environment(os.environ) | {MARK: job.build_id})
        except BinderError as error:
            return error.as_dict()
    return None
