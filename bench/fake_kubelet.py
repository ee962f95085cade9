"""A node without machine: lets build pods of the bench seem to run, and serves their logs.

    python -m bench.fake_kubelet NODE ADDRESS FOLDER

Registers the node with the API server of ``KUBECONFIG``, writes ``ready``, and plays kubelet until its standard input ends: every pod that
the scheduler puts there goes through its steps; the API server fetches logs over HTTPS, as from any kubelet.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import web
from kubernetes_asyncio.client import ApiClient, Configuration, CoreV1Api
from kubernetes_asyncio.config import load_kube_config

STEPS = {"fetch": (1.0, 3), "build": (7.0, 49), "push": (1.0, 2), "try": (1.0, 1)}
"""For each step, how long it takes and how many lines it tells."""
LABEL = "binder-bench"
_MERGE = "application/merge-patch+json"
_HEARTBEAT_SECONDS = 10
_SMALL = {"_preload_content": False}


@dataclass
class Container:
    """A step that seems to run."""

    seconds: float
    lines: int
    begun: float

    def due(self) -> int:
        """Return how many lines it has told by now."""
        share = (time.monotonic() - self.begun) / self.seconds
        return min(self.lines, int(share * (self.lines + 1)))

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        return time.monotonic() >= self.begun + self.seconds


class Kubelet:
    """Plays kubelet for one node."""

    def __init__(self, api: CoreV1Api, node: str) -> None:
        self._api = api
        self._node = node
        self._containers: dict[tuple[str, str], Container] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def register(self, address: str, port: int) -> None:
        """Make the node; it takes pods that tolerate it only."""
        node = {
            "metadata": {"name": self._node, "labels": {LABEL: self._node}},
            "spec": {"taints": [{"key": LABEL, "value": self._node, "effect": "NoSchedule"}]},
            "status": {
                "capacity": {"pods": "500", "cpu": "500", "memory": "500Gi", "ephemeral-storage": "500Gi"},
                "allocatable": {"pods": "500", "cpu": "500", "memory": "500Gi", "ephemeral-storage": "500Gi"},
                "addresses": [{"type": "InternalIP", "address": address}],
                "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
                "conditions": [self._ready()],
            },
        }
        await _read(await self._api.create_node(node, **_SMALL))

    async def beat(self) -> None:
        """Say again and again that the node lives."""
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            await _read(await self._api.patch_node_status(self._node, {"status": {"conditions": [self._ready()]}}, **_SMALL))

    async def work(self) -> None:
        """Take up pods, and let go of those that are deleted."""
        while True:
            response = await self._api.list_pod_for_all_namespaces(field_selector=f"spec.nodeName={self._node}", watch=True, **_SMALL)
            async for line in response.content:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    break  # it was too slow; a new watch begins with all that is there
                if event["type"] != "DELETED":
                    self._take(event["object"])
            response.close()

    async def log(self, request: web.Request) -> web.StreamResponse:
        """Answer the API server's question for a log, and keep answering while the step runs."""
        container = self._containers[request.match_info["pod"], request.match_info["container"]]
        response = web.StreamResponse()
        await response.prepare(request)
        told = 0
        while True:
            over = container.over
            due = container.lines if over else container.due()
            await response.write(b"".join(_line(number) for number in range(told + 1, due + 1)))
            told = due
            if over:
                return response
            await asyncio.sleep(container.seconds / (container.lines + 1))

    def _take(self, pod: dict[str, Any]) -> None:
        name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
        if "deletionTimestamp" in pod["metadata"]:
            task = self._tasks.pop(name, None)
            if task:
                task.cancel()
                self._tasks[f"{name} deleted"] = asyncio.create_task(self._delete(name, namespace))
        elif name not in self._tasks:
            self._tasks[name] = asyncio.create_task(self._live(name, namespace))

    async def _delete(self, name: str, namespace: str) -> None:
        await _read(await self._api.delete_namespaced_pod(name, namespace, grace_period_seconds=0, **_SMALL))

    async def _live(self, name: str, namespace: str) -> None:
        """Let the pod go through its steps."""
        ended: list[str] = []
        for step, (seconds, lines) in STEPS.items():
            self._containers[name, step] = Container(seconds, lines, time.monotonic())
            await self._patch(name, namespace, ended, step)
            await asyncio.sleep(seconds)
            ended.append(step)
        await self._patch(name, namespace, ended, None)

    async def _patch(self, name: str, namespace: str, ended: list[str], running: str | None) -> None:
        statuses = list(_statuses(ended, running))
        phase = "Succeeded" if running is None else "Running" if running == "try" else "Pending"
        status = {"phase": phase, "startTime": _now(), "initContainerStatuses": statuses[:-1], "containerStatuses": statuses[-1:]}
        await _read(await self._api.patch_namespaced_pod_status(name, namespace, {"status": status}, _content_type=_MERGE, **_SMALL))

    @staticmethod
    def _ready() -> dict[str, str]:
        return {"type": "Ready", "status": "True", "reason": "Bench", "message": "", "lastHeartbeatTime": _now(), "lastTransitionTime": _now()}


def _statuses(ended: list[str], running: str | None) -> Iterator[dict[str, Any]]:
    for step, (_, lines) in STEPS.items():
        if step in ended:
            message = json.dumps({"reports": lines, "untried": step == "push"})
            state = {"terminated": {"exitCode": 0, "reason": "Completed", "message": message, "finishedAt": _now()}}
        elif step == running:
            state = {"running": {"startedAt": _now()}}
        else:
            state = {"waiting": {"reason": "PodInitializing"}}
        yield {"name": step, "image": "bench", "imageID": "", "ready": step == running, "restartCount": 0, "state": state}


def _line(number: int) -> bytes:
    return json.dumps({"n": number, "kind": "log", "data": {"text": f"line {number}"}}).encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


async def _read(response: Any) -> None:
    """Take an answer; what is gone meanwhile is no trouble."""
    text = await response.text()
    if response.status >= 400 and response.status not in (404, 409):
        sys.stderr.write(f"fake kubelet: {response.status} {text[:500]}\n")


def _certificate(folder: Path) -> ssl.SSLContext:
    key, certificate = folder / "kubelet.key", folder / "kubelet.crt"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=bench", "-days", "2"]
    subprocess.run([*command, f"-keyout={key}", f"-out={certificate}"], check=True, capture_output=True)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    return context


async def main(node: str, address: str, folder: Path) -> None:
    """Play kubelet until standard input ends."""
    configuration = Configuration()
    configuration.connection_pool_maxsize = 0
    await load_kube_config(client_configuration=configuration)
    async with ApiClient(configuration) as client:
        kubelet = Kubelet(CoreV1Api(client), node)
        application = web.Application()
        application.router.add_get("/containerLogs/{namespace}/{pod}/{container}", kubelet.log)
        runner = web.AppRunner(application, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, address, 0, ssl_context=_certificate(folder))
        await site.start()
        await kubelet.register(address, runner.addresses[0][1])
        working = [asyncio.create_task(kubelet.beat()), asyncio.create_task(kubelet.work())]
        print("ready", flush=True)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.to_thread(sys.stdin.read)
        for task in working:
            task.cancel()
        for problem in await asyncio.gather(*working, return_exceptions=True):
            if not isinstance(problem, asyncio.CancelledError):
                sys.stderr.write(f"fake kubelet: {problem!r}\n")
        await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
