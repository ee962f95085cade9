"""50 clients that ask 1,000 times each for a build that is ready, beside a bare handler that returns the same bytes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench import hub_api
from bench.measure import Row, cpu_seconds, median
from bench.service import PREFIX, Service
from tests.harness.git_server import GitServer
from tests.harness.ports import free_ports
from tests.harness.waiting import wait_for

CLIENTS = 50
ASKS = 1_000
ROUNDS = 3
SHARE = 1 / 3
_TIMEOUT_SECONDS = 600


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Ask by POST, then by GET; the service and the bare handler take turns, and the total is divided among the rounds."""
    rounds, asks = (1, 100) if quick else (ROUNDS, ASKS)
    with GitServer(folder / "git").running() as git, hub_api.running() as hub, Service(folder / "state", hub) as service:
        repository = git.create("bench/plain", {"README.md": "nothing to install\n"})
        build = service.finished(service.ask(repository.url))
        body = json.dumps({"repo": repository.url, "ref": build["commit"]})
        requests = {
            "POST api/builds": _request("POST", f"{PREFIX}api/builds", body),
            "GET api/builds/ID": _request("GET", f"{PREFIX}api/builds/{build['id']}"),
        }
        with _bare(service.get(f"api/builds/{build['id']}").content) as bare:
            for name, request in requests.items():
                yield from _compare(f"{CLIENTS} clients, {name}", request, (service.pid, service.port), bare, rounds, asks // rounds)


def _compare(name: str, request: bytes, ours: tuple[int, int], bare: tuple[int, int], rounds: int, asks: int) -> Iterator[Row]:
    """Load our process and the bare one, each a process id and a port, in turn."""
    loads: dict[tuple[int, int], list[dict[str, Any]]] = {bare: [], ours: []}
    for _ in range(rounds):
        for server in loads:
            used = cpu_seconds(server[0])
            load = _load(server[1], request, asks)
            loads[server].append(load | {"microseconds": 1e6 * (cpu_seconds(server[0]) - used) / (CLIENTS * asks)})
    details = {"ours": loads[ours], "bare": loads[bare]}
    measured, baseline = (median([CLIENTS * asks / load["seconds"] for load in loads[server]]) for server in (ours, bare))
    yield Row(f"{name}: answers", measured, "per s", SHARE, baseline, at_least=True, details=details)
    measured, baseline = (median([load["microseconds"] for load in loads[server]]) for server in (ours, bare))
    yield Row(f"{name}: the server's processor time per answer", measured, "us", baseline=baseline)


def _load(port: int, request: bytes, asks: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.requesters", "127.0.0.1", str(port), str(CLIENTS), str(asks)]
    done = subprocess.run(command, input=request, stdout=subprocess.PIPE, check=True, timeout=_TIMEOUT_SECONDS)
    result: dict[str, Any] = json.loads(done.stdout)
    assert result["statuses"] == {"200": CLIENTS * asks}, result["statuses"]
    return result


def _request(method: str, path: str, body: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {hub_api.TOKEN}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@contextmanager
def _bare(content: bytes) -> Iterator[tuple[int, int]]:
    """Run `bench.bare` while the block runs; give its process id and its port."""
    port = free_ports(1)[0]
    process = subprocess.Popen([sys.executable, "-m", "bench.bare", str(port)], stdin=subprocess.PIPE)
    assert process.stdin
    process.stdin.write(content)
    process.stdin.close()

    def answers() -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/").content == content
        except httpx.TransportError:
            return False

    try:
        wait_for(answers, "the bare handler", 30)
        yield process.pid, port
    finally:
        process.kill()
        process.wait()
