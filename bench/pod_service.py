"""The process that is measured by `bench.pods`: builds in pods, by the builder, or by hand.

    python -m bench.pod_service builder|bare NAMESPACE NODE BUILDS

Writes ``ready``, waits for a line, makes all builds at the same time, and writes what it saw as JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from bench.fake_kubelet import LABEL
from binderhub_service.builders.kubernetes import Cluster, KubernetesBuilder, KubernetesSettings
from binderhub_service.builders.kubernetes.manifest import job_text, pod_manifest, pod_name, secret_manifest, selector
from binderhub_service.clients.credentials import Credentials
from binderhub_service.errors import BinderError
from binderhub_service.models import Build, Image, Phase, Report, Source, State, now
from binderhub_service.names import new_build_id
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.pod_job import PodSettings

_POD_SETTINGS = PodSettings(image_prefix="registry.example.org/binder-")


@dataclass
class Seen:
    """What was seen of all builds."""

    seconds: list[float] = field(default_factory=list)
    lines: int = 0
    errors: list[str] = field(default_factory=list)
    requests: int = 0
    threads: int = 0


def settings_for(node: str) -> KubernetesSettings:
    """Return settings that lead to the bench's own node."""
    toleration = {"key": LABEL, "operator": "Equal", "value": node, "effect": "NoSchedule"}
    return KubernetesSettings(builder_image="bench", node_selector={LABEL: node}, tolerations=[toleration], cpu_request=0.01)


def builds(count: int) -> list[Build]:
    """Return new builds."""
    source = Source("git", "https://git.example.org/o/r", "https://git.example.org/o/r", "o-r", "main", "1" * 40)
    return [
        Build(new_build_id(now()), source, Image(f"registry.example.org/binder-{number}:1"), State.RUNNING, Phase.FETCHING, "alice", now())
        for number in range(count)
    ]


async def by_builder(cluster: Cluster, settings: KubernetesSettings, asked: list[Build], seen: Seen) -> None:
    """Make the builds as the service does."""
    builder = KubernetesBuilder(cluster, settings, _POD_SETTINGS, Credentials())

    async def make(build: Build) -> None:
        begun = time.monotonic()
        reports: list[Report] = []
        try:
            async for report in builder.run(build):
                reports.append(report)
                seen.threads = max(seen.threads, threading.active_count())
        except BinderError as error:
            seen.errors.append(error.code)
            return
        seen.seconds.append(time.monotonic() - begun)
        seen.lines += len({report.cursor for report in reports if report.data["text"].startswith("line ")})
        await builder.forget(build)

    await asyncio.gather(*(make(build) for build in asked))


async def by_hand(cluster: Cluster, settings: KubernetesSettings, asked: list[Build], seen: Seen) -> None:
    """Make the same pods and secrets, watch until all are over, and delete them; no log is read."""
    _, version = await cluster.pods(selector(settings))
    begun = {pod_name(build.id): time.monotonic() for build in asked}

    async def create(build: Build) -> None:
        pod = await cluster.create_pod(pod_manifest(build, settings))
        await cluster.create_secret(secret_manifest(build, settings, job_text(build, _POD_SETTINGS, ProcessLimits()), [], pod["metadata"]["uid"]))

    creating = asyncio.gather(*(create(build) for build in asked))
    async with aclosing(cluster.watch(selector(settings), version)) as events:
        async for event in events:
            name = event["object"]["metadata"].get("name")
            if event["type"] == "MODIFIED" and event["object"]["status"]["phase"] == "Succeeded" and name in begun:
                seen.seconds.append(time.monotonic() - begun.pop(name))
                await cluster.delete_pod(name, 1)
            if not begun:
                break
    await creating
    seen.threads = threading.active_count()


async def main(how: str, namespace: str, node: str, count: int) -> None:
    """Make `count` builds."""
    cluster = Cluster(namespace)
    settings = settings_for(node)
    await cluster.check(selector(settings))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    seen, before = Seen(), cluster.requests
    ways: dict[str, Any] = {"builder": by_builder, "bare": by_hand}
    await ways[how](cluster, settings, builds(count), seen)
    seen.requests = cluster.requests - before
    print(json.dumps(vars(seen)), flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    await cluster.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
