"""Runs builds: which is next, and how each ends exactly once.

One task, `_run`, takes a running build to its end and stores that end. No other code does; a build is ended by cancelling its task.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from ..builders import Builder
from ..errors import INTERNAL_ERROR, BinderError, BuildFailed
from ..images import Images
from ..models import Build, Image, Kind, Phase, State, iso, now, seconds_between
from ..store.space import Space
from ..store.store import Store
from .active import ActiveBuild, ActiveBuilds
from .event_log import EventLog
from .limits import BuildLimits
from .queue import Queue, waits_seconds
from .runner import BuildRunner

log = logging.getLogger("binderhub_service")

# A place is told anew when it has changed by a fifth: near the end each time, and in a long queue not to everybody for every build that starts.
_TOLD_SHARE = 5
_CANCELLED = {"code": "cancelled", "message": "The build was cancelled.", "hint": "Ask again to build it."}


class Observer(Protocol):
    """Is told when builds start and end, e.g. to count them."""

    def note_start(self, build: Build) -> None:
        """Note that a build's turn has come."""

    def note_end(self, build: Build) -> None:
        """Note that a build has ended."""


class BuildScheduler:
    """Runs builds, some at a time.

    Args:
        active: where builds are kept from their beginning to their stored end.
    """

    def __init__(
        self,
        *,
        store: Store,
        images: Images,
        builder: Builder,
        limits: BuildLimits,
        active: ActiveBuilds,
        space: Space,
        observer: Observer | None = None,
    ) -> None:
        self._store = store
        self._builder = builder
        self._runner = BuildRunner(images=images, builder=builder, limits=limits, space=space)
        self._limits = limits
        self._observer = observer
        self._queue = Queue()
        self._active = active
        self._closing = False

    # --- what goes on ------------------------------------------------------------------------------------------------

    def unfinished(self) -> list[Build]:
        """Return all builds that wait or run."""
        return [active.build for active in self._active.unfinished()]

    def is_making(self, image: str) -> bool:
        """Say whether a build is making an image, or is being ended."""
        return self._active.making(image) is not None

    async def joinable(self, image: str) -> Build | None:
        """Return the build that is making an image; a build that is being ended is waited for, not joined."""
        active = self._active.making(image)
        if active is not None and active.is_ending:
            await active.wait()
            return None
        return active.build if active else None

    def queue_status(self, build_id: str) -> dict[str, int | None] | None:
        """Return the place of a waiting build, 1 for the next, and the seconds it may wait; None if it does not wait."""
        waiting = self._queue.in_order()
        if build_id not in waiting:
            return None
        position = waiting.index(build_id) + 1
        return {"position": position, "estimate_seconds": self._estimates(waiting)[position - 1]}

    def counts(self) -> dict[str, int]:
        """Return how many builds wait and run, and how many followers there are."""
        followers = sum(active.event_log.followers for active in self._active.unfinished())
        return {"queued": len(self._queue), "running": len(self._active.with_place()), "followers": followers}

    # --- beginnings --------------------------------------------------------------------------------------------------

    async def begin(self, build: Build, requester: str = "") -> Build:
        """Store a new build and its first requester, as `Store.create`, and let it run, or wait for its turn."""
        active = await self._activate(build)
        await self._store.create(build, requester)
        self._admit(active)
        return build

    async def found(self, build: Build, image: Image, requester: str = "") -> Build:
        """Store the record of a build that had nothing to do, and its requester, as `Store.create`."""
        await self._store.create(build, requester)
        event_log = EventLog(self._store, build)
        await self._end(event_log, State.READY, image=image)
        return event_log.build

    async def resume(self, build: Build, cursor: str) -> None:
        """Take up a build that had not ended when the service did; `cursor` is of its builder's last stored report."""
        active = await self._activate(build, cursor, log_bytes=await self._store.log_bytes(build.id))
        if build.state is State.RUNNING:
            active.event_log.resumed = True
            self._active.add(active)
            self._start(active)
        else:
            self._admit(active)

    async def _activate(self, build: Build, cursor: str = "", log_bytes: int = 0) -> ActiveBuild:
        event_log = EventLog(self._store, build, cursor, log_bytes=log_bytes)
        event_log.typical_seconds = await self._store.typical_seconds(build.source.repo)
        return ActiveBuild(event_log)

    def _admit(self, active: ActiveBuild) -> None:
        self._active.add(active)
        self._queue.add(active.build.id, active.build.owner)
        self._advance()
        if active.build.id in self._queue and self._limits.queue_seconds:
            left_seconds = max(0.0, self._limits.queue_seconds - seconds_between(active.build.created, now()))
            active.queue_timer = asyncio.get_running_loop().call_later(left_seconds, self._give_up_waiting, active)

    def _advance(self) -> None:
        """Start what may start; tell the others where they stand."""
        if self._closing:
            return
        while len(self._active.with_place()) < self._limits.running and (build_id := self._queue.take()):
            self._start(self._active.waiting(build_id))
        waiting = self._queue.in_order()
        for position, (build_id, seconds) in enumerate(zip(waiting, self._estimates(waiting), strict=True), start=1):
            active = self._active.waiting(build_id)
            if abs(active.position - position) >= max(1, position // _TOLD_SHARE):
                active.position = position
                active.event_log.append(Kind.QUEUE, {"position": position, "estimate_seconds": seconds})

    def _estimates(self, waiting: list[str]) -> list[int | None]:
        """Return how long builds may wait, judged by how long builds of their repositories took; None where nothing is known."""
        if not waiting:
            return []
        running = [active for active in self._active.with_place() if not active.event_log.over]
        return waits_seconds(
            remaining=[active.event_log.remaining_seconds() for active in running],
            durations=[self._active.waiting(build_id).event_log.typical_seconds for build_id in waiting],
            places=self._limits.running,
        )

    def _start(self, active: ActiveBuild) -> None:
        active.stop_queue_timer()
        active.has_place = True
        active.task = asyncio.create_task(self._run(active), name=f"build {active.build.id}")
        active.task.add_done_callback(lambda _: self._after(active))

    def _after(self, active: ActiveBuild) -> None:
        """Forget a build whose task has ended, and give its place away; a build that a stopped service lets go is not over."""
        active.task, active.has_place = None, False
        if active.event_log.over:
            self._active.drop(active)
        self._advance()
        if not self._closing and not self._active.unfinished():
            self._builder.prepare()

    # --- running -----------------------------------------------------------------------------------------------------

    async def _run(self, active: ActiveBuild) -> None:
        """Take a build to its end.

        The one broad `except` of the service is here: whatever happens, a build ends, and nobody is shown a traceback.
        """
        event_log, build = active.event_log, active.build
        try:
            await self._begin_running(event_log)
            image = await self._runner.image(event_log)
        except BinderError as error:
            await self._end(event_log, State.FAILED, error=error.as_dict())
        except asyncio.CancelledError:
            if not active.is_ending:
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
        active = self._active.get(build_id)
        if active is None or active.build.state.ended:
            return
        if build_id in self._queue:
            self._end_waiting(active, State.CANCELLED, _CANCELLED)
        elif active.task and not active.is_ending:
            active.is_ending = True
            await asyncio.sleep(0)  # a task that has not taken its first step would never end its build
            if active.task and not active.build.state.ended:
                active.task.cancel()
        await active.wait()

    async def close(self) -> None:
        """Stop following, in good order; the builds go on and `resume` takes them up again."""
        self._closing = True
        for active in self._active.unfinished():
            active.stop_queue_timer()
            if active.task and not active.is_ending and not active.build.state.ended:
                active.task.cancel()
        tasks = self._active.tasks()
        if tasks:
            await asyncio.wait(tasks)
        for active in self._active.unfinished():  # a request may come meanwhile
            await active.event_log.flush()
        await self._builder.close()

    def _give_up_waiting(self, active: ActiveBuild) -> None:
        if self._closing or active.build.id not in self._queue:
            return
        error = BuildFailed(
            f"The build waited longer than {self._limits.queue_seconds:g} seconds for its turn.",
            code="queue_timeout",
            hint="Too much is being built now; ask again later.",
        )
        self._end_waiting(active, State.FAILED, error.as_dict())

    def _end_waiting(self, active: ActiveBuild, state: State, error: Mapping[str, Any]) -> None:
        """Let a build end whose turn has not come."""
        self._queue.remove(active.build.id)
        active.stop_queue_timer()
        active.is_ending = True
        active.task = asyncio.create_task(self._end(active.event_log, state, error=error))
        active.task.add_done_callback(lambda _: self._after(active))
        self._advance()

    async def _end(self, event_log: EventLog, state: State, *, image: Image | None = None, error: Mapping[str, Any] | None = None) -> None:
        """End a build, once: record and last event are stored together."""
        finished = now()
        event_log.update(
            state=state, finished=finished, error=error, image=image or event_log.build.image, started=event_log.build.started or finished
        )
        if state is State.READY:
            event_log.move_to(Phase.DONE)
        elif (event_log.is_made or event_log.resumed) and not event_log.build.force:  # what is forced is tried before it is named
            await self._runner.withdraw(event_log.build)
        build = event_log.build
        end = {"state": state, "image": build.image.reference, "environment": build.image.environment or None, "error": error, "time": iso(finished)}
        event_log.append(Kind.END, end)
        await event_log.flush()
        if self._observer:
            self._observer.note_end(build)
        await self._builder.forget(build)
