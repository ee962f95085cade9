"""Layers that a build leaves in the registry, for engines that have never built the repository."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from docker import APIClient, from_env
from docker.utils import convert_filters

from tests.docker.builds.docker_builds import DOCKERFILE, SINGLEUSER, DockerBuilds, docker
from tests.harness.git_server import Repository
from tests.harness.registries import OwnRegistry
from tests.harness.waiting import wait_for

New = Callable[..., Repository]
TAKEN = "Taking the layers of an earlier build, as far as they are of the same instructions."


class Instruction:
    """An instruction that no other test has, of a Dockerfile whose content comes behind it.

    Attributes:
        files: a repository with it.
    """

    def __init__(self) -> None:
        self._mark = secrets.token_hex(8)
        self.files = {"Dockerfile": f"{DOCKERFILE}RUN echo {self._mark} > /what\nCOPY text /text\n", "single": SINGLEUSER, "text": "first"}

    def is_cached(self, log: list[str]) -> bool:
        """Say whether a build took its layer from somewhere."""
        number = next(line.partition(" ")[0] for line in log if self._mark in line)
        return f"{number} CACHED" in log

    def forget(self, builds: DockerBuilds) -> None:
        """Take the images of these builds and its layers from the engine, which then knows nothing of it."""
        names = docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").splitlines()
        docker("image", "rm", "--force", *(name for name in names if builds.prefix in name))
        with from_env().api as engine:
            wait_for(lambda: self._is_forgotten(engine), "the layers to be gone", every_seconds=0.1)

    def _is_forgotten(self, engine: APIClient) -> bool:
        """Remove what can be removed, which are layers that no other stands on; say whether there was nothing."""
        mine = list(self._layers(engine))
        for layer in mine:
            filters = convert_filters({"id": [layer]})
            engine.post(f"{engine.base_url}/v{engine.api_version}/build/prune", params={"filters": filters, "all": "1"}).raise_for_status()
        return not mine

    def _layers(self, engine: APIClient) -> Iterator[str]:
        found: set[str] = set()
        for record in engine.df()["BuildCache"]:  # a layer comes behind what it stands on
            if self._mark in record["Description"] or record["Parent"] in found:
                found.add(record["ID"])
                yield record["ID"]


@pytest.fixture
def instruction() -> Instruction:
    """An instruction of the test's own."""
    return Instruction()


async def test_another_engine_takes_the_layers_of_instructions_that_did_not_change_with_the_registrys_login(
    docker_builds: DockerBuilds, new_repository: New, instruction: Instruction, tmp_path: Path
) -> None:
    repository = new_repository(instruction.files)
    with OwnRegistry(tmp_path / "registry", login=("hub", "s3cret")).running() as registry:
        login = {"registry": registry.host, "username": "hub", "password": "s3cret"}
        settings: dict[str, Any] = {"layer_cache": True, "registry": registry.host, "registry_credentials": [login]}
        first = await docker_builds.build(repository.url, repository.rev("main"), **settings)
        assert first.image, first.error
        assert TAKEN not in first.log
        for text in ("second", "third"):  # what took layers leaves them as well
            instruction.forget(docker_builds)
            made = await docker_builds.build(repository.url, repository.commit({"text": text}), **settings)
            assert made.image, made.error
            assert TAKEN in made.log
            assert instruction.is_cached(made.log), made.text
            assert docker("run", "--rm", made.image.name, "cat", "/text") == text
    assert [name for name in docker("image", "ls", "--format={{.Repository}}").splitlines() if name.endswith(f"{docker_builds.prefix}layers")] == []


async def test_an_engine_that_has_no_layers_runs_all_instructions_without_the_setting_or_by_force(
    docker_builds: DockerBuilds, new_repository: New, instruction: Instruction
) -> None:
    repository = new_repository(instruction.files)
    assert (await docker_builds.build(repository.url, repository.rev("main"), layer_cache=True)).image
    instruction.forget(docker_builds)
    plain = await docker_builds.build(repository.url, repository.commit({"text": "second"}))
    assert plain.image, plain.error
    instruction.forget(docker_builds)
    forced = await docker_builds.build(repository.url, repository.rev("main"), force=True, layer_cache=True)
    assert forced.image, forced.error
    assert TAKEN not in plain.log + forced.log
    assert not instruction.is_cached(plain.log)
    assert not instruction.is_cached(forced.log)


async def test_another_repository_takes_none_of_them(docker_builds: DockerBuilds, new_repository: New, instruction: Instruction) -> None:
    repository, other = new_repository(instruction.files), new_repository(instruction.files, name="other")
    assert (await docker_builds.build(repository.url, repository.rev("main"), layer_cache=True)).image
    instruction.forget(docker_builds)
    made = await docker_builds.build(other.url, other.rev("main"), layer_cache=True)
    assert made.image, made.error
    assert TAKEN not in made.log
    assert not instruction.is_cached(made.log)


async def test_names_that_a_killed_build_has_left_go_once_nothing_is_built(docker_builds: DockerBuilds) -> None:
    images, _ = docker_builds.make()
    left = {f"{docker_builds.registry}/{docker_builds.prefix}{kind}:x" for kind in ("layers", "unchecked")}
    for name in left:
        docker("tag", "debian:12", name)
    for unfinished, stays in (({"a-build"}, left), (set[str](), set[str]())):
        await images.tidy(unfinished)
        assert left & set(docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").splitlines()) == stays


async def test_a_repo2docker_without_buildx_says_that_it_takes_none(
    docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New, instruction: Instruction
) -> None:
    repository = new_repository(instruction.files)
    made = await docker_builds.build(repository.url, repository.rev("main"), repo2docker=repo2docker_2024, layer_cache=True)
    assert made.image, made.error
    assert "Layers of other builds are neither taken nor left: this version of repo2docker builds without buildx." in made.log
    assert f"Pushing {docker_builds.registry}/{docker_builds.prefix}layers:" not in made.text
