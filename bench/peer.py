"""Our service beside a BinderHub that somebody has installed on the same machine: one client for both, in turns, with a real notebook image.

Needs BENCH_OURS and BENCH_PEER, the addresses below which both answer ``build/...`` to visitors, and BENCH_IMAGE, an image with a notebook server
in the engine of both; without them there are no rows. Both must be allowed to fetch from loopback. BENCH_TOKEN_OURS and BENCH_TOKEN_PEER are
sent where they are set.
"""

from __future__ import annotations

import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from bench.binder import Launched, Site
from bench.measure import Row, median
from tests.harness.git_server import GitServer, Repository

ROUNDS = 6
CROWD = 20
QUICK_CROWD = 4
_INSTALL = "RUN sleep 10 && echo {mark} > /tmp/installed\n"
_CONTENT = "COPY README.md ./\n"


@dataclass(frozen=True)
class Case:
    """Commits of one kind: the Dockerfile's instructions behind its FROM, and the greatest ratio of ours to the peer's that is a goal.

    Attributes:
        instructions: with ``{mark}`` for what is new in every repository.
    """

    name: str
    instructions: str
    goal: float


CASES = (
    Case("Dockerfile that copies one file", _CONTENT, 0.5),
    Case("next commit, dependencies first", _INSTALL + _CONTENT, 0.5),
    Case("next commit, content first, dependencies take 10 s", _CONTENT + _INSTALL, 0.9),
)


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Measure; servers that were launched are shut down, images stay where both keep them."""
    wanted = ("BENCH_OURS", "BENCH_PEER", "BENCH_IMAGE")
    if missing := [name for name in wanted if not os.environ.get(name)]:
        sys.stderr.write(f"peer: {', '.join(missing)} not set\n")
        return
    sites = [Site(os.environ[f"BENCH_{name}"], os.environ.get(f"BENCH_TOKEN_{name}", "")) for name in ("OURS", "PEER")]
    rounds = 2 if quick else ROUNDS
    with GitServer(folder / "git").running() as git:
        for case in CASES:
            yield from _commits(git, sites, case, rounds)
        yield from _again(git, sites, rounds)
        yield from _crowd(git, sites, QUICK_CROWD if quick else CROWD)


def _commits(git: GitServer, sites: list[Site], case: Case, rounds: int) -> Iterator[Row]:
    """Time commits that nobody has built; each side has a repository of its own, since both may share the engine's cache."""
    repositories = [_repository(git, case.instructions) for _ in sites]
    for site, repository in zip(sites, repositories, strict=True):
        site.launch(repository.url, repository.rev("main")).shut_down()

    def launch(side: int) -> Launched:
        commit = repositories[side].commit({"README.md": secrets.token_hex(8)})
        return sites[side].launch(repositories[side].url, commit)

    ours, peers = _in_turns(launch, rounds)
    yield _row(f"{case.name}: ask to built", [one.built_seconds for one in ours], [one.built_seconds for one in peers], case.goal)
    yield _row(f"{case.name}: ask to server answers", [one.answer_seconds for one in ours], [one.answer_seconds for one in peers], 1)


def _again(git: GitServer, sites: list[Site], rounds: int) -> Iterator[Row]:
    """Time launches of a commit that is built."""
    repository = _repository(git, _CONTENT)
    commit = repository.rev("main")
    for site in sites:
        site.launch(repository.url, commit).shut_down()
    ours, peers = _in_turns(lambda side: sites[side].launch(repository.url, commit), rounds)
    yield _row("same commit: ask to built", [one.built_seconds for one in ours], [one.built_seconds for one in peers], 1)
    yield _row("same commit: ask to server answers", [one.answer_seconds for one in ours], [one.answer_seconds for one in peers], 1)


def _crowd(git: GitServer, sites: list[Site], people: int) -> Iterator[Row]:
    """Let many visitors launch a built commit at the same moment, one side after the other."""
    repository = _repository(git, _CONTENT)
    commit = repository.rev("main")
    times = []
    for site in sites:
        site.launch(repository.url, commit).shut_down()
        with ThreadPoolExecutor(people) as threads:
            launched = list(threads.map(lambda _, site=site: site.launch(repository.url, commit, allow_failure=True), range(people)))
        for one in launched:
            one.shut_down()
        times.append([one.answer_seconds for one in launched if not one.problem])
    ours, peers = times
    details = {"ours": ours, "peer": peers}
    yield Row(f"{people} launches at once: servers that answer", len(ours), "servers", people, details=details, at_least=True)
    yield Row(f"{people} launches at once: servers that answer, peer", len(peers), "servers", details=details)
    if ours and peers:
        yield Row(f"{people} launches at once: until the last answers, beside the peer", max(ours), "s", 1, max(peers), details=details)


def _in_turns(launch: Callable[[int], Launched], rounds: int) -> tuple[list[Launched], list[Launched]]:
    """Launch at both sides in turn, the other one first each time."""
    taken: tuple[list[Launched], list[Launched]] = ([], [])
    for number in range(rounds):
        for side in (0, 1) if number % 2 else (1, 0):
            launched = launch(side)
            launched.shut_down()
            taken[side].append(launched)
            time.sleep(1)  # servers that end take the processor from the next
    return taken


def _repository(git: GitServer, instructions: str) -> Repository:
    mark = secrets.token_hex(8)
    dockerfile = f"FROM {os.environ['BENCH_IMAGE']}\n{instructions.format(mark=mark)}"
    return git.create(f"bench/{mark}", {"Dockerfile": dockerfile, "README.md": mark})


def _row(name: str, ours: list[float], peers: list[float], goal: float) -> Row:
    return Row(f"{name}, beside the peer", median(ours), "s", goal, median(peers), details={"ours": ours, "peer": peers})
