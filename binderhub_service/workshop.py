"""Where builds run: who is next, how long anything may take, and how a story ends exactly once.

A running build's life is one task, `_live`: it follows the builder, tells the story, asks the image store, and ends the
story. Nobody else does; whoever wants a build to end asks its task to, by cancelling it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Protocol

from .builders import Builder
from .errors import INTERNAL_ERROR, BinderError, BuildFailed, Unavailable
from .images import Images
from .limits import BuildLimits
from .models import Build, Image, Kind, Phase, Report, State, iso, now
from .queue import Queue, waits_seconds
from .redact import redact
from .store import Store
from .stories import Story

log = logging.getLogger("binderhub_service")

_ORDER = list(Phase)
_MESSAGES = {
    Phase.QUEUED: "Waiting for a free place",
    Phase.FETCHING: "Fetching the repository",
    Phase.BUILDING: "Building",
    Phase.PUSHING: "Pushing the image",
    Phase.DONE: "Done",
}
_RESUMED_SECONDS = 10.0  # for a build that ended in time while nobody followed it
_CONFIRM_WAITS_SECONDS = (1, 3, 9)
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
        self._images = images
        self._builder = builder
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
            await self._follow_builder(story)
            image = await self._confirm(story)
        except BinderError as error:
            await self._end(story, State.FAILED, error=error.as_dict())
        except asyncio.CancelledError:
            if build.id not in self._cancelled:
                raise  # the service stops; the build goes on without it
            await self._stop(build)
            await self._end(story, State.CANCELLED, error=_CANCELLED)
        except Exception:
            log.exception("Build %s ended by an error that nobody expected", build.id)
            await self._stop(build)
            await self._end(story, State.FAILED, error=INTERNAL_ERROR.as_dict())
        else:
            await self._end(story, State.READY, image=image)

    async def _begin_running(self, story: Story) -> None:
        if story.build.state is State.RUNNING:
            return
        story.become(state=State.RUNNING, started=now())
        if self._observer:
            self._observer.note_start(story.build)
        self._move_to(story, Phase.FETCHING)
        await story.flush()

    async def _follow_builder(self, story: Story) -> None:
        limit_seconds = self._limits.build_seconds
        left_seconds = max(_RESUMED_SECONDS if story.resumed else 0.0, limit_seconds - story.running_seconds()) if limit_seconds else None
        try:
            async with asyncio.timeout(left_seconds) as timeout:
                async with aclosing(self._builder.run(story.build, story.cursor)) as reports:
                    async for report in reports:
                        self._tell(story, report)
                        await story.tell_in_time()
        except TimeoutError as error:
            if not timeout.expired():
                raise
            await self._stop(story.build)
            raise BuildFailed(
                f"The build took longer than {limit_seconds:g} seconds and was ended.",
                code="build_timeout",
                hint="Make the environment smaller, or ask an administrator for more time.",
            ) from error

    async def _stop(self, build: Build) -> None:
        """Stop the builder; the build ends all the same if that cannot be done."""
        try:
            await self._builder.stop(build)
        except (BinderError, OSError):
            log.exception("What the builder does for build %s could not be stopped", build.id)

    async def _confirm(self, story: Story) -> Image:
        """Ask the image store, which alone may say that a build is ready; several times if it does not answer."""
        for seconds in _CONFIRM_WAITS_SECONDS:
            try:
                return self._made(await self._images.exists(story.build.image.name))
            except Unavailable as error:
                story.tell_log(f"{error.message} Trying again in {seconds} s.")
                await asyncio.sleep(seconds)
        return self._made(await self._images.exists(story.build.image.name))

    def _made(self, image: Image | None) -> Image:
        if image is None:
            raise BuildFailed(
                "The build ended, but its image is not there.", code="image_missing", hint="Ask again; if it stays so, ask an administrator."
            )
        return image

    def _tell(self, story: Story, report: Report) -> None:
        if report.kind is Kind.PHASE:
            self._move_to(story, Phase(report.data["phase"]), report.data.get("message"), cursor=report.cursor)
        else:
            story.tell_log(redact(report.data["text"]), cursor=report.cursor, limit_bytes=self._limits.log_bytes)

    def _move_to(self, story: Story, phase: Phase, message: str | None = None, cursor: str | None = None) -> None:
        """Move on to a phase; a builder that was attached to again may tell an old one, and that moves nothing."""
        if _ORDER.index(phase) > _ORDER.index(story.build.phase):
            story.become(phase=phase)
            story.tell(Kind.PHASE, {"phase": phase, "message": message or _MESSAGES[phase], "time": iso(now())}, cursor=cursor)

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
            self._move_to(story, Phase.DONE)
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
