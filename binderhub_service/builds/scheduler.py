"""Which build runs next, and how each ends exactly once.

A running build's life is one task, `_live`: it has the image made and ends the build. Nothing else does; to end a build is to cancel its task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from ..builders import Builder
from ..errors import INTERNAL_ERROR, BinderError, BuildFailed
from ..images import Images
from ..models import Build, Image, Kind, Phase, State, iso, now
from ..store.store import Store
from .event_log import EventLog
from .limits import BuildLimits
from .queue import Queue, waits_seconds
from .runner import BuildRunner

log = logging.getLogger("binderhub_service")

_CANCELLED = {"code": "cancelled", "message": "The build was cancelled.", "hint": "Ask again to build it."}


class Observer(Protocol):
    """Whoever counts what happens."""

    def note_start(self, build: Build) -> None:
        """Note that a build's turn has come."""

    def note_end(self, build: Build) -> None:
        """Note that a build has ended."""


class BuildScheduler:
    """Runs builds, some at a time, and holds their event logs until they end."""

    def __init__(self, *, store: Store, images: Images, builder: Builder, limits: BuildLimits, observer: Observer | None = None) -> None:
        self._store = store
        self._builder = builder
        self._runner = BuildRunner(images=images, builder=builder, limits=limits)
        self._limits = limits
        self._observer = observer
        self._queue = Queue()
        self._event_logs: dict[str, EventLog] = {}
        self._by_image: dict[str, EventLog] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()
        self._places: dict[str, int] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    # --- what goes on ------------------------------------------------------------------------------------------------

    def event_log(self, build_id: str) -> EventLog | None:
        """Return the event log of a build that goes on, or None."""
        return self._event_logs.get(build_id)

    def unfinished(self) -> list[Build]:
        """Return all builds that wait or run."""
        return [event_log.build for event_log in self._event_logs.values()]

    async def joinable(self, image: str) -> EventLog | None:
        """Return the event log of the build that is making an image; one that is being ended is waited for, not joined."""
        event_log = self._by_image.get(image)
        if event_log is not None and (event_log.build.id in self._cancelled or event_log.build.id in self._ends):
            await self._wait_for(event_log.build.id)
            return None
        return event_log

    def queue_status(self, build_id: str) -> dict[str, int | None] | None:
        """Return the place of a waiting build, 1 for the next, and the seconds it may wait; None if it does not wait."""
        waiting = self._queue.in_order()
        if build_id not in waiting:
            return None
        position = waiting.index(build_id) + 1
        return {"position": position, "estimate_seconds": self._estimates(waiting)[position - 1]}

    def counts(self) -> dict[str, int]:
        """Return how many builds wait and run, and how many followers there are."""
        followers = sum(event_log.followers for event_log in self._event_logs.values())
        return {"queued": len(self._queue), "running": len(self._tasks), "followers": followers}

    # --- beginnings --------------------------------------------------------------------------------------------------

    async def begin(self, build: Build) -> Build:
        """Store a new build and let it run, or wait for its turn."""
        event_log = await self._event_log(build)
        await self._store.create(build)
        self._admit(event_log)
        return build

    async def found(self, build: Build, image: Image) -> Build:
        """Store the record of a build that had nothing to do."""
        await self._store.create(build)
        event_log = EventLog(self._store, build)
        await self._end(event_log, State.READY, image=image)
        return event_log.build

    async def resume(self, build: Build, cursor: str) -> None:
        """Take up a build that had not ended when the service did; `cursor` is of its builder's last stored report."""
        event_log = await self._event_log(build, cursor, log_bytes=await self._store.log_bytes(build.id))
        if build.state is State.RUNNING:
            event_log.resumed = True
            self._register(event_log)
            self._start(event_log)
        else:
            self._admit(event_log)

    async def _event_log(self, build: Build, cursor: str = "", log_bytes: int = 0) -> EventLog:
        event_log = EventLog(self._store, build, cursor, log_bytes=log_bytes)
        event_log.typical_seconds = await self._store.typical_seconds(build.source.repo)
        return event_log

    def _admit(self, event_log: EventLog) -> None:
        self._register(event_log)
        self._queue.add(event_log.build.id, event_log.build.owner)
        self._advance()
        if event_log.build.id in self._queue and self._limits.queue_seconds:
            waited = (now() - event_log.build.created).total_seconds()
            asyncio.get_running_loop().call_later(max(0.0, self._limits.queue_seconds - waited), self._give_up_waiting, event_log)

    def _register(self, event_log: EventLog) -> None:
        self._event_logs[event_log.build.id] = event_log
        self._by_image[event_log.build.image.name] = event_log

    def _advance(self) -> None:
        """Start what may start; tell the others where they stand."""
        if self._closing:
            return
        while len(self._tasks) < self._limits.running and (build_id := self._queue.take()):
            self._start(self._event_logs[build_id])
        waiting = self._queue.in_order()
        for position, (build_id, seconds) in enumerate(zip(waiting, self._estimates(waiting), strict=True), start=1):
            if self._places.get(build_id) != position:
                self._places[build_id] = position
                self._event_logs[build_id].append(Kind.QUEUE, {"position": position, "estimate_seconds": seconds})

    def _estimates(self, waiting: list[str]) -> list[int | None]:
        """Return how long builds may wait, judged by how long builds of their repositories took; None where nothing is known."""
        if not waiting:
            return []
        running = [self._event_logs[build_id] for build_id in self._tasks if build_id in self._event_logs]
        return waits_seconds(
            remaining=[event_log.remaining_seconds() for event_log in running],
            durations=[self._event_logs[build_id].typical_seconds for build_id in waiting],
            places=self._limits.running,
        )

    def _start(self, event_log: EventLog) -> None:
        task = asyncio.create_task(self._live(event_log), name=f"build {event_log.build.id}")
        self._tasks[event_log.build.id] = task
        task.add_done_callback(lambda _: self._after(event_log.build.id))

    def _after(self, build_id: str) -> None:
        self._tasks.pop(build_id, None)
        self._advance()

    # --- lives -------------------------------------------------------------------------------------------------------

    async def _live(self, event_log: EventLog) -> None:
        """Live a build's life from here to its end.

        The one broad `except` of the service is here: whatever happens, a build ends, and nobody is shown a traceback.
        """
        build = event_log.build
        try:
            await self._begin_running(event_log)
            image = await self._runner.image(event_log)
        except BinderError as error:
            await self._end(event_log, State.FAILED, error=error.as_dict())
        except asyncio.CancelledError:
            if build.id not in self._cancelled:
                raise  # the service stops; the build goes on without it
            await self._runner.stop(build)
            await self._end(event_log, State.CANCELLED, error=_CANCELLED)
        except Exception:
            log.exception("Build %s ended by an error that nobody expected", build.id)
            await self._runner.stop(build)
            await self._end(event_log, State.FAILED, error=INTERNAL_ERROR.as_dict())
        else:
            await self._end(event_log, State.READY, image=image)

    async def _begin_running(self, event_log: EventLog) -> None:
        if event_log.build.state is State.RUNNING:
            return
        event_log.update(state=State.RUNNING, started=now())
        if self._observer:
            self._observer.note_start(event_log.build)
        event_log.move_to(Phase.FETCHING)
        await event_log.flush()

    # --- ends --------------------------------------------------------------------------------------------------------

    async def cancel(self, build_id: str) -> None:
        """End a build, whatever it does; when this returns, it has ended."""
        event_log = self._event_logs.get(build_id)
        if event_log is None or event_log.build.state.ended:
            return
        first = build_id not in self._cancelled
        self._cancelled.add(build_id)
        task = self._tasks.get(build_id)
        if build_id in self._queue:
            self._end_waiting(event_log, State.CANCELLED, _CANCELLED)
        elif task is not None and first:
            await asyncio.sleep(0)  # a task that has not taken its first step would never end its event log
            if not event_log.build.state.ended:
                task.cancel()
        await self._wait_for(build_id)

    async def close(self) -> None:
        """Stop following, in good order; the builds go on and `resume` takes them up again."""
        self._closing = True
        for build_id, task in self._tasks.items():
            event_log = self._event_logs.get(build_id)
            if event_log and not event_log.build.state.ended and build_id not in self._cancelled:
                task.cancel()
        ending = [*self._tasks.values(), *self._ends.values()]
        if ending:
            await asyncio.wait(ending)
        for event_log in list(self._event_logs.values()):  # an ask may come meanwhile
            await event_log.flush()
        await self._builder.close()

    def _give_up_waiting(self, event_log: EventLog) -> None:
        if self._closing or event_log.build.id not in self._queue:
            return
        error = BuildFailed(
            f"The build waited longer than {self._limits.queue_seconds:g} seconds for its turn.",
            code="queue_timeout",
            hint="Too much is being built now; ask again later.",
        )
        self._end_waiting(event_log, State.FAILED, error.as_dict())

    def _end_waiting(self, event_log: EventLog, state: State, error: Mapping[str, Any]) -> None:
        """Let a build end whose turn has not come."""
        self._queue.remove(event_log.build.id)
        task = asyncio.create_task(self._end(event_log, state, error=error))
        self._ends[event_log.build.id] = task
        task.add_done_callback(lambda _: self._ends.pop(event_log.build.id, None))
        self._advance()

    async def _wait_for(self, build_id: str) -> None:
        task = self._tasks.get(build_id) or self._ends.get(build_id)
        if task:
            await asyncio.wait([task])

    async def _end(self, event_log: EventLog, state: State, *, image: Image | None = None, error: Mapping[str, Any] | None = None) -> None:
        """End the event log, once: record and last event are stored together."""
        finished = now()
        event_log.update(
            state=state, finished=finished, error=error, image=image or event_log.build.image, started=event_log.build.started or finished
        )
        if state is State.READY:
            event_log.move_to(Phase.DONE)
        build = event_log.build
        end = {"state": state, "image": build.image.reference, "environment": build.image.environment or None, "error": error, "time": iso(finished)}
        event_log.append(Kind.END, end)
        await event_log.flush()
        if self._event_logs.pop(build.id, None):
            self._by_image.pop(build.image.name, None)
        self._cancelled.discard(build.id)
        self._places.pop(build.id, None)
        if self._observer:
            self._observer.note_end(build)
        await self._builder.forget(build)
