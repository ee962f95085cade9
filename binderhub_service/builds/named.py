"""Builds under the names that binder-build gives them: one a name, with the end that is remembered and the template that it makes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from weakref import WeakValueDictionary

from ..errors import BinderError, Conflict, InvalidRequest, NotFound
from ..models import Build, Caller, NamedBuild, Phase, Request, State, Template, now
from ..store.named_builds import NamedBuildTable
from .access import READ_SCOPE, check_may_build
from .builds import Builds

RUNNING, COMPLETED, FAILED = "running", "completed", "failed"
_PHASES = {Phase.QUEUED: "fetching", Phase.FETCHING: "fetching", Phase.BUILDING: "building", Phase.PUSHING: "building", Phase.DONE: "finished"}
_READER = Caller("service:binder-build", scopes=frozenset({READ_SCOPE}))


class NamedBuilds:
    """Begins builds under names, and knows what became of them.

    The end of a build is noted by the first reader, together with its template, so nothing has to run meanwhile and nothing is lost
    when the service ends.
    """

    def __init__(self, table: NamedBuildTable, builds: Builds) -> None:
        self._table = table
        self._builds = builds
        self._starting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._newest: dict[str, NamedBuild] = {}  # those whose build is not begun yet
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, named: NamedBuild, request: Request | None, caller: Caller, *, force: bool, told: Callable[[BinderError], str]) -> None:
        """Let a build begin under a name; that it cannot be begun is told as its error.

        Args:
            request: what is to be built; None where nothing is to be tried.
            force: begin it also if one of this name runs.
            told: says what goes down as the error.

        Raises:
            NotAllowed: the caller may not build.
            Conflict: a build of this name runs (``already_building``).
        """
        check_may_build(caller)
        async with self._starting.setdefault(named.name, asyncio.Lock()):
            known = await self.get(named.name)
            if known and known.status == RUNNING and not force:
                raise Conflict("A build of this name runs.", code="already_building", hint="Wait until it has ended, or force another one.")
            named = replace(named, error=known.error if known else "")
            self._newest[named.name] = named
            try:
                await self._table.put(named)
            except BinderError:
                del self._newest[named.name]
                raise
        task = asyncio.create_task(self._begin(named, request, caller, force=force, told=told))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Give up what has not begun; the next service tells of it as an error."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _begin(self, named: NamedBuild, request: Request | None, caller: Caller, *, force: bool, told: Callable[[BinderError], str]) -> None:
        try:
            if request is None:
                raise InvalidRequest("No build of such an address is tried.")
            build, _ = await self._builds.ensure(request, caller, force=force)
            begun = replace(named, build_id=build.id)
        except BinderError as error:
            begun = replace(named, status=FAILED, error=told(error), settled=True)
        if self._newest.get(named.name) is named:  # else another one has been begun meanwhile
            try:
                await self._table.put(begun)
            finally:
                if self._newest.get(named.name) is named:
                    del self._newest[named.name]

    async def get(self, name: str) -> NamedBuild | None:
        """Return what is known under a name, as it is now; None if nothing is."""
        named = await self._table.get(name)
        return await self._current(named) if named else None

    async def all(self) -> list[NamedBuild]:
        """Return all, as they are now, in the order in which their names came."""
        return [await self._current(named) for named in await self._table.all()]

    async def settle(self) -> None:
        """Note every end that is not noted, so that every template is there."""
        for named in await self._table.unsettled():
            await self._current(named)

    async def _current(self, named: NamedBuild) -> NamedBuild:
        if named.settled or named.name in self._newest:
            return named
        if not named.build_id:
            lost = replace(named, status=FAILED, error="Error: The service ended before the build began.", settled=True)
            await self._table.settle(lost, None)
            return lost
        try:
            build = await self._builds.get(named.build_id, _READER)
        except NotFound:
            removed = replace(named, status=FAILED, error="Error: The record of the build was removed.", settled=True)
            await self._table.settle(removed, None)
            return removed
        current = as_it_is(named, build)
        if current.settled:
            await self._table.settle(current, template_of(current, build) if build.state is State.READY else None)
        return current


def as_it_is(named: NamedBuild, build: Build) -> NamedBuild:
    """Return what a build's record means under its name."""
    phase = _PHASES[build.phase]
    if not build.state.ended:
        return replace(named, phase=phase)
    if build.state is State.READY:
        return replace(named, phase=phase, status=COMPLETED, settled=True)
    message = build.error["message"] if build.error else ""
    failed = "" if phase == "fetching" else f"build failed for imageName: {named.name}. "
    return replace(named, phase=phase, status=FAILED, error=f"Error: {failed}{message}", settled=True)


def template_of(named: NamedBuild, build: Build) -> Template:
    """Return the template that a finished build makes."""
    time = build.finished or now()
    return Template(name=named.name, image=build.image.reference, created=time, modified=time)
