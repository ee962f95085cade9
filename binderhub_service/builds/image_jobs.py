"""Images that are built, pushed elsewhere by the requester's own login, and then deleted here: what boatyard does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from dataclasses import replace
from uuid import uuid4
from weakref import WeakValueDictionary

from ..clients.contents import CONTEXT
from ..clients.credentials import Login
from ..common.terminal import plain
from ..errors import BinderError, Conflict, NotFound
from ..images import Images
from ..models import Build, Caller, ImageJob, Kind, Source, State, now
from ..store.image_jobs import ImageJobTable
from .access import READ_SCOPE, check_may_build, may_read_all
from .builds import Builds

log = logging.getLogger("binderhub_service")
BUILDING, PUSHING, FINISHED = "Building", "Pushing", "Finished"
_READER = Caller("service:boatyard", scopes=frozenset({READ_SCOPE}))
_LOST = "The service ended before the build began. Send it again."
_NO_LOGIN = "The service was started anew, and keeps no passwords, so the image was not pushed. Send it again; it is not built again."


class SourceFailed(Exception):
    """What is to be built could not be had; the text is the job's status, `problem` a sentence for its log."""

    def __init__(self, status: str, problem: str) -> None:
        super().__init__(status)
        self.problem = problem


class ImageJobs:
    """Runs jobs, each of which builds an image, pushes it and deletes it here.

    A job is a record, so it is told of after a restart; the login that it pushes with is only ever in memory.
    """

    def __init__(self, table: ImageJobTable, builds: Builds, images: Images) -> None:
        self._table = table
        self._builds = builds
        self._images = images
        self._tasks: set[asyncio.Task[None]] = set()
        self._choosing: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def start(self, image_name: str, content: Callable[[], Awaitable[str]], login: Login | None, caller: Caller) -> ImageJob:
        """Begin a job.

        Args:
            content: returns the SHA-256 of what is to be built, which is kept by then; raises `SourceFailed` or `BinderError`.

        Raises:
            NotAllowed: the caller may not build.
        """
        check_may_build(caller)
        job = ImageJob(str(uuid4()), image_name, caller.account.key, now(), has_login=login is not None, status=BUILDING)
        await self._table.put(job)
        self._keep(self._run(job, content, login, caller))
        return job

    async def resume(self) -> None:
        """Take up the jobs that had not ended when the service did."""
        for job in await self._table.unfinished():
            if job.build_id:
                self._keep(self._run_on(job, None))
            else:
                await self._end(job, f"Failed: {_LOST}", _LOST)

    def count(self) -> int:
        """Return how many jobs have not ended."""
        return len(self._tasks)

    async def close(self) -> None:
        """Stop following; the builds go on, and `resume` takes the jobs up again."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def get(self, job_id: str, caller: Caller) -> ImageJob:
        """Return a job.

        Raises:
            NotFound: there is none of this id that the caller may read.
        """
        job = await self._table.get(job_id)
        if job is None or not (may_read_all(caller) or job.owner == caller.account.key):
            raise NotFound("There is no such job.", code="job_not_found", hint="Check its id.")
        return job

    async def log_of(self, job: ImageJob) -> str:
        """Return what was told so far, without what only a terminal understands; empty before anything was, or if the log was removed."""
        lines: list[str] = []
        if job.build_id:
            with suppress(NotFound):
                async with aclosing(self._builds.events_so_far(job.build_id, _READER)) as batches:
                    async for batch in batches:
                        lines += [f"{plain(event.payload['text'])}\n" for event in batch if event.kind is Kind.LOG]
        return "".join([*lines, *([f"{job.problem}\n"] if job.problem else [])])

    async def delete_image(self, job: ImageJob) -> None:
        """Delete a job's image here; where it was pushed it stays.

        Raises:
            Conflict: it is being built or pushed, by this job or another one (``image_in_use``).
            NotFound: the job has no image.
        """
        build = await self._build_of(job)
        if build is None or build.state is not State.READY:
            if not job.ended:
                raise Conflict("The image is being built.", code="image_in_use", hint="Wait until the job has ended.")
            raise NotFound("The job has no image.", code="image_not_found", hint="It was not built.")
        async with self._choice(build.source.commit):
            if any(other.build_id == job.build_id for other in await self._table.unfinished()):
                raise Conflict("The image is being pushed.", code="image_in_use", hint="Wait until the job has ended.")
            await self._builds.delete_image(build.image.name)

    # --- a job's life ------------------------------------------------------------------------------------------------

    def _keep(self, running: Awaitable[None]) -> None:
        task = asyncio.ensure_future(running)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, job: ImageJob, content: Callable[[], Awaitable[str]], login: Login | None, caller: Caller) -> None:
        try:
            digest = await content()
            source = Source("context", f"context:{digest}", CONTEXT, "context", "HEAD", digest)
            async with self._choice(digest):
                build, _ = await self._builds.ensure_source(source, caller)
                job = replace(job, build_id=build.id)
                await self._table.put(job)
        except SourceFailed as failed:
            await self._end(job, str(failed), failed.problem)
        except BinderError as error:
            await self._end(job, f"Failed: {error.message}", error.message)
        else:
            await self._run_on(job, login)

    async def _run_on(self, job: ImageJob, login: Login | None) -> None:
        """Wait for the build, then push and delete."""
        try:
            async with aclosing(self._builds.follow(job.build_id, _READER)) as batches:
                async for _ in batches:
                    pass
            build = await self._builds.get(job.build_id, _READER)
            if build.state is not State.READY:
                message = build.error["message"] if build.error else "The build ended."
                await self._end(job, f"Failed: {message}", message)
                return
            if job.has_login and login is None:
                await self._end(job, f"Failed: {_NO_LOGIN}", _NO_LOGIN)
                return
            job = replace(job, status=PUSHING)
            await self._table.put(job)
            await self._images.publish(build.image.name, job.image_name, login)
        except BinderError as error:
            await self._end(job, f"Failed: {error.message}", error.message)
        else:
            await self._end(job, FINISHED)
            await self._delete_quietly(job)

    async def _end(self, job: ImageJob, status: str, problem: str = "") -> None:
        try:
            await self._table.put(replace(job, status=status, problem=problem, ended=True))
        except BinderError as error:  # the next service ends it
            log.warning("The end of image job %s could not be stored: %s", job.id, error.message)

    async def _delete_quietly(self, job: ImageJob) -> None:
        try:
            await self.delete_image(job)
        except BinderError as error:
            log.info("The image of job %s stays: %s", job.id, error.message)

    def _choice(self, digest: str) -> asyncio.Lock:
        """Return what keeps an image there from the moment that a job finds it until the job's record says so."""
        return self._choosing.setdefault(digest, asyncio.Lock())

    async def _build_of(self, job: ImageJob) -> Build | None:
        return await self._builds.get(job.build_id, _READER) if job.build_id else None


def login_of(registry: str, username: str, password: str) -> Login | None:
    """Return the login that a request brings; None if it brings none."""
    return Login(registry, username, password) if username or password else None
