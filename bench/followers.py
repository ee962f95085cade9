"""200 followers of one build that prints 20,000 lines."""

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
from bench.measure import Row, cpu_seconds, forget_peak, peak_megabytes, percentile, resident_megabytes
from bench.service import PREFIX, Service
from tests.harness.gate import Gate
from tests.harness.git_server import GitServer

FOLLOWERS = 200
LINES = 20_000
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


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Follow live, then follow the same story once more when it is history."""
    followers, lines = (50, 5_000) if quick else (FOLLOWERS, LINES)
    gate = Gate(folder)
    post_build = f"{gate.post_build}seq -f '{_LINE}' 1 {lines}\n"
    with GitServer(folder / "git").running() as git, hub_api.running() as hub, Service(folder / "state", hub) as service:
        repository = git.create("bench/talkative", {"postBuild": post_build})
        build = service.ask(repository.url)
        gate.wait_until_reached()
        yield from _live(service, gate, build, followers, lines)
        yield from _history(service, build, followers, lines)


def _live(service: Service, gate: Gate, build: dict[str, Any], followers: int, lines: int) -> Iterator[Row]:
    before = resident_megabytes(service.pid)
    forget_peak(service.pid)
    crowd = Crowd(service, build["id"], followers)
    used = cpu_seconds(service.pid)
    begun = time.monotonic()
    with HealthProbe(service) as health:
        gate.open()
        streams = crowd.streams()
    used = cpu_seconds(service.pid) - used
    grown = peak_megabytes(service.pid) - before
    service.finished(build)
    yield from _delivered(service, build, streams, lines, f"{followers} followers, live", used, begun)
    yield Row(f"{followers} followers, live: growth of resident memory, peak", grown, "MB", goal=60, details={"before": before})
    milliseconds = [1000 * second for second in health.seconds]
    details = {"samples": len(milliseconds), "median": percentile(milliseconds, 0.5), "longest": max(milliseconds)}
    yield Row(f"{followers} followers, live: /health meanwhile, p99", percentile(milliseconds, 0.99), "ms", goal=100, details=details)


def _history(service: Service, build: dict[str, Any], followers: int, lines: int) -> Iterator[Row]:
    before = resident_megabytes(service.pid)
    forget_peak(service.pid)
    used = cpu_seconds(service.pid)
    begun = time.monotonic()
    with HealthProbe(service) as health:
        streams = Crowd(service, build["id"], followers).streams()
    used = cpu_seconds(service.pid) - used
    yield from _delivered(service, build, streams, lines, f"{followers} followers, history", used, begun, goal=None)
    yield Row(f"{followers} followers, history: growth of resident memory, peak", peak_megabytes(service.pid) - before, "MB", goal=60)
    milliseconds = [1000 * second for second in health.seconds]
    yield Row(f"{followers} followers, history: /health meanwhile, p99", percentile(milliseconds, 0.99), "ms", goal=100)


def _delivered(
    service: Service,
    build: dict[str, Any],
    streams: list[dict[str, Any]],
    lines: int,
    what: str,
    used_seconds: float,
    begun: float,
    goal: float | None = 100_000,
) -> Iterator[Row]:
    whole = service.get(f"api/builds/{build['id']}/events").content
    check_story(whole, lines)
    complete = sum(stream["bytes"] == len(whole) and stream["checksum"] == zlib.crc32(whole) for stream in streams)
    yield Row(f"{what}: got every line in order", complete, "streams", goal=len(streams), at_least=True)
    events = sum(stream["lines"] for stream in streams)
    took = max(stream["ended_at"] for stream in streams) - begun
    details = {"events": events, "seconds": took, "service_cpu_seconds": used_seconds, "megabytes": sum(stream["bytes"] for stream in streams) / 1e6}
    yield Row(f"{what}: lines per second of the service's processor time", events / used_seconds, "lines/s", goal, at_least=True, details=details)
    yield Row(f"{what}: lines per second by the clock, first line to last end", events / took, "lines/s", goal, at_least=True)


def check_story(whole: bytes, lines: int) -> None:
    """Check that a build's event stream is 1..n, with all the printed lines in order, and then its end."""
    events = [frame.split(b"\n", 2) for frame in whole.split(b"\n\n") if frame and not frame.startswith(b":")]
    assert [event[0] for event in events] == [b"id: %d" % number for number in range(1, len(events) + 1)]
    texts = [json.loads(data.removeprefix(b"data: "))["text"] for _, kind, data in events if kind == b"event: log"]
    printed = [text for text in texts if text.startswith("line ")]
    assert printed == [_LINE % number for number in range(1, lines + 1)]
    assert events[-1][1] == b"event: end"
