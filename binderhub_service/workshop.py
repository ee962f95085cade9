"""Where builds run: who is next, and how a story ends exactly once.

A running build's life is one task, `_live`: it lets the image be made and ends the story. Nobody else does; whoever wants a
build to end asks its task to, by cancelling it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from .builders import Builder
from .errors import INTERNAL_ERROR, BinderError, BuildFailed
from .images import Images
from .limits import BuildLimits
from .making import Making
from .models import Build, Image, Kind, Phase, State, iso, now
from .queue import Queue, waits_seconds
from .store import Store
from .stories import Story

log = logging.getLogger("binderhub_service")

_CANCELLED = {"code": "cancelled", "message": "The build was cancelled.", "hint": "Ask again to build it."}


class Observer(Protocol):
    """Whoever counts what happens."""

    def note_start(self, build: Build) -> None:
        """Note that a build's turn has come."""

    def note_end(self, build: Build) -> None:
        """Note that a build has ended."""


class Workshop:
    """Runs builds, some at a time, and holds their stories until they end."""

    def __init__(self, *, store: Store, images: Images, builder: Builder, limits: BuildLimits, observer: Observer | None = None) -> None:
        self._store = store
        self._builder = builder
        self._making = Making(images=images, builder=builder, limits=limits)
        self._limits = limits
        self._observer = observer
        self._queue = Queue()
        self._stories: dict[str, Story] = {}
        self._by_image: dict[str, Story] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()
        self._places: dict[str, int] = {}
        self._ends: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    # --- what goes on ------------------------------------------------------------------------------------------------

    def story(self, build_id: str) -> Story | None:
        """Return the story of a build that goes on, or None."""
        return self._stories.get(build_id)

    def unfinished(self) -> list[Build]:
        """Return all builds that wait or run."""
        return [story.build for story in self._stories.values()]

    async def joinable(self, image: str) -> Story | None:
        """Return the story of the build that is making an image; one that is being ended is waited for, not joined."""
        story = self._by_image.get(image)
        if story is not None and (story.build.id in self._cancelled or story.build.id in self._ends):
            await self._wait_for(story.build.id)
            return None
        return story

    def queue_status(self, build_id: str) -> dict[str, int | None] | None:
        """Return the place of a waiting build, 1 for the next, and the seconds it may wait; None if it does not wait."""
        waiting = self._queue.in_order()
        if build_id not in waiting:
            return None
        position = waiting.index(build_id) + 1
        return {"position": position, "estimate_seconds": self._estimates(waiting)[position - 1]}

    def counts(self) -> dict[str, int]:
        """Return how many builds wait and run, and how many followers there are."""
        followers = sum(story.followers for story in self._stories.values())
        return {"queued": len(self._queue), "running": len(self._tasks), "followers": followers}

    # --- beginnings --------------------------------------------------------------------------------------------------

    async def begin(self, build: Build) -> Build:
        """Store a new build and let it run, or wait for its turn."""
        story = await self._story(build)
        await self._store.create(build)
        self._admit(story)
        return build

    async def found(self, build: Build, image: Image) -> Build:
        """Store the record of a build that had nothing to do."""
        await self._store.create(build)
        story = Story(self._store, build)
        await self._end(story, State.READY, image=image)
        return story.build

    async def resume(self, build: Build, cursor: str) -> None:
        """Take up a build that had not ended when the service did; `cursor` is of its builder's last stored report."""
        story = await self._story(build, cursor, log_bytes=await self._store.log_bytes(build.id))
        if build.state is State.RUNNING:
            story.resumed = True
            self._register(story)
            self._start(story)
        else:
            self._admit(story)

    async def _story(self, build: Build, cursor: str = "", log_bytes: int = 0) -> Story:
        story = Story(self._store, build, cursor, log_bytes=log_bytes)
        story.typical_seconds = await self._store.typical_seconds(build.source.repo)
        return story

    def _admit(self, story: Story) -> None:
        self._register(story)
        self._queue.add(story.build.id, story.build.owner)
        self._advance()
        if story.build.id in self._queue and self._limits.queue_seconds:
            waited = (now() - story.build.created).total_seconds()
            asyncio.get_running_loop().call_later(max(0.0, self._limits.queue_seconds - waited), self._give_up_waiting, story)

    def _register(self, story: Story) -> None:
        self._stories[story.build.id] = story
        self._by_image[story.build.image.name] = story

    def _advance(self) -> None:
        """Start what may start; tell the others where they stand."""
        if self._closing:
            return
        while len(self._tasks) < self._limits.running and (build_id := self._queue.take()):
            self._start(self._stories[build_id])
        waiting = self._queue.in_order()
        for position, (build_id, seconds) in enumerate(zip(waiting, self._estimates(waiting), strict=True), start=1):
            if self._places.get(build_id) != position:
                self._places[build_id] = position
                self._stories[build_id].tell(Kind.QUEUE, {"position": position, "estimate_seconds": seconds})

    def _estimates(self, waiting: list[str]) -> list[int | None]:
        """Return how long builds may wait, judged by how long builds of their repositories took; None where nothing is known."""
        if not waiting:
            return []
        running = [self._stories[build_id] for build_id in self._tasks if build_id in self._stories]
        return waits_seconds(
            remaining=[story.remaining_seconds() for story in running],
            durations=[self._stories[build_id].typical_seconds for build_id in waiting],
            places=self._limits.running,
        )

    def _start(self, story: Story) -> None:
        task = asyncio.create_task(self._live(story), name=f"build {story.build.id}")
        self._tasks[story.build.id] = task
        task.add_done_callback(lambda _: self._after(story.build.id))

    def _after(self, build_id: str) -> None:
        self._tasks.pop(build_id, None)
        self._advance()

    # --- lives -------------------------------------------------------------------------------------------------------

    async def _live(self, story: Story) -> None:
        """Live a build's life from here to its end.

        The one broad `except` of the service is here: whatever happens, a build ends, and nobody is shown a traceback.
        """
        build = story.build
        try:
            await self._begin_running(story)
            image = await self._making.image(story)
        except BinderError as error:
            await self._end(story, State.FAILED, error=error.as_dict())
        except asyncio.CancelledError:
            if build.id not in self._cancelled:
                raise  # the service stops; the build goes on without it
            await self._making.stop(build)
            await self._end(story, State.CANCELLED, error=_CANCELLED)
        except Exception:
            log.exception("Build %s ended by an error that nobody expected", build.id)
            await self._making.stop(build)
            await self._end(story, State.FAILED, error=INTERNAL_ERROR.as_dict())
        else:
            await self._end(story, State.READY, image=image)

    async def _begin_running(self, story: Story) -> None:
        if story.build.state is State.RUNNING:
            return
        story.become(state=State.RUNNING, started=now())
        if self._observer:
            self._observer.note_start(story.build)
        story.move_to(Phase.FETCHING)
        await story.flush()

    # --- ends --------------------------------------------------------------------------------------------------------

    async def cancel(self, build_id: str) -> None:
        """End a build, whatever it does; when this returns, it has ended."""
        story = self._stories.get(build_id)
        if story is None or story.build.state.ended:
            return
        first = build_id not in self._cancelled
        self._cancelled.add(build_id)
        task = self._tasks.get(build_id)
        if build_id in self._queue:
            self._end_waiting(story, State.CANCELLED, _CANCELLED)
        elif task is not None and first:
            await asyncio.sleep(0)  # a task that has not taken its first step would never end its story
            if not story.build.state.ended:
                task.cancel()
        await self._wait_for(build_id)

    async def close(self) -> None:
        """Stop following, in good order; the builds go on and `resume` takes them up again."""
        self._closing = True
        for build_id, task in self._tasks.items():
            story = self._stories.get(build_id)
            if story and not story.build.state.ended and build_id not in self._cancelled:
                task.cancel()
        ending = [*self._tasks.values(), *self._ends.values()]
        if ending:
            await asyncio.wait(ending)
        for story in list(self._stories.values()):  # an ask may come meanwhile
            await story.flush()
        await self._builder.close()

    def _give_up_waiting(self, story: Story) -> None:
        if self._closing or story.build.id not in self._queue:
            return
        error = BuildFailed(
            f"The build waited longer than {self._limits.queue_seconds:g} seconds for its turn.",
            code="queue_timeout",
            hint="Too much is being built now; ask again later.",
        )
        self._end_waiting(story, State.FAILED, error.as_dict())

    def _end_waiting(self, story: Story, state: State, error: Mapping[str, Any]) -> None:
        """Let a build end whose turn has not come."""
        self._queue.remove(story.build.id)
        task = asyncio.create_task(self._end(story, state, error=error))
        self._ends[story.build.id] = task
        task.add_done_callback(lambda _: self._ends.pop(story.build.id, None))
        self._advance()

    async def _wait_for(self, build_id: str) -> None:
        task = self._tasks.get(build_id) or self._ends.get(build_id)
        if task:
            await asyncio.wait([task])

    async def _end(self, story: Story, state: State, *, image: Image | None = None, error: Mapping[str, Any] | None = None) -> None:
        """End the story, once: record and last event are stored together."""
        finished = now()
        story.become(state=state, finished=finished, error=error, image=image or story.build.image, started=story.build.started or finished)
        if state is State.READY:
            story.move_to(Phase.DONE)
        build = story.build
        end = {"state": state, "image": build.image.reference, "environment": build.image.environment or None, "error": error, "time": iso(finished)}
        story.tell(Kind.END, end)
        await story.flush()
        if self._stories.pop(build.id, None):
            self._by_image.pop(build.image.name, None)
        self._cancelled.discard(build.id)
        self._places.pop(build.id, None)
        if self._observer:
            self._observer.note_end(build)
        await self._builder.forget(build)
