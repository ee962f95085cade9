"""How much longer the service takes to start when 100,000 builds are stored."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from bench import hub_api, stored
from bench.measure import Row, median
from bench.service import Service

STORED = 100_000
ROUNDS = 5
ALLOWANCE_SECONDS = 1.0


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Start it with none and with many in turn; both databases have the newest schema."""
    count, rounds = (1_000, 2) if quick else (STORED, ROUNDS)
    states = {number: folder / str(number) for number in (0, count)}
    for number, state in states.items():
        state.mkdir()
        stored.fill(state / "service.sqlite", number)
    seconds: dict[int, list[float]] = {number: [] for number in states}
    fresh = []
    with hub_api.running() as hub:
        for _ in range(rounds):
            for number, state in states.items():
                with Service(state, hub) as service:
                    seconds[number].append(service.start_seconds)
            with Service(folder / "fresh", hub) as service:
                fresh.append(service.start_seconds)
            shutil.rmtree(folder / "fresh")
    details = {str(number): times for number, times in seconds.items()}
    none, many = median(seconds[0]), median(seconds[count])
    yield Row(f"start with {count:,} stored builds, beside none", many, "s", 1, none, allowance=ALLOWANCE_SECONDS, details=details)
    yield Row("start with no database yet, beside an empty one", median(fresh), "s", baseline=none)
