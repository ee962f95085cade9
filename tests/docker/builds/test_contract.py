"""The suite of all builders, over docker mode's; the program that stands in for repo2docker holds builds where the suite wants them."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.builders import Builder
from binderhub_service.errors import BuildFailed
from binderhub_service.models import Build
from tests.contract.test_builder import (  # noqa: F401  # pytest collects them here, with the fixture below
    LINES,
    BuilderCase,
    every,
    test_a_build_can_be_forgotten_more_than_once,
    test_a_build_tells_what_happens_and_ends_when_the_image_is_made,
    test_a_build_that_ended_while_nobody_looked_is_told_to_its_end,
    test_a_follower_that_comes_back_gets_the_rest_and_nothing_twice,
    test_a_stopped_build_makes_nothing,
    test_after_a_restart_another_builder_goes_on_with_the_same_build,
    test_another_builder_may_stop_it,
    test_followers_do_not_wait_for_each_other,
    test_stopping_what_does_not_run_does_nothing,
    test_the_image_is_not_there_before_the_end,
    test_two_builders_on_one_build_tell_the_same,
)
from tests.docker.builds.docker_builds import DockerBuilds
from tests.harness.git_server import GitServer


class DockerCase(BuilderCase):
    """Builds that stand at a gate inside what stands in for repo2docker."""

    def __init__(self, docker_builds: DockerBuilds, git: GitServer, name: str, gate: Path) -> None:
        self._docker_builds = docker_builds
        self._git = git
        self._name = name
        self._gate = gate

    def builder(self) -> Builder:
        return self._docker_builds.make()[1]

    def ask(self, *, fails: bool = False) -> Build:
        files = {"tell": "\n".join(LINES), "wait-for": str(self._gate), "postBuild": "", **({"fail": ""} if fails else {})}
        repository = self._git.create(f"docker/{self._name}", files)
        return self._docker_builds.ask(self._docker_builds.make()[0], repository.url, repository.rev("main"))

    def open_gate(self) -> None:
        self._gate.touch()

    async def is_made(self, build: Build) -> bool:
        return await self._docker_builds.make()[0].exists(build.image.name) is not None


@pytest.fixture
async def case(request: pytest.FixtureRequest, git_server: GitServer, stand_in_builds: DockerBuilds, tmp_path: Path) -> BuilderCase:
    return DockerCase(stand_in_builds, git_server, request.node.originalname, tmp_path / "gate")


async def test_a_failure_says_its_code_to_every_follower_even_late(case: BuilderCase) -> None:
    build = case.ask(fails=True)
    case.open_gate()
    for builder in (case.builder(), case.builder()):
        with pytest.raises(BuildFailed) as caught:
            await every(builder, build)
        assert caught.value.code == "build_failed"
        assert caught.value.hint
    assert not await case.is_made(build)
