"""A crowd starts servers from one environment at the same moment in embedded mode, beside the same program by hand as often at the same moment."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench.by_hand import Server, typed
from bench.measure import Row, median
from bench.starts import Start, all_at_once, start_by_hub
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.ports import free_ports

CROWD, QUICK_CROWD = 20, 4
# Of all of them, on two cores that other work keeps busy.
_PATIENCE_SECONDS = 600
_LOOK_EVERY_SECONDS = 0.5
_GOAL = 1.1


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Measure; the servers by hand run until all of them answer, as the hub's do."""
    people = [f"person{number}" for number in range(QUICK_CROWD if quick else CROWD)]
    (folder / "hub").mkdir()
    config = f"c.Authenticator.allowed_users = {set(people)!r}"
    with GitServer(folder / "git").running() as git, HubProcess(folder / "hub", config=config) as hub:
        repository = git.create("bench/embedded", {"requirements.txt": "six==1.17.0\n"})
        yield from _rows(hub, people, {"repo": repository.url}, folder / "servers.log")


def _rows(hub: HubProcess, people: Sequence[str], options: dict[str, Any], log: Path) -> Iterator[Row]:
    begun = start_by_hub(hub, people[0], options)
    assert not begun.problem, begun.problem
    server = _server_of(people[0])
    tokens = {person: hub.token(person) for person in people}
    hub.stop_server(people[0])
    by_hand = _by_hand(server, tokens, log)
    started = all_at_once(people, lambda person: start_by_hub(hub, person, options))
    hub.stop_servers(*people)
    name, answered = f"{len(people)} embedded starts at once", [start.seconds for start in started if not start.problem]
    problems = sorted({start.problem for start in started if start.problem})
    yield Row(f"{name}: servers that answer", len(answered), "servers", len(people), at_least=True, details={"problems": problems})
    details = {"ours": answered, "by hand": by_hand}
    yield Row(f"{name}: until the last is ready, beside by hand", max(answered, default=0), "s", _GOAL, max(by_hand), details=details)
    yield Row(f"{name}: until one is ready, median, beside by hand", median(answered or [0]), "s", None, median(by_hand))


def _by_hand(server: Server, tokens: dict[str, str], log: Path) -> list[float]:
    """Return how long each of the servers takes whose program is run for all people at the same moment, in seconds."""
    ports = dict(zip(tokens, free_ports(len(tokens)), strict=True))
    with ExitStack() as running:

        def start(person: str) -> Start:
            begun = time.perf_counter()
            own = server.of_another(next(iter(tokens)), person, tokens[person], ports[person])
            running.enter_context(own.running(log, _PATIENCE_SECONDS, _LOOK_EVERY_SECONDS))
            return Start(time.perf_counter() - begun)

        return [started.seconds for started in all_at_once(list(tokens), start)]


def _server_of(person: str) -> Server:
    """Return how a person's server, which runs, would be started by hand."""
    path = f"/user/{person}/"
    for process in psutil.process_iter():
        try:
            environment = process.environ()
        except psutil.Error:
            continue
        if environment.get("JUPYTERHUB_SERVICE_PREFIX") == path and (port := urlsplit(environment["JUPYTERHUB_SERVICE_URL"]).port):
            server = Server.of(process.pid, port, path)
            return Server(typed(server.command), server.environment, server.directory, port, path)
    raise LookupError(f"{person} has no server")
