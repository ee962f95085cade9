"""Fixtures of docker mode's tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.docker.builds.docker_builds import DockerBuilds, reason_to_skip, stand_in_program, uv
from tests.harness.small_image import make_small_image


@pytest.fixture(scope="session", autouse=True)
def _an_engine_or_skipped() -> None:
    """Skip everything here where there is no engine; the name is a name that no module takes for an engine of its own."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    make_small_image()


def _installed(folder: Path, version: str) -> str:
    subprocess.run([uv(), "venv", "--quiet", str(folder)], check=True)
    subprocess.run([uv(), "pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), f"jupyter-repo2docker=={version}"], check=True)
    return str(folder / "bin" / "jupyter-repo2docker")


@pytest.fixture(scope="session")
def repo2docker(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A current repo2docker, which builds with buildx."""
    return _installed(tmp_path_factory.mktemp("repo2docker-current"), "2026.4.0")


@pytest.fixture(scope="session")
def repo2docker_2024(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An old repo2docker, which builds without buildx."""
    return _installed(tmp_path_factory.mktemp("repo2docker-2024"), "2024.7.0")


@pytest.fixture
async def docker_builds(tmp_path: Path, repo2docker: str) -> AsyncIterator[DockerBuilds]:
    """Real builds by real repo2docker, pushed to the real registry."""
    made = DockerBuilds(tmp_path / "state", repo2docker, os.environ["TEST_REGISTRY"])
    yield made
    await made.close()


@pytest.fixture
async def stand_in_builds(tmp_path: Path) -> AsyncIterator[DockerBuilds]:
    """Real builds by something that stands in for repo2docker, pushed to the real registry."""
    made = DockerBuilds(tmp_path / "state", stand_in_program(tmp_path), os.environ["TEST_REGISTRY"])
    yield made
    await made.close()
