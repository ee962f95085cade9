"""One list and one watch for the pods of all builds; the followers of a pod wait for it and ask nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from http import HTTPStatus
from typing import Any

from ...errors import Unavailable
from .cluster import Cluster
from .refusals import Refusal

log = logging.getLogger("binderhub_service")
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 15.0
PATIENCE_SECONDS = 300.0
"""For how long the API server may be away before builds are given up."""


class FollowedPod:
    """A pod as it was seen last.

    Attributes:
        now: the pod, or None when it is gone.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.now: Mapping[str, Any] | None = None
        self._watched = False
        self._error: Unavailable | None = None
        self._changed = asyncio.Event()

    async def changed(self, timeout_seconds: float | None = None) -> None:
        """Wait until the pod has changed since this returned last, or until the time is over.

        Raises:
            Unavailable: the cluster has been away for too long.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self._changed.wait()
        self._changed.clear()
        if self._error:
            raise self._error

    async def until(self, condition: Callable[[Mapping[str, Any] | None], bool], timeout_seconds: float) -> bool:
        """Wait until the pod is as wanted, or until the time is over; say which."""
        deadline = time.monotonic() + timeout_seconds
        while not condition(self.now):
            left_seconds = deadline - time.monotonic()
            if left_seconds <= 0:
                return False
            await self.changed(left_seconds)
        return True

    def begin(self, pod: Mapping[str, Any] | None) -> None:
        """Note the answer to the question that following begins with, unless the watch has told something meanwhile.

        The answer may be older than what the watch told, and nothing would correct it if that was the last event. If it is newer
        than what the watch told, the watch tells the rest as well.
        """
        if not self._watched:
            self.now = pod

    def set(self, pod: Mapping[str, Any] | None) -> None:
        """Note what the watch, or the list that it begins with, tells."""
        self._watched = True
        self.now = pod
        self._changed.set()

    def fail(self, error: Unavailable) -> None:
        """Note that nothing can be known any more."""
        self._error = error
        self._changed.set()


class PodWatch:
    """Keeps followed pods up to date; it runs while somebody follows one.

    Args:
        selector: finds the pods.
    """

    def __init__(self, cluster: Cluster, selector: str, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._cluster = cluster
        self._selector = selector
        self._patience_seconds = patience_seconds
        self._followed: dict[str, set[FollowedPod]] = {}
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def following(self, name: str) -> AsyncIterator[FollowedPod]:
        """Give a pod as it is now and, from then on, every change; a pod that is not there now is gone.

        Raises:
            Unavailable: the cluster could not be asked.
        """
        followed = FollowedPod(name)
        self._followed.setdefault(name, set()).add(followed)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="watch of build pods")
            self._task.add_done_callback(self._over)
        try:
            followed.begin(await self._cluster.pod(name))
            yield followed
        finally:
            self._leave(followed)

    async def close(self) -> None:
        """Stop; nobody may be following any more."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.wait([task])

    def _leave(self, followed: FollowedPod) -> None:
        others = self._followed[followed.name]
        others.discard(followed)
        if not others:
            del self._followed[followed.name]
        if not self._followed and self._task:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        """List and watch; after trouble, go on with growing pauses, from where it was or with a new list."""
        version = ""
        wait_seconds, well_at = _FIRST_WAIT_SECONDS, time.monotonic()
        while True:
            try:
                version = version or await self._list()
                async with aclosing(self._cluster.watch(self._selector, version)) as events:
                    async for event in events:
                        version = self._note(event)
                        wait_seconds, well_at = _FIRST_WAIT_SECONDS, time.monotonic()
                wait_seconds, well_at = _FIRST_WAIT_SECONDS, time.monotonic()
            except Unavailable as error:
                if isinstance(error, Refusal):
                    version = ""
                if not (isinstance(error, Refusal) and error.status == HTTPStatus.GONE):
                    log.warning("The watch of build pods was interrupted: %s", error.message)
                if time.monotonic() - well_at > self._patience_seconds:
                    self._fail(error)
            await asyncio.sleep(wait_seconds)
            wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)

    def _over(self, task: asyncio.Task[None]) -> None:
        """Let nobody wait for a watch that ended by an error that nobody expected; the next follower begins another."""
        if task.cancelled() or not (error := task.exception()):
            return
        log.error("The watch of build pods ended by an error that nobody expected", exc_info=error)
        self._task = None
        self._fail(
            Unavailable("The cluster cannot be watched.", code="cluster_unavailable", hint="Ask an administrator: the service's log says why.")
        )

    async def _list(self) -> str:
        """Bring all followed pods up to date and return the list's version."""
        pods, version = await self._cluster.pods(self._selector)
        found = {pod["metadata"]["name"]: pod for pod in pods}
        for name in list(self._followed):
            pod = found.get(name) or await self._cluster.pod(name)  # it may be younger than the list
            self._tell(name, pod)
        return version

    def _note(self, event: Mapping[str, Any]) -> str:
        """Tell followers what happened, and return its version."""
        pod = event["object"]
        if event["type"] != "BOOKMARK":
            self._tell(pod["metadata"]["name"], None if event["type"] == "DELETED" else pod)
        return str(pod["metadata"]["resourceVersion"])

    def _tell(self, name: str, pod: Mapping[str, Any] | None) -> None:
        for followed in self._followed.get(name, ()):
            followed.set(pod)

    def _fail(self, error: Unavailable) -> None:
        for every in self._followed.values():
            for followed in every:
                followed.fail(error)
