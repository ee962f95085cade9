"""How much memory the service takes while it does nothing, after its first start and after a start with an existing database."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from bench import hub_api
from bench.measure import Row, resident_megabytes
from bench.service import Service

IDLE_SECONDS = 3.0
GOAL_MEGABYTES = 110


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Start it twice."""
    with hub_api.running() as hub:
        for which in ("first start", "existing database"):
            with Service(folder / "state", hub) as service:
                service.get("api/builds")
                time.sleep(1 if quick else IDLE_SECONDS)
                yield Row(f"idle service, resident memory, {which}", resident_megabytes(service.pid), "MB", goal=GOAL_MEGABYTES)
