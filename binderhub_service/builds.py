"""All the policy: which asks join, who waits, what is resumed, who may cancel. No framework, no mode.

A build's life is one task, `_live`: it follows the builder, tells the story, asks the image store, and ends the story
exactly once. The task is the only one that does; everybody else asks it to stop by cancelling it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any
from weakref import WeakValueDictionary

from . import access, names
from .builders import Builder
from .errors import INTERNAL_ERROR, BinderError, BuildFailed, Conflict, NotAllowed, NotFound
from .images import Images
from .models import Build, Caller, Event, Image, Kind, Phase, Report, Request, Source, State, iso, now
from .providers import Provider, provider_for
from .queue import Queue
from .redact import redact
from .store import Store
from .stories import Story, follow_stored

log = logging.getLogger("binderhub_service")

_ORDER = list(Phase)
_MESSAGES = {
    Phase.QUEUED: "Waiting for a free place",
    Phase.FETCHING: "Fetching the repository",
    Phase.BUILDING: "Building",
    Phase.PUSHING: "Pushing the image",
    Phase.DONE: "Done",
}
_CANCELLED = {"code": "cancelled", "message": "The build was cancelled.", "hint": "Ask again to build it."}


class Builds:
    """Makes sure that there are images of what people ask for, and knows the story of every one of them.

    Args:
        providers: asked in order, most specific first.
        running_limit: how many builds run at a time; more wait in the queue.
        on_end: called with every build that ended.
    """

    def __init__(
        self,
        *,
        store: Store,
        providers: Sequence[Provider],
        images: Images,
        builder: Builder,
        running_limit: int = 2,
        on_end: Callable[[Build], None] = lambda build: None,
    ) -> None:
        self._store = store
        self._providers = providers
        self._images = images
        self._builder = builder
        self._running_limit = running_limit
        self._on_end = on_end
        self._queue = Queue()
        self._stories: dict[str, Story] = {}
        self._by_image: dict[str, Story] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._cancelled: set[str] = set()
        self._places: dict[str, int] = {}
        self._resolving: dict[Request, asyncio.Task[Source]] = {}
        self._deciding: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    # --- asking ------------------------------------------------------------------------------------------------------

    async def ensure(self, request: Request, caller: Caller, *, force: bool = False) -> tuple[Build, bool]:
        """Make sure that there is, or will be, an image of what is asked for; equal asks share one build.

        Args:
            force: build even if the image is there; a build that is going on is joined all the same.

        Returns:
            The build that makes or made the image, and whether it was begun by this ask.

        Raises:
            NotAllowed: the caller may not build.
            InvalidRequest, NotFound, Unavailable: from the provider or the image store; then nothing was begun.
        """
        access.check_may_build(caller)
        source = await self._resolve(request)
        name = self._images.name_for(source)
        lock = self._deciding.setdefault(name, asyncio.Lock())
        async with lock:
            return await self._join_or_begin(source, name, caller, force=force)

    async def _join_or_begin(self, source: Source, name: str, caller: Caller, *, force: bool) -> tuple[Build, bool]:
        story = await self._joinable(name)
        if story is not None:
            await self._store.set_asker(story.build.id, caller.name, wants=True)
            return story.build, False
        image = None if force else await self._images.exists(name)
        ready = await self._store.newest_ready(name) if image else None
        if ready is not None:
            await self._store.set_asker(ready.id, caller.name, wants=True)
            return ready, False
        created = now()
        build = Build(
            id=names.new_build_id(created),
            source=source,
            image=Image(name),
            state=State.QUEUED,
            phase=Phase.QUEUED,
            owner=caller.name,
            created=created,
            force=force,
        )
        await self._store.create(build)
        story = Story(self._store, build)
        if image is not None:
            await self._end(story, State.READY, image=image)
            return story.build, False
        self._admit(story)
        return story.build, True

    async def _joinable(self, name: str) -> Story | None:
        """Return the story of the build that is making an image; one that is being cancelled is waited for, not joined."""
        story = self._by_image.get(name)
        if story is not None and story.build.id in self._cancelled:
            await self._wait_for(story.build.id)
            return None
        return story

    async def _resolve(self, request: Request) -> Source:
        """Ask a provider which commit is meant; equal questions that come meanwhile wait for the same answer."""
        task = self._resolving.get(request)
        if task is None:
            task = asyncio.create_task(provider_for(request, self._providers).resolve(request))
            self._resolving[request] = task
            task.add_done_callback(lambda done: self._resolved(request, done))
        return await asyncio.shield(task)

    def _resolved(self, request: Request, task: asyncio.Task[Source]) -> None:
        del self._resolving[request]
        if not task.cancelled():
            task.exception()  # seen, even if nobody waits for the answer any more

    # --- reading -----------------------------------------------------------------------------------------------------

    async def get(self, build_id: str, caller: Caller) -> Build:
        """Return a build.

        Raises:
            NotFound: there is none of this id.
            NotAllowed: the caller did not ask for it and may not read everybody's.
        """
        build = await self._known(build_id)
        if not access.may_read_all(caller) and not access.may_read(caller, await self._store.askers(build_id)):
            raise NotAllowed("This build was asked for by somebody else.", hint=f"Reading everybody's builds takes the scope {access.READ_SCOPE}.")
        return build

    async def list(
        self, caller: Caller, *, state: str | None = None, repo: str | None = None, owner: str | None = None, limit: int = 50, before: str | None = None
    ) -> list[Build]:
        """Return the builds that the caller may read, newest first; those the caller asked for, or everybody's."""
        filters = {name: value for name, value in (("state", state), ("repo", repo), ("owner", owner)) if value}
        asker = None if access.may_read_all(caller) else caller.name
        stored = await self._store.newest(asker=asker, filters=filters, before=before, limit=limit)
        return [self._stories[build.id].build if build.id in self._stories else build for build in stored]

    async def follow(self, build_id: str, caller: Caller, after: int = 0) -> AsyncGenerator[Sequence[Event]]:
        """Yield the build's story in batches from the event behind `after` on; live while it goes on.

        Raises:
            NotFound, NotAllowed: as `get`.
        """
        await self.get(build_id, caller)
        story = self._stories.get(build_id)
        batches = story.follow(after) if story else follow_stored(self._store, build_id, after)
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def story_so_far(self, build_id: str, caller: Caller) -> AsyncGenerator[Sequence[Event]]:
        """Yield what has been told of the build's story, in batches, without waiting for more.

        Raises:
            NotFound, NotAllowed: as `get`.
        """
        await self.get(build_id, caller)
        async with aclosing(follow_stored(self._store, build_id, 0)) as batches:
            async for batch in batches:
                yield batch

    def queue_status(self, build_id: str) -> dict[str, int | None] | None:
        """Return the place of a waiting build in the queue, 1 for the next; None if it does not wait."""
        waiting = self._queue.in_order()
        return {"position": waiting.index(build_id) + 1, "estimate_seconds": None} if build_id in waiting else None

    def counts(self) -> dict[str, int]:
        """Return how many builds wait and run, and how many followers there are."""
        followers = sum(story.followers for story in self._stories.values())
        return {"queued": len(self._queue), "running": len(self._tasks), "followers": followers}

    # --- giving up ---------------------------------------------------------------------------------------------------

    async def cancel(self, build_id: str, caller: Caller) -> Build:
        """End a build: for everybody if the caller owns it or may cancel everybody's, else only the caller's own wish for it.

        Raises:
            NotFound, NotAllowed: as `get`.
            Conflict: it has ended.
        """
        build = await self.get(build_id, caller)
        if build.state.ended:
            raise Conflict(f"The build has ended; it is {build.state}.", code="build_ended")
        if access.may_cancel_for_all(caller, build):
            await self._cancel(build_id)
        else:
            await self._release(build_id, caller)
        return await self._known(build_id)

    async def withdraw(self, build_id: str, caller: Caller) -> Build:
        """Note that the caller does not need a build any more; it ends if nobody else does.

        Raises:
            NotFound, NotAllowed: as `get`.
        """
        build = await self.get(build_id, caller)
        if not build.state.ended:
            await self._release(build_id, caller)
        return await self._known(build_id)

    async def _release(self, build_id: str, caller: Caller) -> None:
        askers = await self._store.askers(build_id)
        if caller.name not in askers:
            raise NotAllowed("You did not ask for this build.", hint=f"Cancelling everybody's builds takes the scope {access.CANCEL_SCOPE}.")
        await self._store.set_asker(build_id, caller.name, wants=False)
        if not any(wants for name, wants in askers.items() if name != caller.name):
            await self._cancel(build_id)

    async def _cancel(self, build_id: str) -> None:
        story = self._stories.get(build_id)
        if story is None or story.build.state.ended:
            return
        first = build_id not in self._cancelled
        self._cancelled.add(build_id)
        task = self._tasks.get(build_id)
        if task is None:
            self._queue.remove(build_id)
            await self._end(story, State.CANCELLED, error=_CANCELLED)
            self._advance()
        elif first:
            task.cancel()
        await self._wait_for(build_id)

    async def _wait_for(self, build_id: str) -> None:
        if build_id in self._tasks:
            await asyncio.wait([self._tasks[build_id]])

    # --- living ------------------------------------------------------------------------------------------------------

    async def resume(self) -> int:
        """Take up every build that had not ended when the service did; return how many."""
        unfinished = await self._store.unfinished()
        for build, cursor in unfinished:
            story = Story(self._store, build, cursor)
            if build.state is State.RUNNING:
                self._register(story)
                self._start(story)
            else:
                self._admit(story)
        return len(unfinished)

    async def close(self) -> None:
        """Stop following, in good order; the builds go on and `resume` takes them up again."""
        for build_id, task in self._tasks.items():
            if build_id not in self._cancelled and not self._stories[build_id].build.state.ended:
                task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        for story in self._stories.values():
            await story.flush()
        await self._builder.close()

    def _register(self, story: Story) -> None:
        self._stories[story.build.id] = story
        self._by_image[story.build.image.name] = story

    def _admit(self, story: Story) -> None:
        """Let a build begin, or wait for its turn."""
        self._register(story)
        self._queue.add(story.build.id, story.build.owner)
        self._advance()

    def _advance(self) -> None:
        while len(self._tasks) < self._running_limit and (build_id := self._queue.take()):
            self._start(self._stories[build_id])
        for position, build_id in enumerate(self._queue.in_order(), start=1):
            self._tell_place(self._stories[build_id], position)

    def _tell_place(self, story: Story, position: int) -> None:
        if self._places.get(story.build.id) != position:
            self._places[story.build.id] = position
            story.tell(Kind.QUEUE, {"position": position, "estimate_seconds": None})

    def _start(self, story: Story) -> None:
        task = asyncio.create_task(self._live(story), name=f"build {story.build.id}")
        self._tasks[story.build.id] = task
        task.add_done_callback(lambda _: self._after(story.build.id))

    def _after(self, build_id: str) -> None:
        self._tasks.pop(build_id, None)
        self._advance()

    async def _live(self, story: Story) -> None:
        """Live a build's life from here to its end.

        The one broad `except` of the service is here: whatever happens, a build ends, and nobody is shown a traceback.
        """
        build = story.build
        try:
            image = await self._follow_builder(story)
        except BinderError as error:
            await self._end(story, State.FAILED, error=error.as_dict())
        except asyncio.CancelledError:
            if build.id not in self._cancelled:
                raise  # the service stops; the build goes on without it
            await self._builder.stop(build)
            await self._end(story, State.CANCELLED, error=_CANCELLED)
        except Exception:
            log.exception("Build %s ended by an error that nobody expected", build.id)
            await self._end(story, State.FAILED, error=INTERNAL_ERROR.as_dict())
        else:
            await self._end(story, State.READY, image=image)

    async def _follow_builder(self, story: Story) -> Image:
        if story.build.state is not State.RUNNING:
            story.become(state=State.RUNNING, started=now())
            self._move_to(story, Phase.FETCHING)
            await story.flush()
        async with aclosing(self._builder.run(story.build, story.cursor)) as reports:
            async for report in reports:
                self._tell(story, report)
                await story.tell_in_time()
        image = await self._images.exists(story.build.image.name)
        if image is None:
            raise BuildFailed("The build ended, but its image is not there.", code="image_missing", hint="Ask again; if it stays so, ask an administrator.")
        return image

    def _tell(self, story: Story, report: Report) -> None:
        if report.kind is Kind.PHASE:
            self._move_to(story, Phase(report.data["phase"]), report.data.get("message"), cursor=report.cursor)
        else:
            story.tell(report.kind, {**report.data, "text": redact(report.data["text"])}, cursor=report.cursor)

    def _move_to(self, story: Story, phase: Phase, message: str | None = None, cursor: str | None = None) -> None:
        """Move on to a phase; a builder that was attached to again may tell an old one, and that moves nothing."""
        if _ORDER.index(phase) > _ORDER.index(story.build.phase):
            story.become(phase=phase)
            story.tell(Kind.PHASE, {"phase": phase, "message": message or _MESSAGES[phase], "time": iso(now())}, cursor=cursor)

    async def _end(self, story: Story, state: State, *, image: Image | None = None, error: Mapping[str, Any] | None = None) -> None:
        """End the story, once: record and last event are stored together."""
        finished = now()
        story.become(state=state, finished=finished, error=error, image=image or story.build.image, started=story.build.started or finished)
        if state is State.READY:
            self._move_to(story, Phase.DONE)
        build = story.build
        story.tell(
            Kind.END,
            {"state": state, "image": build.image.reference, "environment": build.image.environment or None, "error": error, "time": iso(finished)},
        )
        await story.flush()
        self._stories.pop(build.id, None)
        self._by_image.pop(build.image.name, None)
        self._cancelled.discard(build.id)
        self._places.pop(build.id, None)
        self._on_end(build)
        await self._builder.forget(build)

    async def _known(self, build_id: str) -> Build:
        story = self._stories.get(build_id)
        build = story.build if story else await self._store.get(build_id)
        if build is None:
            raise NotFound("There is no build of this id.", code="build_not_found", hint="It may have been removed; ask for the repository again.")
        return build
