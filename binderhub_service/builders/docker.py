"""Images by repo2docker in a container engine, made in detached processes."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..errors import BinderError
from ..images.engine import Engine, EngineAddress
from ..models import Build, Report
from .detached import DetachedBuilder
from .image_settings import ImageSettings
from .job import Limits

log = logging.getLogger("binderhub_service")


@dataclass(frozen=True, kw_only=True)
class DockerSettings(ImageSettings):
    """How a container engine makes images.

    Attributes:
        push: whether `image_prefix` names a registry that images are pushed to.
        docker_config: Docker's configuration directory of whoever runs this hub.
        logins: a file with registry logins that are not in Docker's configuration; it may be missing.
        state: a directory for repo2docker itself, the builders of limited builds, and locks.
        uv: the uv program, which installs repo2docker.
        repo2docker: a repo2docker program to use instead of installing `repo2docker_version`; empty for none.
        cpus: how many processors a build may use; 0 for all.
        buildkit_image: what limited builds run in (repo2docker 2025 and newer).
    """

    engine: EngineAddress
    push: bool
    docker_config: str
    logins: str
    state: str
    uv: str
    repo2docker: str = ""
    cpus: float = 0.0
    buildkit_image: str = "moby/buildkit:buildx-stable-1"

    @classmethod
    def from_job(cls, content: Mapping[str, Any]) -> DockerSettings:
        """Return the settings that a job file holds."""
        lists = {"repo2docker_arguments": tuple(content["repo2docker_arguments"])}
        return cls(**{**content, **lists, "engine": EngineAddress(**content["engine"])})


class DockerBuilder(DetachedBuilder):
    """Makes images with repo2docker.

    Args:
        root: the directory that holds ``builds``.
        on_made: called with the name of every image that was made.
    """

    def __init__(
        self,
        root: Path,
        engine: Engine,
        settings: DockerSettings,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        on_made: Callable[[str], None] = lambda name: None,
    ) -> None:
        super().__init__(root, "repo2docker", asdict(settings), limits)
        self._engine = engine
        self._on_made = on_made

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Make the image as every detached builder does."""
        async for report in super().run(build, after):
            yield report
        self._on_made(build.image.name)

    async def check(self) -> None:
        """Raise `Unavailable` if the engine does not answer."""
        await super().check()
        await asyncio.to_thread(self._engine.version)

    def clear(self, build_id: str) -> None:
        """Remove the build's container, its unfinished image and its checkout."""
        try:
            clear_engine(self._engine, build_id)
        except BinderError as error:
            log.warning("What build %s left in the engine could not be removed: %s", build_id, error.message)
        for made in ("content", "environment", "docker"):
            shutil.rmtree(self._root / "builds" / build_id / made, ignore_errors=True)

    async def close(self) -> None:
        """Let go of connections; builds go on."""
        self._engine.close()


def unfinished_name(build_id: str) -> str:
    """Return the name that an image has while nobody may start servers from it."""
    return f"binder-unfinished:{build_id}"


def clear_engine(engine: Engine, build_id: str) -> None:
    """Remove what a build leaves in the engine: its container and its unfinished image; raises `BinderError`."""
    engine.remove_container(container_name(build_id))
    engine.remove_image(unfinished_name(build_id))


def container_name(build_id: str) -> str:
    """Return the name of the one container that a build makes itself."""
    return f"binder-build-{build_id}"
