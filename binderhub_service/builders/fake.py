"""A builder that reports the events it was given; for tests of everything around builders."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence

from ..errors import BinderError
from ..models import Build, Kind, Phase, Report
from .base import Builder


class FakeBuilder(Builder):
    """Tells `lines`, then ends as it was told to.

    Args:
        lines: what the log says.
        error: what it fails with, if it is to fail.
        made: called with the build when its image is made.
        gate: if given, the builder waits for it before it ends.
        tries: whether it makes the image before it waits, and tells so.
    """

    def __init__(
        self,
        lines: Sequence[str] = ("made by nobody",),
        *,
        error: BinderError | None = None,
        made: Callable[[Build], None] = lambda build: None,
        gate: asyncio.Event | None = None,
        tries: bool = False,
    ) -> None:
        self.lines = lines
        self.error = error
        self.made = made
        self.gate = gate
        self.tries = tries
        self.runs: list[str] = []
        self.stopped: list[str] = []
        self.forgotten: list[str] = []

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Yield a phase and the lines; the cursor is the number of reports told."""
        self.runs.append(build.id)
        told = [Report(Kind.PHASE, {"phase": Phase.BUILDING})] + [Report(Kind.LOG, {"text": line}) for line in self.lines]
        for number, report in enumerate(told, start=1):
            if number > int(after or 0):
                yield Report(report.kind, report.data, cursor=str(number))
        if self.tries and int(after or 0) <= len(told):
            self.made(build)
            yield Report(Kind.PHASE, {"made": True, "message": "Looking whether a server starts from the image"}, cursor=str(len(told) + 1))
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        self.made(build)

    async def stop(self, build: Build) -> None:
        """Note that it was asked to."""
        self.stopped.append(build.id)

    async def forget(self, build: Build) -> None:
        """Note that it was asked to."""
        self.forgotten.append(build.id)
