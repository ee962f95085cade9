"""What builds that are gone have left in an engine, which other hubs use as well."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from binderhub_service.clients.engine import Engine, EngineAddress
from binderhub_service.images.build_artifacts import BuildArtifacts, instance_id_of
from binderhub_service.models import now
from binderhub_service.names import new_build_id
from tests.docker.builds.docker_builds import DOCKERFILE, DockerBuilds, containers, docker
from tests.harness.git_server import Repository
from tests.harness.waiting import within

New = Callable[..., Repository]


@pytest.fixture
def engine() -> Engine:
    return Engine(EngineAddress(os.environ["DOCKER_HOST"]))


class Leaver:
    """Leaves in the engine what builds have there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._left: list[BuildArtifacts] = []

    def leave(self, mark: str, hours_ago: float = 2) -> BuildArtifacts:
        """Leave a container, an unfinished image and the environment below it, as a build that was killed."""
        trace = BuildArtifacts(mark, new_build_id(now() - timedelta(hours=hours_ago)))
        self._left.append(trace)
        docker("tag", "debian:12", trace.image)
        docker("tag", "debian:12", trace.environment)
        docker("create", f"--name={trace.container}", trace.image, "true")
        return trace

    def clear(self) -> None:
        """Remove what is still there."""
        for trace in self._left:
            trace.clear(self._engine)


@pytest.fixture
def leaver(engine: Engine) -> Iterator[Leaver]:
    leaver = Leaver(engine)
    yield leaver
    leaver.clear()


def is_there(trace: BuildArtifacts) -> bool:
    """Say whether a build's container and image are both there; one alone is a mistake, as is an environment without them."""
    images = docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").splitlines()
    both = trace.container in containers(), trace.image in images
    assert both[0] == both[1]
    assert both[0] or trace.environment not in images
    return both[0]


def test_every_state_directory_has_a_mark_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    assert instance_id_of(one) == instance_id_of(one)
    assert instance_id_of(one) != instance_id_of(two)
    assert instance_id_of(one).isalnum()


async def test_when_the_service_starts_only_what_goes_on_stays(docker_builds: DockerBuilds, leaver: Leaver, tmp_path: Path) -> None:
    _, builder = docker_builds.make()
    mark = instance_id_of(docker_builds.root)
    gone, young, alive, theirs = leaver.leave(mark), leaver.leave(mark, 0), leaver.leave(mark), leaver.leave("0badcafe")
    await builder.forget_all_but({alive.build_id})
    assert [is_there(trace) for trace in (gone, young, alive, theirs)] == [False, False, True, True]


@pytest.mark.parametrize("registry", ["", None])
async def test_cleaning_leaves_what_goes_on_and_what_may_just_have_begun(docker_builds: DockerBuilds, leaver: Leaver, registry: str | None) -> None:
    images, _ = docker_builds.make(registry=docker_builds.registry if registry is None else registry)
    mark = instance_id_of(docker_builds.root)
    gone, young, alive, theirs = leaver.leave(mark), leaver.leave(mark, 0.5), leaver.leave(mark), leaver.leave("0badcafe")
    await images.tidy({alive.build_id})
    assert [is_there(trace) for trace in (gone, young, alive, theirs)] == [False, True, True, True]


async def test_an_image_of_a_name_that_only_begins_like_ours_stays(docker_builds: DockerBuilds, leaver: Leaver) -> None:
    images, _ = docker_builds.make(registry="")
    other = leaver.leave(instance_id_of(docker_builds.root) + "-x")
    await images.tidy(set())
    assert is_there(other)


async def test_what_a_killed_build_left_goes_when_the_service_starts_again(docker_builds: DockerBuilds, new_repository: New) -> None:
    """The server program of the image waits; meanwhile the build is killed, and the records of it are lost."""
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": "#!/bin/sh\nsleep 60\n"})
    images, builder = docker_builds.make()
    build = docker_builds.ask(images, repository.url, repository.rev("main"))
    trace = BuildArtifacts(instance_id_of(docker_builds.root), build.id)
    following = asyncio.create_task(anext(builder.run(build)))
    async with within():
        while not (trace.container in containers() and is_there(trace)):
            await asyncio.sleep(0.1)
    await following
    pid = int((docker_builds.root / "builds" / build.id / "pid").read_text())
    os.killpg(pid, signal.SIGKILL)
    shutil.rmtree(docker_builds.root / "builds" / build.id)
    assert is_there(trace)
    _, next_builder = docker_builds.make()
    await next_builder.forget_all_but(set())
    assert not is_there(trace)
