"""A small API server for tests: pods that tests change, a watch that breaks as it is told, logs in pieces."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

NAMESPACE = "builds"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


class FakeCluster:
    """Keeps pods and everything that happened to them.

    Attributes:
        requests: ``METHOD path`` of every request, watches as ``WATCH version``.
        refusals: statuses that the next requests are answered with, by the beginning of ``METHOD path``.
        told: what a refusal says.
        logs: by container, what the next reads of its log get: pieces of it, and None where the connection breaks.
        held: requests for one pod that are answered, with what was there when they came, only once this is set.
        oldest: watches from an older version than this are answered with 410.
    """

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.refusals: dict[str, list[int]] = {}
        self.told = "no"
        self.logs: dict[str, list[list[bytes | None]]] = {}
        self.pods: dict[str, dict[str, Any]] = {}
        self.held: asyncio.Event | None = None
        self.oldest = 0
        self.url = ""
        self._version = 0
        self._events: list[tuple[int, str, dict[str, Any]]] = []
        self._news = asyncio.Condition()
        self._watches: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[FakeCluster]:
        """Serve while the block runs."""
        application = web.Application(middlewares=[self._refuse])
        application.router.add_get(PODS, self._list)
        application.router.add_post(PODS, self._create)
        application.router.add_post(f"/api/v1/namespaces/{NAMESPACE}/secrets", self._create_secret)
        application.router.add_get(PODS + "/{name}", self._get)
        application.router.add_delete(PODS + "/{name}", self._delete)
        application.router.add_get(PODS + "/{name}/log", self._log)
        runner = web.AppRunner(application, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await runner.cleanup()

    def kubeconfig(self, folder: Path) -> str:
        """Write a kubeconfig file that leads here and return its name."""
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "fake", "cluster": {"server": self.url}}],
            "users": [{"name": "me", "user": {"token": "x"}}],
            "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "me"}}],
            "current-context": "fake",
        }
        file = folder / "kubeconfig"
        file.write_text(json.dumps(content))
        return str(file)

    async def put(self, name: str, **status: Any) -> None:
        """Make a pod, or change its status; ``metadata`` and ``spec`` may be given, else it is on a node called node."""
        kind = "MODIFIED" if name in self.pods else "ADDED"
        metadata = {"name": name, "uid": f"uid-of-{name}", **status.pop("metadata", {})}
        spec = status.pop("spec", {"nodeName": "node"})
        await self._happen(kind, {"metadata": metadata, "spec": spec, "status": status})

    async def remove(self, name: str) -> None:
        """Remove a pod."""
        await self._happen("DELETED", self.pods.pop(name))

    def forget_history(self) -> None:
        """Let versions up to now be too old to watch from."""
        self.oldest = self._version + 1
        self._version += 1

    def break_watches(self) -> None:
        """Break all connections of watches."""
        for task in list(self._watches):
            task.cancel()

    def count(self, beginning: str) -> int:
        """Return how many requests began like this."""
        return sum(request.startswith(beginning) for request in self.requests)

    async def _happen(self, kind: str, pod: dict[str, Any]) -> None:
        self._version += 1
        pod = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(self._version)}}
        if kind != "DELETED":
            self.pods[pod["metadata"]["name"]] = pod
        self._events.append((self._version, kind, pod))
        async with self._news:
            self._news.notify_all()

    @web.middleware
    async def _refuse(self, request: web.Request, handler: Any) -> web.StreamResponse:
        what = f"WATCH {request.query['resourceVersion']}" if "watch" in request.query else f"{request.method} {request.path}"
        self.requests.append(what)
        for beginning, statuses in self.refusals.items():
            if what.startswith(beginning) and statuses:
                return web.json_response({"message": self.told}, status=statuses.pop(0))
        response: web.StreamResponse = await handler(request)
        return response

    async def _list(self, request: web.Request) -> web.StreamResponse:
        if "watch" in request.query:
            return await self._watch(request)
        wanted = [term.split("=") for term in request.query.get("labelSelector", "").split(",") if "=" in term]
        found = [pod for pod in self.pods.values() if _is_found(pod["metadata"].get("labels"), wanted)]
        return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": found})

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        version = int(request.query["resourceVersion"])
        response = web.StreamResponse()
        await response.prepare(request)
        if version < self.oldest:
            await response.write(json.dumps({"type": "ERROR", "object": {"code": 410, "message": "too old"}}).encode() + b"\n")
            return response
        task = asyncio.current_task()
        assert task
        self._watches.add(task)
        try:
            while True:
                for number, kind, pod in self._events:
                    if number > version:
                        version = number
                        await response.write(json.dumps({"type": kind, "object": pod}).encode() + b"\n")
                async with self._news:
                    while not self._events or self._events[-1][0] <= version:
                        await self._news.wait()
        finally:
            self._watches.discard(task)

    async def _create(self, request: web.Request) -> web.Response:
        pod = await request.json()
        if "dryRun" in request.query:
            return web.json_response(pod, status=201)
        if pod["metadata"]["name"] in self.pods:
            return web.json_response({}, status=409)
        labels, spec = pod["metadata"]["labels"], {"nodeName": "node", **pod.get("spec", {})}
        await self.put(pod["metadata"]["name"], metadata={"labels": labels}, spec=spec, phase="Pending")
        return web.json_response(self.pods[pod["metadata"]["name"]], status=201)

    async def _create_secret(self, request: web.Request) -> web.Response:
        return web.json_response(await request.json(), status=201)

    async def _get(self, request: web.Request) -> web.Response:
        pod = self.pods.get(request.match_info["name"])
        if self.held:
            await self.held.wait()
        return web.json_response(pod or {}, status=200 if pod else 404)

    async def _delete(self, request: web.Request) -> web.Response:
        if request.match_info["name"] not in self.pods:
            return web.json_response({}, status=404)
        await self.remove(request.match_info["name"])
        return web.json_response({})

    async def _log(self, request: web.Request) -> web.StreamResponse:
        reads = self.logs.get(request.query["container"])
        if not reads:
            return web.json_response({"message": "no such log"}, status=404)
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in reads.pop(0) if len(reads) > 1 else reads[0]:
            if piece is None:
                assert request.transport
                request.transport.abort()
                return response
            await response.write(piece)
            await asyncio.sleep(0)
        return response


def _is_found(labels: dict[str, str] | None, wanted: list[list[str]]) -> bool:
    """Say whether a selector finds a pod; a pod that a test has made without labels is always found."""
    return labels is None or all(labels.get(name) == value for name, value in wanted)
