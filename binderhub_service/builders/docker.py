"""Images by repo2docker in a container engine, made in detached processes."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from pathlib import Path

from ..clients.engine import Engine
from ..errors import BinderError
from ..images.build_artifacts import BuildArtifacts, remove_leftovers
from ..models import Build, Report
from ..worker.docker_job import DockerSettings
from ..worker.job import ProcessLimits
from .detached import DetachedBuilder

log = logging.getLogger("binderhub_service")


class DockerBuilder(DetachedBuilder):
    """Makes images with repo2docker.

    Args:
        root: the directory that holds ``builds``.
        on_made: called with the name of every image that was made.
        before: awaited with the name of every image that is to be made; what it raises ends the build before it begins.
    """

    def __init__(
        self,
        root: Path,
        engine: Engine,
        settings: DockerSettings,
        limits: ProcessLimits = ProcessLimits(),  # noqa: B008  # frozen
        on_made: Callable[[str], None] = lambda name: None,
        before: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        super().__init__(root, "repo2docker", settings, limits)
        self._engine = engine
        self._instance_id = settings.instance_id
        self._on_made = on_made
        self._before = before

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Make the image as every detached builder does."""
        if self._before and not self.has_begun(build):
            await self._before(build.image.name)
        async for report in super().run(build, after):
            yield report
        self._on_made(build.image.name)

    async def forget_all_but(self, build_ids: Collection[str]) -> None:
        """Remove the jobs of all other builds, and what they have left in the engine."""
        await super().forget_all_but(build_ids)
        try:
            await asyncio.to_thread(remove_leftovers, self._engine, self._instance_id, lambda build_id: build_id not in build_ids)
        except BinderError as error:
            log.warning("What builds left in the engine could not be removed: %s", error.message)

    async def check(self) -> None:
        """Raise `Unavailable` if the engine does not answer."""
        await super().check()
        await asyncio.to_thread(self._engine.version)

    def clear(self, build_id: str) -> None:
        """Remove the build's container, its unfinished image and its checkout."""
        try:
            BuildArtifacts(self._instance_id, build_id).clear(self._engine)
        except BinderError as error:
            log.warning("What build %s left in the engine could not be removed: %s", build_id, error.message)
        for made in ("content", "environment", "docker"):
            shutil.rmtree(self._root / "builds" / build_id / made, ignore_errors=True)
