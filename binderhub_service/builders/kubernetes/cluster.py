"""The few questions that a cluster's API server is asked."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

import aiohttp
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.config import ConfigException, load_incluster_config, load_kube_config

from ...common.json_object import json_object
from ...errors import Unavailable
from .lines import lines_of
from .refusals import Refusal

log = logging.getLogger("binderhub_service")
_ANSWER = aiohttp.ClientTimeout(total=30, sock_connect=10)
_WATCH_SECONDS = 300  # after that the server ends a watch in good order
_WATCH = aiohttp.ClientTimeout(sock_connect=10, sock_read=150)  # the server says something about every minute
_LOG = aiohttp.ClientTimeout(sock_connect=10, sock_read=120)  # a step may be silent for longer: then its log is asked for again
_WAITS_SECONDS = (0.5, 1.0, 2.0)
_MAX_EVENT_BYTES = 4 * 1024 * 1024
_MAX_TOLD = 2000
_NO_DRY_RUN = "does not support dry run"


class Cluster:
    """One namespace of a cluster, asked with the rights of the service account or of a kubeconfig file.

    Whatever cannot be asked raises `Unavailable`; questions that may pass are repeated for some seconds first.

    Args:
        kubeconfig: the file to use; empty for the service account of the pod that this runs in or, outside a cluster, ``KUBECONFIG``.

    Attributes:
        requests: how many requests were made.
    """

    def __init__(self, namespace: str, kubeconfig: str = "") -> None:
        self.namespace = namespace
        self.requests = 0
        self._kubeconfig = kubeconfig
        self._client: ApiClient | None = None
        self._opening = asyncio.Lock()

    async def create_pod(self, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Create a pod and return it, or return the one of that name if it is there already."""
        try:
            return await self._ask("create_namespaced_pod", self.namespace, dict(manifest))
        except Refusal as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise
        return await self._ask("read_namespaced_pod", manifest["metadata"]["name"], self.namespace)

    async def config_map_uid(self, name: str) -> str:
        """Return what tells a ConfigMap from others that had or will have its name."""
        answer = await self._ask("read_namespaced_config_map", name, self.namespace)
        return str(answer["metadata"]["uid"])

    async def create_secret(self, manifest: Mapping[str, Any]) -> None:
        """Create a secret, unless there is one of that name."""
        try:
            await self._ask("create_namespaced_secret", self.namespace, dict(manifest))
        except Refusal as refusal:
            if refusal.status != HTTPStatus.CONFLICT:
                raise

    async def pod(self, name: str) -> dict[str, Any] | None:
        """Return a pod, or None if no pod has that name."""
        try:
            return await self._ask("read_namespaced_pod", name, self.namespace)
        except Refusal as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise
        return None

    async def pods(self, selector: str) -> tuple[list[dict[str, Any]], str]:
        """Return the pods that a label selector finds, and the version of the list, which `watch` goes on from."""
        answer = await self._ask("list_namespaced_pod", self.namespace, label_selector=selector)
        return answer["items"], answer["metadata"]["resourceVersion"]

    async def check(self, selector: str) -> None:
        """Raise `Unavailable` if pods cannot be listed now."""
        await self._ask("list_namespaced_pod", self.namespace, label_selector=selector, limit=1, patient=False)

    async def check_admission(self, manifest: Mapping[str, Any]) -> None:
        """Raise `Unavailable` if a pod could not be made now; the cluster decides as if it were, and makes none.

        A quota that is used up is no failure: builds wait, or are told. A webhook that knows no dry run cannot be asked.
        """
        try:
            await self._ask("create_namespaced_pod", self.namespace, dict(manifest), dry_run="All", patient=False)
        except Refusal as refusal:
            if refusal.code != "cluster_quota_exceeded" and _NO_DRY_RUN not in refusal.told:
                raise

    async def delete_pod(self, name: str, grace_seconds: int) -> None:
        """Delete a pod, unless it is gone."""
        try:
            await self._ask("delete_namespaced_pod", name, self.namespace, grace_period_seconds=grace_seconds)
        except Refusal as refusal:
            if refusal.status != HTTPStatus.NOT_FOUND:
                raise

    async def watch(self, selector: str, version: str) -> AsyncGenerator[dict[str, Any]]:
        """Yield what happens to pods after a version, bookmarks included, until the server ends that.

        Raises:
            Refusal: among others with status 410, if the version is too old.
        """
        options = {"label_selector": selector, "resource_version": version, "watch": True, "allow_watch_bookmarks": True}
        stream = self._stream("list_namespaced_pod", self.namespace, **options, timeout_seconds=_WATCH_SECONDS, _request_timeout=_WATCH)
        async with stream as chunks:
            async for line in lines_of(chunks, _MAX_EVENT_BYTES):
                event: dict[str, Any] = _parsed(line)
                if event["type"] == "ERROR":
                    raise _refusal(int(event["object"].get("code", 500)), str(event["object"].get("message", "")))
                yield event

    async def log(self, pod: str, container: str) -> AsyncGenerator[bytes]:
        """Yield what a container printed and prints, from the beginning, in pieces; ends when the container has."""
        stream = self._stream("read_namespaced_pod_log", pod, self.namespace, container=container, follow=True, _request_timeout=_LOG)
        async with stream as chunks:
            async for chunk in chunks:
                yield chunk

    async def close(self) -> None:
        """Let go of all connections."""
        client, self._client = self._client, None
        if client:
            await client.close()
            await asyncio.sleep(0)  # connections that were cut are closed now

    async def _ask(self, call: str, *arguments: Any, patient: bool = True, **options: Any) -> dict[str, Any]:
        """Ask and return the answer; what may pass is tried again, which all our questions allow."""
        for wait in (*_WAITS_SECONDS, None):
            try:
                async with self._answer(call, *arguments, _request_timeout=_ANSWER, **options) as response:
                    answer: dict[str, Any] = _parsed(await response.read())
                    return answer
            except Unavailable as error:
                if wait is None or not patient or error.code != "cluster_unavailable":
                    raise
            await asyncio.sleep(wait)
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def _stream(self, call: str, *arguments: Any, **options: Any) -> AsyncIterator[AsyncIterator[bytes]]:
        async with self._answer(call, *arguments, **options) as response:
            yield response.content.iter_any()

    @asynccontextmanager
    async def _answer(self, call: str, *arguments: Any, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Ask; errors of the connection and refusals become ours, also those that come while the answer is read."""
        response: aiohttp.ClientResponse | None = None
        try:
            api = CoreV1Api(await self._open())
            self.requests += 1
            response = await getattr(api, call)(*arguments, **options, _preload_content=False)
            if response.status >= HTTPStatus.BAD_REQUEST:
                raise _refusal(response.status, _sentence_in(await response.text()))
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            log.debug("The API server was asked in vain (%s): %s", call, error)
            raise Unavailable(
                "The cluster's API server does not answer.", code="cluster_unavailable", hint="Ask an administrator to look at the cluster."
            ) from error
        finally:
            if response is not None:
                _drop(response)

    async def _open(self) -> ApiClient:
        async with self._opening:
            if self._client is None:
                self._client = ApiClient(await _configuration(self._kubeconfig))
            return self._client


def _drop(response: aiohttp.ClientResponse) -> None:
    """Let go of an answer; a connection on which more would come is cut, as a goodbye would outlive the service."""
    if response.connection and response.connection.transport:
        response.connection.transport.abort()
    response.close()


async def _configuration(kubeconfig: str) -> Configuration:
    """Return how the API server is reached; credentials in it are kept fresh by the library."""
    configuration = Configuration()
    configuration.connection_pool_maxsize = 0  # any number: every log that is followed is a connection
    try:
        if kubeconfig:
            await load_kube_config(kubeconfig, client_configuration=configuration)
            return configuration
        try:
            load_incluster_config(configuration)  # type: ignore[no-untyped-call]
        except ConfigException:
            await load_kube_config(client_configuration=configuration)
    except ConfigException as error:
        raise Unavailable(
            "The service does not know its cluster.", code="cluster_unavailable", hint="Ask an administrator to configure it."
        ) from error
    return configuration


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise Unavailable(
            "The cluster's API server gave no answer that could be read.",
            code="cluster_unavailable",
            hint="Ask an administrator to look at the cluster.",
        ) from error


def _sentence_in(text: str) -> str:
    """Return what an answer that refuses says; the answer itself if it is none of the API server's."""
    try:
        return str(json_object(text).get("message", text))[:_MAX_TOLD]
    except ValueError:
        return text[:_MAX_TOLD]


def _refusal(status: int, told: str) -> Refusal:
    if status not in (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE):
        log.warning("The API server answers with status %d: %s", status, told)
    return Refusal(status, told)
