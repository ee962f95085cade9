"""Launches through a real hub beside the same things done by hand: nothing made yet, the same commit again, the next commit."""

from __future__ import annotations

import http.client
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from bench.by_hand import Server, bare_launch, bare_start, clone, ls_remote, typed
from bench.measure import Row, median, percentile, seconds_of
from binderhub_service.process.programs import find_uv
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.ports import free_ports

ROUNDS = 5
ASKS = 30
USER = "alice"
SERVER_PATH = f"/user/{USER}/"
_BASE = (f"jupyterhub=={version('jupyterhub')}", "jupyterlab", "pip")
# None of them is required by what a server needs.
_SMALL = ("toml==0.10.2", "tabulate==0.9.0", "humanize==4.12.3", "toolz==1.0.0", "colorama==0.4.6", "zipp==3.21.0")
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_INSTALLING = ("Creating virtual environment", "Resolved", "Prepared", "Installed")
_CLONE_ALLOWANCE_SECONDS = 0.5
_ASK_MILLISECONDS = 50


@dataclass
class Times:
    """Seconds of every round, by what was timed."""

    seconds: dict[str, list[float]] = field(default_factory=dict)

    def note(self, what: str, seconds: float) -> None:
        """Add a round's."""
        self.seconds.setdefault(what, []).append(seconds)

    def row(self, name: str, ours: str, bare: str, goal: float | None, allowance: float = 0) -> Row:
        """Compare the medians of two of them."""
        details = {ours: self.seconds[ours], bare: self.seconds[bare]}
        return Row(name, median(self.seconds[ours]), "s", goal, median(self.seconds[bare]), allowance=allowance, details=details)


class Bench:
    """A hub with our service, a Git server, and the servers of one person, always on the same port."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self.folder = folder
        self.git = stack.enter_context(GitServer(folder / "git").running())
        self.port = free_ports(1)[0]
        self.hub = stack.enter_context(_hub(folder / "hub", self.port))
        self.token = self.hub.token(USER)
        self.log = folder / "servers.log"

    def repository(self, name: str, number: int = 0) -> Repository:
        """Make a repository with a small requirements.txt and some content; its environment is like no other's.

        Args:
            number: which of the small packages is not in it; with 0, all are, which warms uv's cache.
        """
        packages = [package for place, package in enumerate(_SMALL, 1) if place != number]
        notebooks = {f"data/{place}.bin": os.urandom(20_000) for place in range(100)}
        requirements = "\n".join((f"# {name}", *packages, ""))
        return self.git.create(f"bench/{name}", {"requirements.txt": requirements, "README.md": "first\n", **notebooks})

    def launch(self, hub: HubProcess, options: dict[str, Any], times: Times, what: str) -> Server:
        """Ask a hub for a server; note when its process begins, when it answers, and when the hub says that it is ready."""
        begun, begun_since_boot = time.perf_counter(), time.clock_gettime(time.CLOCK_BOOTTIME)
        reply = hub.start_server(USER, options)
        assert reply.is_success, reply.text
        server = Server([], {}, Path(), self.port, SERVER_PATH)
        server.wait_until_it_answers()
        times.note(f"{what}: server answers", time.perf_counter() - begun)
        last = list(hub.progress(USER))[-1]
        assert last.get("ready"), last
        times.note(f"{what}: hub says ready", time.perf_counter() - begun)
        pid = _listener(self.port)
        times.note(f"{what}: process begins", _begun_since_boot(pid) - begun_since_boot)
        return Server.of(pid, self.port, SERVER_PATH)

    def by_hand(self, server: Server, hub: HubProcess) -> Server:
        """Return how to start a hub's server by hand, with a token that is still good when its own is revoked."""
        environment = {**server.environment, "JUPYTERHUB_API_TOKEN": hub.token(USER), "JPY_API_TOKEN": ""}
        return Server(typed(server.command), environment, server.directory, server.port, server.path)


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Run the three kinds of launches; ours and the bare ones take turns."""
    rounds = 1 if quick else ROUNDS
    with ExitStack() as stack:
        bench = Bench(folder, stack)
        yield from _first(bench, rounds)
        yield from _again(bench, rounds, stack)
        yield from _asks(bench, 5 if quick else ASKS)
        yield from _next(bench, rounds)


def _first(bench: Bench, rounds: int) -> Iterator[Row]:
    """Launch repositories that nothing has been made for; one more round before, which warms uv's cache and the hub."""
    times = Times()
    for number in range(rounds + 1):
        counted = times if number else Times()
        repository = bench.repository(f"first-{number}", number)
        server = bench.launch(bench.hub, {"repo": repository.url}, counted, "launch")
        bench.hub.stop_server(USER)
        copy, prefix = bench.folder / f"copy-{number}", bench.folder / f"environment-{number}"
        places = {server.environment["VIRTUAL_ENV"]: str(prefix), str(server.directory): str(copy)}
        by_hand = bench.by_hand(server, bench.hub).moved(places)
        counted.note("by hand", bare_launch(repository.url, copy, prefix, by_hand, _BASE, find_uv(), _PYTHON, bench.log))
    yield times.row("first launch: ask to server answers, beside by hand", "launch: server answers", "by hand", 0.65)
    yield times.row("first launch: ask to hub says ready, beside by hand", "launch: hub says ready", "by hand", None)


def _again(bench: Bench, rounds: int, stack: ExitStack) -> Iterator[Row]:
    """Launch the same commit again, beside the start of that server by hand and by a hub without us."""
    times = Times()
    repository = bench.repository("again")
    server = bench.launch(bench.hub, {"repo": repository.url}, Times(), "launch")
    bench.hub.stop_server(USER)
    plain = stack.enter_context(_hub(bench.folder / "plain-hub", bench.port, _plain_config(server)))
    for _ in range(rounds):
        bench.launch(bench.hub, {"repo": repository.url}, times, "launch")
        bench.hub.stop_server(USER)
        times.note("by hand", bare_start(bench.by_hand(server, bench.hub), bench.log))
        bench.launch(plain, {}, times, "plain hub")
        plain.stop_server(USER)
    plain.stop()
    yield times.row("same commit: ask to server answers, beside by hand", "launch: server answers", "by hand", 1.1)
    yield times.row("same commit: ask to server answers, beside a plain hub", "launch: server answers", "plain hub: server answers", 1.1)
    yield times.row("same commit: ask to server's process begins, beside a plain hub", "launch: process begins", "plain hub: process begins", None)
    yield times.row("same commit: ask to hub says ready, beside a plain hub", "launch: hub says ready", "plain hub: hub says ready", None)


def _asks(bench: Bench, asks: int) -> Iterator[Row]:
    """Ask for a commit that is ready."""
    repository = bench.git.repositories["/bench/again.git"]
    commit = repository.rev("main")
    service = _Requester(bench.hub, bench.token)
    known = [1000 * seconds_of(lambda: service.ask(repository.url, commit)) for _ in range(asks)]
    name = "same commit: ask to state ready, full SHA"
    yield Row(f"{name}, p95", percentile(known, 0.95), "ms", _ASK_MILLISECONDS, details={"median": median(known)})
    before = repository.count("info/refs")
    by_ref, by_git = [], []
    for _ in range(asks):
        by_ref.append(1000 * seconds_of(lambda: service.ask(repository.url, "main")))
        before += 1
        by_git.append(1000 * seconds_of(lambda: ls_remote(repository.url)))
    requests = (repository.count("info/refs") - before) / asks
    yield Row("same commit: ask to state ready, branch: requests for refs", requests, "requests", 1)
    name = "same commit: ask to state ready, branch, beside one git ls-remote"
    yield Row(name, median(by_ref), "ms", 1, median(by_git), allowance=_ASK_MILLISECONDS)


def _next(bench: Bench, rounds: int) -> Iterator[Row]:
    """Ask for commits that change no environment file."""
    times = Times()
    repository = bench.git.repositories["/bench/again.git"]
    installing = 0
    for number in range(rounds):
        commit = repository.commit({"README.md": f"next {number}\n"})
        begun = time.perf_counter()
        build = bench.hub.build(repository.url, bench.token)
        told = bench.hub.follow(build["id"], bench.token)
        times.note("ask to ready", time.perf_counter() - begun)
        assert build["commit"] == commit
        assert told[-1].data["state"] == "ready", told[-1]
        texts = [sent.data["text"] for sent in told if sent.kind == "log"]
        assert any("nothing to install" in text for text in texts), texts
        installing += sum(word in text for text in texts for word in _INSTALLING)
        times.note("clone by hand", clone(repository.url, bench.folder / f"clone-{number}"))
    yield Row("next commit, same environment: lines of the log about installing", installing, "lines", 0)
    yield times.row("next commit: ask to ready, beside git clone", "ask to ready", "clone by hand", 1, _CLONE_ALLOWANCE_SECONDS)


class _Requester:
    """Asks for builds through the hub's proxy, on one connection."""

    def __init__(self, hub: HubProcess, token: str) -> None:
        address = urlsplit(hub.service_url)
        self._connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        self._path = f"{address.path}/api/builds"
        self._headers = {"Authorization": f"token {token}", "Content-Type": "application/json"}

    def ask(self, repo: str, ref: str) -> None:
        self._connection.request("POST", self._path, json.dumps({"repo": repo, "ref": ref}), self._headers)
        reply = self._connection.getresponse()
        build: Mapping[str, Any] = json.loads(reply.read())
        assert build["state"] == "ready", build


def _hub(folder: Path, port: int, config: Sequence[str] = ()) -> HubProcess:
    folder.mkdir()
    return HubProcess(folder, config="\n".join([f"c.Spawner.port = {port}", *config]), more={"required": not config})


def _plain_config(server: Server) -> list[str]:
    """Return the configuration of a hub that starts the same server without us."""
    kept = {name: server.environment[name] for name in ("PATH", "VIRTUAL_ENV", "HOME", "JUPYTERHUB_ROOT_DIR")}
    return [
        "c.JupyterHub.spawner_class = 'jupyterhub.spawner.SimpleLocalProcessSpawner'",
        f"c.Spawner.cmd = {typed(server.command)!r}",
        "c.Spawner.args = []",
        f"c.Spawner.environment = {kept!r}",
    ]


def _listener(port: int) -> int:
    """Return the process that listens on a port of loopback."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (port,) and connection.pid:
            return int(connection.pid)
    raise LookupError(f"nobody listens on port {port}")


def _begun_since_boot(pid: int) -> float:
    """Return when a process was forked, in seconds since the machine's start, as the kernel counts them in its ticks."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
