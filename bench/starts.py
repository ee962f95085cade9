"""One person, and crowds at the same moment, start servers in docker mode, beside `docker run` of the same image as often at the same moment.

Needs an engine: DOCKER_HOST; without it there are no rows. The image has jupyterhub and jupyterlab, and is there already.
"""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from docker.errors import NotFound

from bench.measure import Row, machine, median
from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess

CROWDS = (20, 50)
LARGE_CROWD, LARGE_PROCESSORS, LARGE_GIGABYTES = 200, 16, 64
QUICK_CROWD = 8
ALONE_ROUNDS, QUICK_ALONE_ROUNDS = 6, 2
# Of a whole launch of all of them, on two cores that other work is kept busy by.
_PATIENCE_SECONDS = 600
_LOOK_EVERY_SECONDS = 0.5
_LOOK_CLOSELY_SECONDS = 0.05
_PORT = "8888/tcp"


@dataclass(frozen=True)
class Start:
    """One server's start: how many seconds it took, and why it failed, if it did."""

    seconds: float
    problem: str = ""


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Measure; containers, volumes and images of the bench are removed afterwards, but for the image with JupyterLab."""
    if reason := reason_to_skip():
        sys.stderr.write(f"starts: {reason}\n")
        return
    engine = TestEngine(f"b{secrets.token_hex(4)}")
    crowds = (QUICK_CROWD,) if quick else _crowds()
    people = [f"person{number}" for number in range(max(crowds))]
    try:
        with GitServer(folder / "git").running() as git, _hub(folder, engine, people) as hub:
            repository = git.create("bench/starts", {"Dockerfile": f"FROM {engine.jupyter_image()}\nCOPY --chown=jovyan . /home/jovyan/\n"})
            options = {"repo": repository.url}
            yield _row_of_one(hub, engine, people[0], options, QUICK_ALONE_ROUNDS if quick else ALONE_ROUNDS)
            for crowd in crowds:
                yield from _rows(hub, engine, people[:crowd], options)
    finally:
        engine.clear()


def _crowds() -> tuple[int, ...]:
    """Return how many start at a time, by what the machine has."""
    facts = machine()
    is_large = facts["processors"] >= LARGE_PROCESSORS and facts["memory_gigabytes"] >= LARGE_GIGABYTES
    return (*CROWDS, LARGE_CROWD) if is_large else CROWDS


@contextmanager
def _hub(folder: Path, engine: TestEngine, people: Sequence[str]) -> Iterator[HubProcess]:
    """Give a hub in docker mode with these people; all its other settings are what `configure` makes them."""
    config = f'c.DockerRepoSpawner.prefix = "{engine.mark}"\nc.Authenticator.allowed_users = {set(people)!r}'
    more = {"mode": "docker", "service": {"DockerMode": {"image_prefix": f"{engine.mark}-"}}}
    (folder / "hub").mkdir()
    with HubProcess(folder / "hub", config=config, more=more) as hub:
        yield hub


def _row_of_one(hub: HubProcess, engine: TestEngine, person: str, options: dict[str, Any], rounds: int) -> Row:
    """Start one server at a time, by hand and by the hub in turns, when nobody else starts any."""
    server, token = _started_once(hub, engine, person, options), hub.token(person)
    ours, bare = [], []
    for _ in range(rounds):
        bare.append(_run_by_hand(engine, server, person, person, token, _LOOK_CLOSELY_SECONDS).seconds)
        _remove_containers(engine)
        start = start_by_hub(hub, person, options)
        assert not start.problem, start.problem
        ours.append(start.seconds)
        hub.stop_server(person)
    details = {"ours": ours, "docker run": bare}
    return Row("a start alone, image there: ask until ready, beside docker run", median(ours), "s", 1.05, median(bare), details=details)


def _started_once(hub: HubProcess, engine: TestEngine, person: str, options: dict[str, Any]) -> dict[str, Any]:
    """Have the hub start a server and stop it; return what its container was."""
    begun = start_by_hub(hub, person, options)
    assert not begun.problem, begun.problem
    server: dict[str, Any] = engine.client.inspect_container(f"{engine.mark}-{person}")
    hub.stop_server(person)
    return server


def _remove_containers(engine: TestEngine) -> None:
    for name in engine.containers():
        engine.client.remove_container(name, force=True, v=True)


def _rows(hub: HubProcess, engine: TestEngine, people: Sequence[str], options: dict[str, Any]) -> Iterator[Row]:
    first = people[0]
    server = _started_once(hub, engine, first, options)
    tokens = {person: hub.token(person) for person in people}
    bare = all_at_once(people, lambda person: _run_by_hand(engine, server, first, person, tokens[person]))
    _remove_containers(engine)
    ours = all_at_once(people, lambda person: start_by_hub(hub, person, options))
    hub.stop_servers(*people)
    name, answered = f"{len(people)} starts at once", [start.seconds for start in ours if not start.problem]
    problems = sorted({start.problem for start in ours if start.problem})
    yield Row(f"{name}: servers that answer", len(answered), "servers", len(people), at_least=True, details={"problems": problems})
    by_hand, details = [start.seconds for start in bare], {"ours": answered, "docker run": [start.seconds for start in bare]}
    yield Row(f"{name}: until the last is ready, beside docker run", max(answered, default=0), "s", 1.5, max(by_hand), details=details)
    yield Row(f"{name}: until one is ready, median, beside docker run", median(answered or [0]), "s", None, median(by_hand))


def all_at_once(people: Sequence[str], start: Callable[[str], Start]) -> list[Start]:
    """Start a server for each of some people at the same moment; return how that went, in their order."""
    with ThreadPoolExecutor(len(people)) as threads:
        return list(threads.map(start, people))


def start_by_hub(hub: HubProcess, person: str, options: dict[str, Any]) -> Start:
    """Have the hub start a person's server, and wait until it says that it is ready, or why it is not."""
    begun = time.perf_counter()
    last = hub.launch(person, options)[-1]
    return Start(time.perf_counter() - begun, "" if last.get("ready") else str(last.get("message")))


def _run_by_hand(
    engine: TestEngine, server: dict[str, Any], owner: str, person: str, token: str, look_every_seconds: float = _LOOK_EVERY_SECONDS
) -> Start:
    """Run the image as the container `server` of `owner` was run, for somebody else and with nothing of ours, until it answers."""
    begun = time.perf_counter()
    ours = dict(line.partition("=")[::2] for line in server["Config"]["Env"])
    environment = {name: text.replace(owner, person) for name, text in ours.items() if name.startswith("JUPYTERHUB_")}
    made = engine.client.create_container(
        server["Config"]["Image"],
        ["jupyterhub-singleuser"],
        name=f"{engine.mark}-by-hand-{person}",
        environment=environment | {"JUPYTERHUB_API_TOKEN": token},
        ports=[8888],
        host_config=engine.client.create_host_config(
            port_bindings={8888: ("127.0.0.1",)}, network_mode=server["HostConfig"]["NetworkMode"], cap_drop=["ALL"]
        ),
    )
    engine.client.start(made["Id"])
    while time.perf_counter() - begun < _PATIENCE_SECONDS:
        if _answers(engine, made["Id"], person):
            return Start(time.perf_counter() - begun)
        time.sleep(look_every_seconds)
    said = engine.client.logs(made["Id"], tail=20).decode(errors="replace")
    raise TimeoutError(f"docker run of {server['Config']['Image']} does not answer; it said last:\n{said}")


def _answers(engine: TestEngine, container: str, person: str) -> bool:
    try:
        [published] = engine.client.inspect_container(container)["NetworkSettings"]["Ports"][_PORT]
        return httpx.get(f"http://127.0.0.1:{published['HostPort']}/user/{person}/api", timeout=5).status_code < 500
    except (httpx.TransportError, NotFound):
        return False
