"""What must not grow with images and people: asks, lists, clean-up and `health` with up to 10,000 images of up to 2,000 people; and a long queue.

The policy, its database and its directories of images are real; Git servers and builders are stand-ins that answer at once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.measure import Row, median
from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds.access import BUILD_SCOPE
from binderhub_service.builds.builds import Builds
from binderhub_service.builds.cleaner import Budget, Cleaner
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.images.environments import EnvironmentImages
from binderhub_service.images.layout import MADE, MANIFEST
from binderhub_service.models import Build, Caller, Request
from binderhub_service.monitoring.health import Health
from binderhub_service.store.caching import CachingStore
from tests.harness.records import TableProvider, commit

# Images, and people who ask for them.
SIZES = ((10, 10), (1_000, 500), (10_000, 2_000))
QUICK_SIZES = ((10, 10), (300, 100))
QUEUES = ((10, 5), (200, 50))
ROUNDS = 200
_RUNNING = 4
_REPO = "https://git.example.org/bench/growth"
_GOAL = 1.5
# Of the largest, not everything is in memory: two looks into the database.
_ALLOWANCE_MILLISECONDS = 2.0
# Who waits far behind is told some twenty places on the way, each a row in the database.
_TOLD_MILLISECONDS = 25.0
_UNTIL_MADE = "until all are made, each"


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Compare the largest with the smallest; every size is in the details."""
    sizes, rounds = (QUICK_SIZES, 30) if quick else (SIZES, ROUNDS)
    taken: dict[str, dict[int, float]] = {}
    for images, people in sizes:
        for name, milliseconds in asyncio.run(_grown(folder / str(images), images, people, rounds)).items():
            taken.setdefault(name, {})[images] = milliseconds
    for name, by_size in taken.items():
        yield _row(f"{name}, {sizes[0][0]:,} to {sizes[-1][0]:,} images", by_size)
    queued: dict[str, dict[int, float]] = {}
    for builds, people in QUEUES:
        for name, milliseconds in asyncio.run(_queued(folder / f"queue-{builds}", builds, people)).items():
            queued.setdefault(name, {})[builds] = milliseconds
    for name, by_size in queued.items():
        allowance = _TOLD_MILLISECONDS if name == _UNTIL_MADE else _ALLOWANCE_MILLISECONDS
        yield _row(f"{name}, {QUEUES[0][0]} to {QUEUES[-1][0]} builds queued by {QUEUES[-1][1]} people", by_size, allowance)


def _row(name: str, by_size: dict[int, float], allowance: float = _ALLOWANCE_MILLISECONDS) -> Row:
    smallest, largest = by_size[min(by_size)], by_size[max(by_size)]
    return Row(name, largest, "ms", _GOAL, smallest, allowance=allowance, details={str(size): taken for size, taken in by_size.items()})


@dataclass
class _Place:
    """A service's middle in a folder."""

    folder: Path
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.images = EnvironmentImages(self.folder, "settings")
        self.store = CachingStore(f"sqlite:///{self.folder / 'service.sqlite'}")
        self.provider = TableProvider()
        builder = FakeBuilder(made=lambda build: self.put(build.image.name), gate=self.gate)
        limits = BuildLimits(running=_RUNNING)
        self.builds = Builds(store=self.store, providers=[self.provider], images=self.images, builder=builder, limits=limits)
        self.cleaner = Cleaner(store=self.store, images=self.images, builds=self.builds, budget=Budget(image_bytes=1 << 60))
        self.health = Health({"database": self.store.check}, kept_seconds=0)

    def put(self, name: str) -> None:
        """Make an image; all share one environment."""
        environment = self.folder / "environments" / "key"
        (environment / "bin").mkdir(parents=True, exist_ok=True)
        (environment / "bin" / "python").touch()
        made = self.folder / "images" / MADE / f"{name}.0b1"
        (made / "content").mkdir(parents=True)
        said = {"environment": str(environment), "key": "key", "content": str(made / "content"), "content_bytes": 1, "environment_bytes": 1}
        (made / MANIFEST).write_text(json.dumps(said))
        (self.folder / "images" / name).symlink_to(made)

    async def ask(self, number: int, person: Caller) -> Build:
        """Ask for the commit of a number."""
        self.provider.refs[f"r{number}"] = commit(number)
        build, _ = await self.builds.ensure(Request(_REPO, f"r{number}"), person)
        return build


@asynccontextmanager
async def _place(folder: Path) -> AsyncIterator[_Place]:
    folder.mkdir()
    place = _Place(folder)
    await place.store.open()
    try:
        yield place
    finally:
        place.gate.set()
        await place.builds.close()
        await place.store.close()


async def _grown(folder: Path, images: int, people: int, rounds: int) -> dict[str, float]:
    """Return milliseconds by what was done where there are so many images and people; what looks at all images is divided by them."""
    async with _place(folder) as place:
        persons = [_person(number) for number in range(people)]
        for number in range(images):
            place.put(await _name(place, number))
            await place.ask(number, persons[number % people])
        turn = iter(range(10 * rounds))

        def at() -> int:
            return next(turn) * 7 % images

        return {
            "ask for what is there": await _milliseconds(lambda: place.ask(number := at(), persons[number % people]), rounds),
            "one person's list": await _milliseconds(lambda: place.builds.list(persons[at() % people], limit=5), rounds),
            "health": await _milliseconds(place.health.report, rounds),
            "list of images, each": await _milliseconds(place.cleaner.images, 3) / images,
            "clean-up that removes nothing, each": await _milliseconds(place.cleaner.clean, 3) / images,
        }


async def _name(place: _Place, number: int) -> str:
    place.provider.refs[f"r{number}"] = commit(number)
    return place.images.name_for(await place.provider.resolve(Request(_REPO, f"r{number}")))


async def _queued(folder: Path, builds: int, people: int) -> dict[str, float]:
    """Return milliseconds by what was done while so many builds wait; the end is divided by them."""
    async with _place(folder) as place:
        asks = []
        for number in range(builds):
            begun = time.perf_counter()
            await place.ask(number, _person(number % people))
            asks.append(1000 * (time.perf_counter() - begun))
        listed = await _milliseconds(lambda: place.builds.list(_person(0), limit=5), 20)
        begun = time.perf_counter()
        place.gate.set()
        while sum(place.builds.counts()[name] for name in ("queued", "running")):
            await asyncio.sleep(0.01)
        drained = 1000 * (time.perf_counter() - begun) / builds
        return {
            "ask that waits (the last tenth)": median(asks[-max(1, builds // 10) :]),
            "one person's list meanwhile": listed,
            _UNTIL_MADE: drained,
        }


async def _milliseconds(work: Callable[[], Awaitable[object]], rounds: int) -> float:
    """Return the median of how long something takes; the first time is not counted."""
    taken = []
    for _ in range(rounds + 1):
        begun = time.perf_counter()
        await work()
        taken.append(1000 * (time.perf_counter() - begun))
    return median(taken[1:])


def _person(number: int) -> Caller:
    return Caller(f"person-{number}", scopes=frozenset({BUILD_SCOPE}))
