"""Docker mode beside Docker's own commands: a Dockerfile, the next commit of an environment, an image that is there.

Needs an engine and a registry: DOCKER_HOST and TEST_REGISTRY; without them there are no rows.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.by_hand import clone
from bench.measure import Row, median
from tests.docker.builds.docker_builds import SINGLEUSER, DockerBuilds, docker, reason_to_skip, stand_in_program
from tests.harness.git_server import GitServer

ROUNDS = 5
ASKS = 50
_FROM = "FROM debian:12\nCOPY single /usr/local/bin/jupyterhub-singleuser\n"
_WORK = "RUN sleep 10 && echo {mark} > /mark\n"


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Measure; images of the bench are removed afterwards."""
    reason = reason_to_skip()
    if reason:
        sys.stderr.write(f"docker: {reason}\n")
        return
    with GitServer(folder / "git").running() as git:
        yield from asyncio.run(_rows(folder, git, 2 if quick else ROUNDS))


async def _rows(folder: Path, git: GitServer, rounds: int) -> list[Row]:
    registry = os.environ["TEST_REGISTRY"]
    (folder / "stand-in").mkdir()
    real = _Service(DockerBuilds(folder / "state", "", registry))
    stand_in = _Service(DockerBuilds(folder / "state-of-stand-in", stand_in_program(folder / "stand-in"), registry))
    try:
        return [
            *await _dockerfile(folder, git, real, "nothing but a copied file", "", rounds, goal=2.0),
            *await _dockerfile(folder, git, real, "a step of 10 s", _WORK, rounds, goal=1.2),
            *await _next_commit(git, stand_in, rounds),
        ]
    finally:
        await real.docker_builds.close()
        await stand_in.docker_builds.close()


@dataclass(frozen=True)
class Took:
    """How many seconds a build took from the ask: until servers could start from its image, and until that was tried."""

    to_image: float
    to_end: float


class _Service:
    """Image store and builder, made once, as in a service."""

    def __init__(self, docker_builds: DockerBuilds) -> None:
        self.docker_builds = docker_builds
        self.images, self._builder = docker_builds.make(registry_answer_seconds=0)

    async def build(self, url: str, commit: str) -> Took:
        """Return how long it takes until an image is made and the registry has said so, and until the build has ended."""
        begun = time.perf_counter()
        build = self.docker_builds.ask(self.images, url, commit)
        assert await self.images.exists(build.image.name) is None
        to_image = 0.0
        async for report in self._builder.run(build):
            if report.data.get("made"):
                self.images.forget(build.image.name)
                assert await self.images.exists(build.image.name)
                to_image = time.perf_counter() - begun
        assert await self.images.exists(build.image.name)
        self._builder.prepare()  # as the service does when it builds nothing
        to_end = time.perf_counter() - begun
        return Took(to_image or to_end, to_end)


async def _dockerfile(folder: Path, git: GitServer, service: _Service, what: str, step: str, rounds: int, goal: float | None) -> list[Row]:
    """Compare a build of a new commit with a build and a push by hand of the same, and with all of ours by hand; nothing is in a cache."""
    repository = git.create(f"bench/{secrets.token_hex(4)}", {"README.md": "x"})
    by_hand = f"{service.docker_builds.registry}/{service.docker_builds.prefix}by-hand"

    def files() -> dict[str, str]:
        mark = secrets.token_hex(8)
        return {"Dockerfile": _FROM + step.format(mark=mark), "single": SINGLEUSER + f"# {mark}\n"}

    await service.build(repository.url, repository.commit(files()))
    ours, tried, bare, same = [], [], [], []
    for number in range(rounds):
        took = await service.build(repository.url, repository.commit(files()))
        ours.append(took.to_image)
        tried.append(took.to_end)
        bare.append(_by_hand(folder / "by-hand", files(), f"{by_hand}:{number}"))
        repository.commit(files())
        same.append(_all_by_hand(folder / "by-hand", repository.url, f"{by_hand}:{number}-all"))
    details = {"ours": ours, "tried": tried, "bare": bare, "same": same}
    return [
        Row(f"Dockerfile, {what}: ask to in the registry / build + push by hand", median(ours), "s", goal, median(bare), details=details),
        Row(f"Dockerfile, {what}: ask to tried / clone + build + try + push by hand", median(tried), "s", None, median(same), details=details),
    ]


async def _next_commit(git: GitServer, service: _Service, rounds: int) -> list[Row]:
    """Time commits with an environment that takes 10 s and is there; made by what stands in for repo2docker."""
    mark = secrets.token_hex(4)
    repository = git.create(f"bench/{mark}", {"requirements.txt": f"slow # {mark}\n", "data.bin": secrets.token_bytes(500_000)})
    first = await service.build(repository.url, repository.rev("main"))
    times = [(await service.build(repository.url, repository.commit({"new": secrets.token_hex(8)}))).to_end for _ in range(rounds)]
    name = service.docker_builds.ask(service.images, repository.url, repository.rev("main")).image.name
    return [
        Row("environment of 10 s, first commit: ask to ready (stand-in)", first.to_end, "s"),
        Row("environment of 10 s, next commit: ask to ready (stand-in)", median(times), "s", 1.0, details={"ours": times}),
        await _image_there(service, name),
    ]


async def _image_there(service: _Service, name: str) -> Row:
    """Compare asking the store, with nothing kept, with one bare question to the registry."""
    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    ours, bare = [], []
    async with httpx.AsyncClient() as client:
        for _ in range(ASKS):
            begun = time.perf_counter()
            await client.head(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": "*/*"})
            bare.append((time.perf_counter() - begun) * 1000)
            begun = time.perf_counter()
            assert await service.images.exists(name)
            ours.append((time.perf_counter() - begun) * 1000)
    return Row("image there: asking the store / one question to the registry", median(ours), "ms", 1.0, median(bare), allowance=5)


def _by_hand(context: Path, files: dict[str, str], image: str) -> float:
    shutil.rmtree(context, ignore_errors=True)
    context.mkdir()
    for name, content in files.items():
        (context / name).write_text(content)
    begun = time.perf_counter()
    docker("build", "--quiet", f"--tag={image}", str(context))
    docker("push", "--quiet", image)
    return time.perf_counter() - begun


def _all_by_hand(copy: Path, url: str, image: str) -> float:
    """Do by hand what we do: fetch, build, see whether a server could start, push."""
    shutil.rmtree(copy)
    begun = time.perf_counter()
    clone(url, copy)
    docker("build", "--quiet", f"--tag={image}", str(copy))
    docker("run", "--rm", "--network=none", image, "jupyterhub-singleuser", "--version")
    docker("push", "--quiet", image)
    return time.perf_counter() - begun
