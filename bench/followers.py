"""200 followers of one build that prints 20,000 lines, while it prints them and when it is over."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import hub_api
from bench.measure import Row, cpu_seconds, forget_peak, median, peak_megabytes, percentile, resident_megabytes
from bench.service import PREFIX, Service
from tests.harness.gate import Gate
from tests.harness.git_server import GitServer

FOLLOWERS = 200
LINES = 20_000
ROUNDS = 3
GOAL_LINES = 100_000
GOAL_MEGABYTES = 60
GOAL_MILLISECONDS = 100
_LINE = "line %05.0f of a build that has a lot to tell, as builds do while they install"
_HEALTH_EVERY_SECONDS = 0.01
_TIMEOUT_SECONDS = 300


@dataclass
class HealthProbe:
    """Asks ``/health`` again and again, on one connection, in a thread."""

    service: Service
    seconds: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> HealthProbe:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=60)
        while not self._stop.wait(_HEALTH_EVERY_SECONDS):
            begun = time.perf_counter()
            connection.request("GET", f"{PREFIX}health")
            connection.getresponse().read()
            self.seconds.append(time.perf_counter() - begun)


class Crowd:
    """Followers of one build, in a process of their own, all connected when this has been made."""

    def __init__(self, service: Service, build_id: str, followers: int) -> None:
        path = f"{PREFIX}api/builds/{build_id}/events"
        command = [sys.executable, "-m", "bench.crowd", "127.0.0.1", str(service.port), path, hub_api.TOKEN, str(followers)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        assert self._process.stdout.readline() == "connected\n"

    def streams(self) -> list[dict[str, Any]]:
        """Wait until every stream has ended; return what arrived on each."""
        out, _ = self._process.communicate(timeout=_TIMEOUT_SECONDS)
        return [json.loads(line) for line in out.splitlines()]


@dataclass(frozen=True)
class Followed:
    """What was measured while a crowd followed a build.

    Attributes:
        complete: how many streams had every line in order.
        seconds: by the clock, from the moment that there was something to read until the last stream ended.
        cpu_seconds: of the service.
        grown: megabytes.
    """

    complete: int
    lines: int
    seconds: float
    cpu_seconds: float
    grown: float
    health_seconds: list[float]


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Follow builds live, each build once more when it is history."""
    followers, lines, rounds = (50, 5_000, 1) if quick else (FOLLOWERS, LINES, ROUNDS)
    live, history = [], []
    with GitServer(folder / "git").running() as git, hub_api.running() as hub:
        for number in range(rounds):
            gate = Gate(folder / f"gate-{number}")
            (folder / f"gate-{number}").mkdir()
            repository = git.create(f"bench/{number}", {"postBuild": f"{gate.post_build}seq -f '{_LINE}' 1 {lines}\n"})
            with Service(folder / f"state-{number}", hub) as service:
                build = service.ask(repository.url)
                gate.wait_until_reached()
                live.append(_follow(service, build, followers, lines, gate))
                service.finished(build)
                history.append(_follow(service, build, followers, lines))
    yield from _rows(f"{followers} followers, live", followers, live, goal=GOAL_LINES)
    yield from _rows(f"{followers} followers, history", followers, history, goal=None)


def _follow(service: Service, build: dict[str, Any], followers: int, lines: int, gate: Gate | None = None) -> Followed:
    """Follow a build; if there is a gate, all followers are there before it opens."""
    before, used = resident_megabytes(service.pid), cpu_seconds(service.pid)
    forget_peak(service.pid)
    begun = time.monotonic()
    crowd = Crowd(service, build["id"], followers)
    if gate:
        used, begun = cpu_seconds(service.pid), time.monotonic()
        gate.open()
    with HealthProbe(service) as health:
        streams = crowd.streams()
    used = cpu_seconds(service.pid) - used
    grown = peak_megabytes(service.pid) - before
    whole = service.get(f"api/builds/{build['id']}/events").content
    check_events(whole, lines)
    complete = sum(stream["bytes"] == len(whole) and stream["checksum"] == zlib.crc32(whole) for stream in streams)
    told = sum(stream["lines"] for stream in streams)
    return Followed(complete, told, max(stream["ended_at"] for stream in streams) - begun, used, grown, health.seconds)


def _rows(what: str, followers: int, rounds: list[Followed], goal: float | None) -> Iterator[Row]:
    yield Row(f"{what}: got every line in order", min(one.complete for one in rounds), "streams", goal=followers, at_least=True)
    by_cpu = [one.lines / one.cpu_seconds for one in rounds]
    yield Row(f"{what}: lines per second of the service's processor", median(by_cpu), "lines/s", goal, at_least=True, details={"rounds": by_cpu})
    by_clock = [one.lines / one.seconds for one in rounds]
    yield Row(f"{what}: lines per second by the clock", median(by_clock), "lines/s", goal, at_least=True, details={"rounds": by_clock})
    yield Row(f"{what}: growth of memory, peak", max(one.grown for one in rounds), "MB", goal=GOAL_MEGABYTES)
    milliseconds = [1000 * seconds for one in rounds for seconds in one.health_seconds]
    details = {"samples": len(milliseconds), "median": median(milliseconds), "longest": max(milliseconds)}
    yield Row(f"{what}: /health meanwhile, p99", percentile(milliseconds, 0.99), "ms", goal=GOAL_MILLISECONDS, details=details)


def check_events(whole: bytes, lines: int) -> None:
    """Check that a build's event stream is 1..n, with all the printed lines in order, and then its end."""
    events = [frame.split(b"\n", 2) for frame in whole.split(b"\n\n") if frame and not frame.startswith(b":")]
    assert [event[0] for event in events] == [b"id: %d" % number for number in range(1, len(events) + 1)]
    texts = [json.loads(data.removeprefix(b"data: "))["text"] for _, kind, data in events if kind == b"event: log"]
    printed = [text for text in texts if text.startswith("line ")]
    assert printed == [_LINE % number for number in range(1, lines + 1)]
    assert events[-1][1] == b"event: end"
