"""Builds with limits, in a real BuildKit container."""

from __future__ import annotations

import re
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from tests.docker.builds import buildkit
from tests.docker.builds.docker_builds import SINGLEUSER, DockerBuilds, Made
from tests.harness.git_server import Repository

pytestmark = [
    pytest.mark.skipif(bool(buildkit.reason_to_skip()), reason=buildkit.reason_to_skip()),
    pytest.mark.slow,
]
MEGABYTE = 2**20
DOCKERFILE = """\
FROM scratch
COPY --chmod=755 busybox /bin/busybox
COPY --chmod=755 busybox /bin/sh
COPY --chmod=755 single /usr/local/bin/jupyterhub-singleuser
"""
COUNT = "RUN busybox time -f 'took %e s, of a processor %U s' sh -c 'i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done'\n"
Build = Callable[..., Any]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An engine that can run BuildKit, and has it."""
    buildkit.make_image(tmp_path_factory.mktemp("buildkit"))
    with buildkit.privileged_engine(tmp_path_factory.mktemp("engine")) as address:
        yield address


@pytest.fixture(scope="module")
def shell(engine: str, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A shell in one file: there is no registry with base images that a BuildKit container reaches."""
    return buildkit.shell_program(tmp_path_factory.mktemp("shell"))


@pytest.fixture
async def build(engine: str, shell: bytes, docker_builds: DockerBuilds, new_repository: Callable[..., Repository]) -> AsyncIterator[Build]:
    """Builds a Dockerfile's further lines with limits: ``await build(lines, memory_limit_bytes=...)``."""

    async def build(lines: str, **limits: Any) -> Made:
        repository = new_repository({"Dockerfile": DOCKERFILE + lines, "single": SINGLEUSER, "busybox": shell})
        return await docker_builds.build(
            repository.url, repository.rev("main"), registry="", engine_host=engine, buildkit_image=buildkit.IMAGE, **limits
        )

    yield build
    on_it = ("docker", f"--host={engine}")
    found = subprocess.run((*on_it, "ps", "--all", "--quiet", "--filter=name=buildx_buildkit_binder-"), check=True, capture_output=True, text=True)
    for container in found.stdout.split():
        subprocess.run((*on_it, "rm", "--force", "--volumes", container), check=True, capture_output=True)


async def test_a_build_with_enough_memory_is_an_image_in_the_engine(build: Build, engine: str) -> None:
    made = await build("RUN dd if=/dev/zero of=/dev/null bs=32M count=1\n", memory_limit_bytes=512 * MEGABYTE)
    assert made.image, made.error
    assert "jupyterhub-singleuser 9.9.9" in made.log


async def test_a_build_with_too_little_memory_says_so(build: Build) -> None:
    made = await build("RUN dd if=/dev/zero of=/dev/null bs=1024M count=1\n", memory_limit_bytes=512 * MEGABYTE)
    assert made.error
    assert made.error["code"] == "out_of_memory"


async def test_a_build_uses_no_more_of_the_processors_than_its_limit(build: Build) -> None:
    made = await build(COUNT, cpu_limit=0.25)
    assert made.image, made.error
    [(took, used)] = re.findall(r"took ([\d.]+) s, of a processor ([\d.]+) s$", made.text, re.MULTILINE)
    assert float(used) < 0.4 * float(took)
