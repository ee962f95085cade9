"""Builds as pods: created once, followed by any service, and removed when their event log is stored."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection
from contextlib import aclosing
from dataclasses import dataclass

from ...clients.credentials import Credentials
from ...clients.reference import Reference
from ...errors import BuildFailed, Unavailable
from ...models import Build, Image, Kind, Report
from ...worker.job import ProcessLimits
from ...worker.pod_job import STEPS, PodSettings
from ..base import Builder
from .ahead import ImagesAhead
from .cluster import Cluster
from .endings import Cause, Stand, Waiting, failure, has_run, never_started, note_of, phase, stand, untried, waiting, went_well
from .given import GivenFiles
from .logs import StepLog
from .manifest import build_of, job_text, pod_manifest, pod_name, secret_manifest, selector, trial_manifest
from .settings import KubernetesSettings
from .watch import FollowedPod, PodWatch

log = logging.getLogger("binderhub_service")
_GRACE_SECONDS = 1
_GONE_SECONDS = 30.0
_SETTLED_SECONDS = 15.0  # the end of a container is known before why the pod ended
_SLOW_START_SECONDS = 15.0


@dataclass
class _Cursor:
    """A position in a build's reports, as text ``step:number`` and, while a pod waits, ``step:number:what-was-told-about-it``."""

    step: str = STEPS[0]
    number: int = 0
    noted: str = ""

    @classmethod
    def parse(cls, cursor: str) -> _Cursor:
        step, number, *noted = cursor.split(":") if cursor else (STEPS[0], "0")
        return cls(step, int(number), "".join(noted))

    def __str__(self) -> str:
        return f"{self.step}:{self.number}" + (f":{self.noted}" if self.noted else "")


class KubernetesBuilder(Builder):
    """Makes images in pods of a cluster.

    Args:
        credentials: where the logins come from that a build's registry wants; looked up once a build.
        limits: what the steps may use.
        on_made: called with the name of every image that was made.
        on_tried: called with the key of every shared environment that was pushed and tried, and the id of the build that did so.
        given: hands files to pods that people gave; None for a builder of repositories alone.
    """

    def __init__(
        self,
        cluster: Cluster,
        settings: KubernetesSettings,
        pod_settings: PodSettings,
        credentials: Credentials,
        limits: ProcessLimits = ProcessLimits(),  # noqa: B008  # frozen
        on_made: Callable[[str], None] = lambda name: None,
        on_tried: Callable[[str, str], Awaitable[None]] | None = None,
        given: GivenFiles | None = None,
    ) -> None:
        self._cluster = cluster
        self._settings = settings
        self._pod_settings = pod_settings
        self._credentials = credentials
        self._limits = limits
        self._on_made = on_made
        self._on_tried = on_tried
        self._given = given
        self._selector = selector(settings)
        self._watch = PodWatch(cluster, self._selector)
        self._ahead = ImagesAhead(cluster, settings)
        self._left: set[str] = set()

    async def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Create the build's pod unless that was done before, and follow its steps; see `_Cursor`."""
        if not after:
            await self._create(build)
        cursor = _Cursor.parse(after)
        async with self._watch.following(pod_name(build.id)) as pod:
            for step in STEPS[STEPS.index(cursor.step) :]:
                cursor = cursor if step == cursor.step else _Cursor(step)
                async with aclosing(self._follow(pod, cursor)) as reports:
                    async for report in reports:
                        after = report.cursor
                        yield report
                if not went_well(pod.now, step):
                    await pod.until(lambda now: now is None or phase(now) in {"Succeeded", "Failed"}, _SETTLED_SECONDS)
                    raise failure(pod.now, step)
                if step == "push" and not untried(pod.now, step):
                    break
            tried = untried(pod.now, "push")
        self._on_made(build.image.name)
        if tried and tried.environment and self._on_tried:
            try:
                await self._on_tried(tried.environment, build.id)
            except (BuildFailed, Unavailable) as error:  # the image is there all the same
                yield Report(Kind.LOG, {"text": f"The environment is not kept for other commits: {error.message}"}, after)

    def note_image(self, image: Image) -> None:
        """Have nodes pull an image that was made, if they are to."""
        self._ahead.pull(image.reference)

    async def stop(self, build: Build) -> None:
        """Delete the build's pod, and wait until nothing of it runs; its secret goes with it."""
        await self._delete(build.id, wait=True)

    async def forget(self, build: Build) -> None:
        """Delete the build's pod; if that is not possible now, it is deleted when the next build is forgotten."""
        if self._given:
            await self._given.take_back(build)
        for build_id in [build.id, *self._left]:
            try:
                await self._delete(build_id, wait=False)
            except Unavailable as error:
                log.warning("The pod of build %s could not be removed yet: %s", build_id, error.message)
                self._left.add(build_id)
                return
            self._left.discard(build_id)

    async def forget_all_but(self, build_ids: Collection[str]) -> None:
        """Delete the pods of all other builds of this instance, what was given to them, and pods that pull images ahead."""
        if self._given:
            await self._given.take_back_all_but(build_ids)
        try:
            pods, _ = await self._cluster.pods(self._selector)
            for build_id in {build_of(pod) for pod in pods} - set(build_ids):
                await self._delete(build_id, wait=False)
            await self._ahead.tidy()
        except Unavailable as error:
            log.warning("Pods of builds that have ended could not be removed: %s", error.message)

    async def check(self) -> None:
        """Raise `Unavailable` if the cluster does not answer, does not let us see pods, lacks their owner, or would not admit a build's."""
        await self._cluster.check(self._selector)
        if self._settings.owner:
            await self._cluster.config_map_uid(self._settings.owner)
        await self._cluster.check_admission(trial_manifest(self._settings))

    async def close(self) -> None:
        """Let go of the watch and of all connections; pods go on."""
        await self._ahead.close()
        await self._watch.close()
        await self._cluster.close()

    async def _create(self, build: Build) -> None:
        """Hand over what was given, create the pod, then the secret that belongs to it; each is left alone if it is there."""
        registry = Reference.parse(build.image.name).registry
        login = await asyncio.to_thread(self._credentials.login_for, registry)  # may run a program
        if self._given:
            await self._given.hand_over(build, login)
        owner_uid = await self._cluster.config_map_uid(self._settings.owner) if self._settings.owner else ""
        pod = await self._cluster.create_pod(pod_manifest(build, self._settings, owner_uid))
        job = job_text(build, self._pod_settings, self._limits)
        logins = [login] if login else []
        await self._cluster.create_secret(secret_manifest(build, self._settings, job, logins, pod["metadata"]["uid"]))

    async def _follow(self, pod: FollowedPod, cursor: _Cursor) -> AsyncGenerator[Report]:
        """Yield what happens in a step, until it is over."""
        async with aclosing(self._wait_for_start(pod, cursor)) as notes:
            async for note in notes:
                yield note
        if has_run(pod.now, cursor.step):
            async with aclosing(StepLog(self._cluster, pod, cursor.step, cursor.number).follow()) as reports:
                async for report in reports:
                    yield report
        await pod.until(lambda now: stand(now, cursor.step) is Stand.ENDED, _SETTLED_SECONDS)

    async def _wait_for_start(self, pod: FollowedPod, cursor: _Cursor) -> AsyncGenerator[Report]:
        """Wait until a step has started, or never will; say once what it waits for, and do not wait for ever."""
        cause, since = None, time.monotonic()
        while pod.now is not None and stand(pod.now, cursor.step) is Stand.WAITING and "deletionTimestamp" not in pod.now["metadata"]:
            now = waiting(pod.now, cursor.step)
            if now.cause is not cause:
                cause, since = now.cause, time.monotonic()
            waited_seconds = time.monotonic() - since
            limit_seconds = self._limit_seconds(now)
            if cursor.noted != cause and (now.why or waited_seconds >= _SLOW_START_SECONDS):
                cursor.noted = cause
                yield Report(Kind.LOG, {"text": note_of(now)}, str(cursor))
            if waited_seconds >= limit_seconds:
                raise never_started(now, limit_seconds)
            quiet_seconds = _SLOW_START_SECONDS - waited_seconds
            await pod.changed(min(limit_seconds - waited_seconds, quiet_seconds if quiet_seconds > 0 else limit_seconds))

    def _limit_seconds(self, now: Waiting) -> float:
        if now.hopeless:
            return 0.0
        return self._settings.unschedulable_seconds if now.cause is Cause.NODE else self._settings.image_pull_seconds

    async def _delete(self, build_id: str, *, wait: bool) -> None:
        name = pod_name(build_id)
        if not wait:
            await self._cluster.delete_pod(name, _GRACE_SECONDS)
            return
        async with self._watch.following(name) as pod:
            if pod.now is None:
                return
            await self._cluster.delete_pod(name, _GRACE_SECONDS)
            if not await pod.until(lambda now: now is None, _GONE_SECONDS):
                log.warning("The pod of build %s does not end; its node may be gone", build_id)
                await self._cluster.delete_pod(name, 0)
