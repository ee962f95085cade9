"""Listing, looking up and appending with 10, 1,000 and 100,000 stored builds: what must not grow with the history."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench import stored
from bench.measure import Row, median
from binderhub_service.models import Build, Event, Image, Kind, Phase, Source, State
from binderhub_service.store.store import Store

COUNTS = (10, 1_000, 100_000)
ROUNDS = 300
GOAL = 1.5
_PAGE = 5  # as many of every kind as the smallest database holds
_NOISE_MILLISECONDS = 0.1
_OLD_IMAGE = f"image-{stored._build(3)['commit']}"
_SOURCE = Source("git", "https://git.example.org/new/one", "https://git.example.org/new/one", "new", "main", "0" * 40)


class Stores:
    """One store per size, and what is done to each in turn, so that they are measured under the same load."""

    def __init__(self, folder: Path, counts: tuple[int, ...]) -> None:
        self.by_count = {count: Store(f"sqlite:///{folder / str(count)}.sqlite") for count in counts}
        self._appended = 0

    async def milliseconds(self, work: Callable[[Store], Awaitable[object]], rounds: int) -> dict[int, float]:
        """Return the median time of `work` by the number of stored builds."""
        taken: dict[int, list[float]] = {count: [] for count in self.by_count}
        for _ in range(rounds):
            for count, store in self.by_count.items():
                begun = time.perf_counter()
                await work(store)
                taken[count].append(1000 * (time.perf_counter() - begun))
        return {count: median(times) for count, times in taken.items()}

    async def append(self, store: Store) -> None:
        """Store a new build, with a batch of events and its end."""
        self._appended += 1
        created = datetime.now(UTC) + timedelta(milliseconds=self._appended)
        number = f"{int(created.timestamp() * 1000):011x}{self._appended:08x}"
        build = Build(number, _SOURCE, Image(f"new-{self._appended}"), State.QUEUED, Phase.QUEUED, "bob", created)
        await store.create(build)
        lines = [Event(line, Kind.LOG, '{"text": "a line of the log"}') for line in range(1, 51)]
        await store.record(replace(build, state=State.RUNNING, started=created, last_event=50), lines, "cursor")
        end = Event(51, Kind.END, '{"state": "failed"}')
        await store.record(replace(build, state=State.FAILED, started=created, finished=created, last_event=51), [end], "cursor")


def _newest(*, requester: str | None = None, before: str | None = None, **filters: str) -> Callable[[Store], Awaitable[object]]:
    return lambda store: store.newest(requester=requester, filters=filters, before=before, limit=_PAGE)


def _works(stores: Stores) -> dict[str, Callable[[Store], Awaitable[object]]]:
    repo = "https://git.example.org/bench/0"
    return {
        "list, everybody's": _newest(),
        "list, everybody's, behind the tenth": _newest(before=stored.build_id(10)),
        "list, everybody's that failed": _newest(state="failed"),
        "list, everybody's of one repository": _newest(repo=repo),
        "list, everybody's of one repository that failed": _newest(repo=repo, state="failed"),
        "list, everybody's of one owner": _newest(owner="alice"),
        "list, everybody's of one owner that failed": _newest(owner="alice", state="failed"),
        "list, one person's": _newest(requester="alice"),
        "list, one person's that failed": _newest(requester="alice", state="failed"),
        "list, one person's that are ready": _newest(requester="alice", state="ready"),
        "list, one person's of one repository": _newest(requester="alice", repo=repo),
        "list, of somebody who asked for all, those of one repository": _newest(requester="everybody", repo=repo),
        "look up by id": lambda store: store.get(stored.build_id(3)),
        "look up by image": lambda store: store.newest_ready(_OLD_IMAGE),
        "look up what has not ended": lambda store: store.unfinished(),
        "look up how long builds take": lambda store: store.typical_seconds("https://git.example.org/never/built"),
        "read an event log": lambda store: store.events(stored.build_id(3), 0, 1000),
        "look for logs to drop": lambda store: store.drop_logs(stored.FIRST, 100),
        "append a build with 51 events": stores.append,
    }


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the largest database with the smallest."""
    counts, rounds = ((10, 100, 1_000), 50) if quick else (COUNTS, ROUNDS)
    for count in counts:
        stored.fill(folder / f"{count}.sqlite", count)
    yield from asyncio.run(_measure(folder, counts, rounds))


async def _measure(folder: Path, counts: tuple[int, ...], rounds: int) -> list[Row]:
    stores = Stores(folder, counts)
    for store in stores.by_count.values():
        await store.open()
    rows = []
    for name, work in _works(stores).items():
        await stores.milliseconds(work, 10)
        taken = await stores.milliseconds(work, rounds)
        smallest, largest = taken[counts[0]], max(taken.values())
        details = {str(count): milliseconds for count, milliseconds in taken.items()}
        name = f"{name}, {counts[0]:,} to {counts[-1]:,} builds"
        rows.append(Row(name, largest, "ms", GOAL, smallest, allowance=_NOISE_MILLISECONDS, details=details))
    for store in stores.by_count.values():
        await store.close()
    return rows
