"""ContainerSpawner's calls of the engine, with a client that does as the test says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from docker.errors import NotFound

from spawner.docker.base import PULL_THREADS, ContainerSpawner
from tests.harness.waiting import HANGS_SECONDS, within

DIGEST = "registry.example.org/image@sha256:" + "0" * 64


class SlowPulls:
    """An engine that has no image and whose pulls end when they are let; everything else it answers at once."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Event()

    def inspect_image(self, name: str) -> None:
        """Know no image."""
        raise NotFound(name)

    def pull(self, *_: Any, **__: Any) -> Iterator[dict[str, Any]]:
        """Yield one message, when it is let."""
        self.begun.release()
        self.go_on.wait(3 * HANGS_SECONDS)
        yield {}

    def inspect_container(self, _: str) -> dict[str, Any]:
        """Know every container."""
        return {"Id": "c1"}


async def test_polls_and_stops_never_wait_behind_pulls(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = SlowPulls()
    monkeypatch.setattr(ContainerSpawner, "client", engine)
    spawner = ContainerSpawner()
    pulls = [asyncio.ensure_future(spawner.pull_image(DIGEST)) for _ in range(2 * PULL_THREADS)]
    try:
        for _ in range(PULL_THREADS):
            await asyncio.to_thread(engine.begun.acquire, timeout=10)
        async with within():
            assert await spawner.docker("inspect_container", "c1") == {"Id": "c1"}
    finally:
        engine.go_on.set()
        await asyncio.gather(*pulls)
