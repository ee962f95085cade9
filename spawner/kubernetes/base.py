"""KubeSpawner with what it lacks: starts that tell why they fail, the progress of this start's pod alone, and nothing left behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
from collections.abc import Awaitable, Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes_asyncio.client import ApiException
from traitlets import default

from ..log_name import log_name
from ..readiness import LOOKS, StartTime, says_anything
from ..rejection import FAILED_DEPENDENCY, Rejection
from . import pod_status
from .home_claims import ClaimSpawner
from .pulls import note_pulls

WATCH_SECONDS = 0.2
REMOVE_SECONDS = 30
# For what may pass by itself, e.g. a registry that is being restarted.
PATIENCE_SECONDS = 30
# A pod that was made is told about at once; if it is not, whether it is there is asked so often.
ASK_EVERY_SECONDS = 5
NOT_FOUND, CONFLICT = 404, 409
# The API server waits ten seconds for each admission webhook unless its configuration says otherwise; a request that is cut is begun anew.
REQUEST_SECONDS, ALL_REQUESTS_SECONDS = 20, 60
# KubeSpawner gives up after 90 to 110 percent of the time that it is given.
KUBESPAWNER_EARLIEST = 0.9


class PodSpawner(ClaimSpawner):
    """Pods, which are gone when their start fails; people hear why it did."""

    start_timeout: int
    http_timeout: int

    # Of the pod that this start has made; empty until there is one.
    _pod_uid = ""
    _creating: asyncio.Future[bool] | None = None
    _ask_at = 0.0  # when to ask for a pod that is not told about

    @default("k8s_api_request_timeout")
    def _as_slow_as_a_cluster_may_be(self) -> int:
        return REQUEST_SECONDS

    @default("k8s_api_request_retry_timeout")
    def _several_requests(self) -> int:
        return ALL_REQUESTS_SECONDS

    # The start

    def start(self) -> Awaitable[Any]:
        """Start the pod and return where its server answers.

        Raises:
            Rejection: it does not, with the reason.
        """
        self._pod_uid, self._creating = "", None
        starting: asyncio.Future[str] = super().start()
        return starting

    async def _start(self) -> str:
        time = StartTime.from_now(self.start_timeout, self.http_timeout)
        starting = asyncio.ensure_future(self._answering(super()._start()))
        failing = asyncio.ensure_future(self._why_it_fails(time))
        url = ""
        try:
            with cluster_problems(), self._patience_beyond(time):
                await asyncio.wait({starting, failing}, return_when=asyncio.FIRST_COMPLETED)
                if not starting.done():
                    raise failing.result()
                url = starting.result()
        finally:
            await _end(starting, failing)
            if not url:
                await self._remove_left_over()
        note_pulls(self.events)
        return url

    async def _answering(self, pod_runs: Any) -> str:
        """Return where the server is once it answers: until then, its pod is watched."""
        url: str = await pod_runs
        address = urlsplit(url)
        await LOOKS.until(lambda: says_anything(address.hostname or "", address.port or 80))
        return url

    @contextlib.contextmanager
    def _patience_beyond(self, time: StartTime) -> Iterator[None]:
        """Let KubeSpawner wait longer than a start has, so that it does not end with less to say before this class does."""
        own = self.start_timeout
        self.start_timeout = math.ceil(time.seconds / KUBESPAWNER_EARLIEST)
        try:
            yield
        finally:
            self.start_timeout = own

    async def _why_it_fails(self, time: StartTime) -> Rejection:
        """Return why this start does not come to a good end, as soon as that is known; nothing else ends this."""
        clock = asyncio.get_running_loop().time
        in_trouble_since = None
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            pod = self._pod()
            if pod is None:
                if self._pod_uid and await self._is_gone(clock()):
                    return pod_status.gone()
                if clock() > time.ends_at:
                    return await self._not_told_about(time)
                continue
            now, self._ask_at = clock(), 0.0
            trouble = pod_status.trouble(pod)
            in_trouble_since = (in_trouble_since or now) if trouble else None
            if trouble and in_trouble_since and (trouble.final or now > min(in_trouble_since + PATIENCE_SECONDS, time.ends_at)):
                self.log.warning("The pod of %s does not come up: %s", log_name(self), pod_status.last_words(pod) or trouble.rejection)
                return trouble.rejection
            if now > time.ends_at and (rejection := pod_status.not_ready(pod, time.seconds)):
                return rejection

    async def _not_told_about(self, time: StartTime) -> Rejection:
        """Return the rejection of a pod that the cluster never told about; if there is one, watch anew: that watch may be dead."""
        if self._pod_uid:
            self.log.error("The cluster has not told about the pod of %s; its pods are watched anew.", log_name(self))
            await asyncio.shield(asyncio.ensure_future(self._start_watching_pods(replace=True)))
        return pod_status.not_told_about(time.seconds)

    async def _is_gone(self, now: float) -> bool:
        """Say whether the pod, which the cluster does not tell about, is not there; it is asked now and then, and may be late at first."""
        if now < self._ask_at:
            return False
        self._ask_at = now + ASK_EVERY_SECONDS
        try:
            there = await self.api.read_namespaced_pod(self.pod_name, self.namespace)
        except ApiException as error:
            return bool(error.status == NOT_FOUND)
        return bool(there.metadata.uid != self._pod_uid)

    async def _make_create_pod_request(self, pod: Any, request_timeout: float) -> bool:
        """Ask for the pod and say whether it is there; whatever has its name makes way first.

        A start that is cut does not cut the request, so that it is known which pod to remove.
        """
        self._creating = asyncio.ensure_future(self._create(pod, request_timeout))
        return await asyncio.shield(self._creating)

    async def _create(self, pod: Any, timeout_seconds: float) -> bool:
        self.log.info("Making the pod %s for %s", self.pod_name, log_name(self))
        try:
            async with asyncio.timeout(timeout_seconds):
                made = await self.api.create_namespaced_pod(self.namespace, pod)
        except TimeoutError:
            return False
        except ApiException as error:
            if error.status != CONFLICT:
                raise
            self.log.info("There is a pod %s already; it is removed first.", self.pod_name)
            await self.stop(now=True)
            return False
        self._pod_uid = made.metadata.uid
        self._ask_at = asyncio.get_running_loop().time() + ASK_EVERY_SECONDS
        return True

    async def _remove_left_over(self) -> None:
        """Remove the pod of a start that has failed or was cancelled, if it has made one."""
        if self._creating is None:
            return
        try:
            async with asyncio.timeout(REMOVE_SECONDS):
                await asyncio.wait({self._creating})
                await self.stop(now=True)
        except (TimeoutError, ApiException, aiohttp.ClientError) as error:
            self.log.warning("The pod %s could not be removed; the next start of %s removes it: %r", self.pod_name, log_name(self), error)

    async def _start_reflector(self, *arguments: Any, **more: Any) -> Any:
        """Start what all spawners share; a start that is cancelled while it waits must not cancel it for the others."""
        return await asyncio.shield(asyncio.ensure_future(super()._start_reflector(*arguments, **more)))

    # What has become of it

    def _pod(self) -> Mapping[str, Any] | None:
        """Return the pod of this start as the cluster last told about it; None if there is none."""
        pod = self._named_pod()
        return pod if pod and pod["metadata"]["uid"] == self._pod_uid else None

    def _named_pod(self) -> Mapping[str, Any] | None:
        pods: Mapping[str, Mapping[str, Any]] = self.pod_reflector.pods if self.pod_reflector else {}
        return pods.get(f"{self.namespace}/{self.pod_name}")

    @property
    def events(self) -> list[dict[str, Any]]:
        """What the cluster has told about the pod of this start, and about no other pod of its name."""
        if not self.event_reflector or not self._pod_uid:
            return []
        return [event for event in self.event_reflector.events if event["involvedObject"].get("uid") == self._pod_uid]

    async def poll(self) -> int | None:
        """Return None while the server runs or is about to; what ended by itself leaves its last words in the hub's log, and no pod."""
        await self._start_watching_pods()
        pod = self._named_pod()
        status: int | None = await super().poll()
        if status is not None and pod is not None:
            self.log.info("The server %s has ended: %s", log_name(self), pod_status.last_words(pod) or pod["status"].get("reason", ""))
            if self.delete_stopped_pods and self._named_pod() is not None:
                await self.stop(now=True)
        return status

    # How it is made

    async def get_pod_manifest(self) -> Any:
        """Return the pod, in whose environment only what the operator has written refers to other variables.

        A container that fails leaves its last lines in its status, so that the hub needs no right to read logs.
        """
        pod = await super().get_pod_manifest()
        server = pod.spec.containers[0]
        server.termination_message_policy = server.termination_message_policy or "FallbackToLogsOnError"
        operators = self._expand_env(self.environment)
        for variable in server.env:
            if variable.value and operators.get(variable.name) != variable.value:
                variable.value = literal(variable.value)
        return pod


def literal(text: str) -> str:
    """Return a text that comes out of the expansion of ``$(VARIABLE)`` in commands and environments as it was."""
    return text.replace("$", "$$")


@contextlib.contextmanager
def cluster_problems() -> Iterator[None]:
    """Turn what the cluster refuses, and its silence, into a `Rejection`."""
    try:
        yield
    except ApiException as error:
        said = _message(error)
        if "exceeded quota" in said:
            sentence = f"What this hub's servers may take from the cluster is used up. Try again later, or ask for less. The cluster says: {said}"
        elif error.status is not None and 400 <= error.status < 500:
            sentence = f"The cluster refuses the server. Ask an administrator. The cluster says: {said}"
        else:
            sentence = f"The cluster could not start the server. Try again. The cluster says: {said}"
        raise Rejection(FAILED_DEPENDENCY, sentence) from error
    except aiohttp.ClientError as error:
        raise Rejection(FAILED_DEPENDENCY, "The cluster does not answer. Ask an administrator.") from error
    except TimeoutError as error:  # KubeSpawner's, after all requests
        raise Rejection(FAILED_DEPENDENCY, "The cluster does not answer in time. Try again, or ask an administrator.") from error


def _message(error: ApiException) -> str:
    """Return the sentence in an answer of the cluster's."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (TypeError, ValueError, KeyError):
        return str(error.reason)


async def _end(*tasks: asyncio.Future[Any]) -> None:
    """Cancel tasks and wait until they have ended, however they do."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
