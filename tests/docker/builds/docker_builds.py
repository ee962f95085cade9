"""Real builds in a real engine: images and builders as docker mode makes them, and what is left of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binderhub_service.builders import Builder
from binderhub_service.builders.detached import stop_all
from binderhub_service.errors import BinderError
from binderhub_service.images import Images
from binderhub_service.images.registry import RegistryImages
from binderhub_service.models import Build, Image, Kind, Phase, Source, State, now
from binderhub_service.modes.docker import DockerMode
from binderhub_service.names import digest, new_build_id
from binderhub_service.worker.job import ProcessLimits
from tests.docker.builds import stand_in
from tests.harness.small_image import SMALL_IMAGE
from tests.harness.waiting import HANGS_SECONDS

SINGLEUSER = "#!/bin/sh\necho 9.9.9\n"
DOCKERFILE = f"FROM {SMALL_IMAGE}\nCOPY single /usr/local/bin/jupyterhub-singleuser\n"


def docker(*arguments: str) -> str:
    """Run Docker's own program and return what it prints."""
    return subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Made:
    """What came of a build."""

    image: Image | None
    log: list[str]
    phases: list[str]
    error: dict[str, Any] | None

    @property
    def text(self) -> str:
        """The whole log."""
        return "\n".join(self.log)


class DockerBuilds:
    """A state directory, and names in engine and registry, of a test's own."""

    def __init__(self, root: Path, repo2docker: str, registry: str) -> None:
        self.root = root
        self.repo2docker = repo2docker
        self.registry = registry
        self.prefix = f"test-{digest(str(root), 8)}-"
        self._made: list[tuple[Any, Any]] = []

    def mode(self, **settings: Any) -> DockerMode:
        """Return the mode with the registry and the test's prefix, unless they are given."""
        return DockerMode(**{"registry": self.registry, "image_prefix": self.prefix, "repo2docker": self.repo2docker, **settings})

    def make(self, limits: ProcessLimits = ProcessLimits(), **settings: Any) -> tuple[Images, Builder]:  # noqa: B008  # frozen
        """Return image store and builder as a service that just started has them."""
        images, builder = self.mode(**settings).make(self.root, limits)
        self._made.append((images, builder))
        return images, builder

    def ask(self, images: Images, url: str, commit: str, *, force: bool = False) -> Build:
        """Return a new build."""
        source = Source("git", url, url, url.rpartition("/")[2], "main", commit)
        return Build(new_build_id(now()), source, Image(images.name_for(source)), State.RUNNING, Phase.FETCHING, "alice", now(), force=force)

    async def build(self, url: str, commit: str, *, force: bool = False, **settings: Any) -> Made:
        """Build to the end and ask the store."""
        images, builder = self.make(**settings)
        return await self.follow(images, builder, self.ask(images, url, commit, force=force))

    async def follow(self, images: Images, builder: Builder, build: Build) -> Made:
        """Run a build to its end and ask the store."""
        made = Made(None, [], [], None)
        try:
            async for report in builder.run(build):
                if report.kind is Kind.LOG:
                    made.log.append(report.data["text"])
                else:
                    made.phases.append("made" if report.data.get("made") else report.data["phase"])
            made.image = await images.exists(build.image.name)
        except BinderError as error:
            made.error = error.as_dict()
        return made

    async def close(self) -> None:
        """End all builds and remove the test's images."""
        stop_all(self.root / "builds")
        for images, builder in self._made:
            await builder.close()
            if isinstance(images, RegistryImages):
                await images.close()
            for child in builder._children.values():
                child.wait(HANGS_SECONDS)
        names = [
            name for name in docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").splitlines() if self.prefix in name and "<none>" not in name
        ]
        if names:
            docker("image", "rm", "--force", *names)


def stand_in_program(folder: Path) -> str:
    """Return the program that stands in for repo2docker, a copy of the test's own."""
    program = folder / "repo2docker"
    program.write_text(f"#!{sys.executable}\n" + Path(stand_in.__file__).read_text())
    program.chmod(0o755)
    return str(program)


def runs_of(program: str) -> list[list[str]]:
    """Return what a stand-in was given, run by run."""
    notes = Path(program + ".notes")
    return [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []


def inspect(name: str) -> dict[str, Any]:
    """Return what the engine says about an image."""
    found: dict[str, Any] = json.loads(docker("image", "inspect", name))[0]
    return found


def containers() -> list[str]:
    """Return the names of all containers that builds made."""
    return docker("ps", "--all", "--filter=name=binder-build-", "--format={{.Names}}").splitlines()


def uv() -> str:
    """Return the uv program that tests use."""
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else str(shutil.which("uv"))


def reason_to_skip() -> str:
    """Return why there is no engine to test with; empty if there is one."""
    missing = [name for name in ("DOCKER_HOST", "TEST_REGISTRY") if not os.environ.get(name)]
    return f"no engine: {' and '.join(missing)} not set" if missing else ""
