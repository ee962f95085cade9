"""Prepared environments are kept current: built ahead, and again when their repositories have changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import aclosing

from ..errors import BinderError
from ..models import Build, Caller, PreparedEnvironment, State
from .access import BUILD_SCOPE, READ_SCOPE
from .builds import Builds
from .prepared import PreparedEnvironments

log = logging.getLogger("binderhub_service")
# Who asks for their builds, as lists of builds show it.
PREPARER = Caller("service:prepared", scopes=frozenset({BUILD_SCOPE, READ_SCOPE}))
_AT_ONCE = 4
_AGAIN_SECONDS = 600.0  # where a repository's server, or something of ours, could not be asked

Note = Callable[[PreparedEnvironment, str, str], None]


class Refreshes:
    """Looks what commit each prepared environment is to be at, builds it, and lets servers be made from it once it is there.

    Args:
        every_seconds: how often each is looked at by itself; 0 only when the service starts.
        note: told of what was done with an environment, and by whom: ``set``, ``removed``, ``refreshed`` or ``failed``.
    """

    def __init__(self, environments: PreparedEnvironments, builds: Builds, every_seconds: float, note: Note = lambda *_: None) -> None:
        self._environments = environments
        self._builds = builds
        self._every_seconds = every_seconds
        self.note = note
        self._running: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._due: dict[str, float] = {}

    def goes_on(self, name: str) -> bool:
        """Say whether an environment is being refreshed."""
        return name in self._running

    def begin(self, name: str) -> None:
        """Refresh one soon; once more where that goes on already, since it may have looked before something changed."""
        if name in self._running:
            self._again.add(name)
            return
        task = asyncio.create_task(self._refresh(name), name=f"refresh of {name}")
        self._running[name] = task
        task.add_done_callback(lambda done: self._ended(name, done))

    async def begin_due(self) -> None:
        """Refresh those whose time has come."""
        moment = asyncio.get_running_loop().time()
        for environment in self._environments.all():
            if self._due.get(environment.name, 0.0) <= moment:
                self.begin(environment.name)

    async def close(self) -> None:
        """Give up what goes on; builds go on, and the next service looks again."""
        self._again.clear()
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._running[name]
        if not task.cancelled() and (error := task.exception()):
            log.error("The refresh of the prepared environment %s met an error that nobody expected", name, exc_info=error)
        if name in self._again and not task.cancelled():
            self._again.discard(name)
            self.begin(name)

    async def _refresh(self, name: str) -> None:
        async with self._places:
            self._set_due(name, self._every_seconds or float("inf"))
            try:
                environment = self._environments.get(name)
                build = await self._built(environment)
                problem = _problem_of(build)
                if problem:
                    await self._environments.note_problem(environment, problem)
                else:
                    await self._environments.note_image(environment, build.image.name, build.source.commit)
            except BinderError as error:
                problem = error.message
                self._set_due(name, min(_AGAIN_SECONDS, self._every_seconds or float("inf")))
                await self._note_quietly(name, problem)
            self._tell(name, problem)

    async def _built(self, environment: PreparedEnvironment) -> Build:
        """Return the build of what an environment is to be now, which has ended."""
        build = await self._builds.prepare(environment.request, PREPARER)
        async with aclosing(self._builds.follow(build.id, PREPARER)) as batches:
            async for _ in batches:
                pass
        return await self._builds.get(build.id, PREPARER)

    async def _note_quietly(self, name: str, problem: str) -> None:
        try:
            await self._environments.note_problem(self._environments.get(name), problem)
        except BinderError as error:
            log.warning("What became of the prepared environment %s could not be stored: %s", name, error.message)

    def _tell(self, name: str, problem: str) -> None:
        try:
            environment = self._environments.get(name)
        except BinderError:
            return  # it was removed meanwhile
        if problem:
            log.warning("The prepared environment %s could not be refreshed, and stays at %s: %s", name, environment.commit[:7] or "nothing", problem)
        else:
            log.info("The prepared environment %s is at commit %s", name, environment.commit[:7])
        self.note(environment, "failed" if problem else "refreshed", "")

    def _set_due(self, name: str, seconds: float) -> None:
        self._due[name] = asyncio.get_running_loop().time() + seconds


def _problem_of(build: Build) -> str:
    if build.state is State.READY:
        return ""
    return build.error["message"] if build.error else "The build has not ended."
