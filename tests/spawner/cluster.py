"""A stand-in for the cluster's API and for what KubeSpawner keeps of it, for tests of what a real cluster does not do on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiException, V1PersistentVolumeClaim
from kubespawner import KubeSpawner, clients

KUBECONFIG = """\
{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}],
 clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}], users: [{name: u, user: {}}]}
"""
NAMESPACE = "n"


class Cluster:
    """The pods of one namespace.

    Attributes:
        pods: as KubeSpawner's reflector has them.
        events: likewise.
        made: every pod that was asked for.
        removed: the names of the pods that were removed.
        status: of every new pod.
        tells: whether new pods are told about.
        problem: raised when a pod is asked for.
        answers: set while pods are made.
        claims: the claims of volumes, by name.
    """

    def __init__(self) -> None:
        self.pods: dict[str, dict[str, Any]] = {}
        self.events: list[dict[str, Any]] = []
        self.made: list[Any] = []
        self.removed: list[str] = []
        self.status: dict[str, Any] = {"phase": "Pending"}
        self.tells = True
        self.problem: BaseException | None = None
        self.claims: dict[str, V1PersistentVolumeClaim] = {}
        self.answers = asyncio.Event()
        self.answers.set()
        self.first_load_future = asyncio.get_running_loop().create_future()
        self.first_load_future.set_result(None)

    async def create_namespaced_pod(self, namespace: str, pod: Any) -> Any:
        self.made.append(pod)
        await self.answers.wait()
        if self.problem:
            raise self.problem
        if f"{namespace}/{pod.metadata.name}" in self.pods:
            raise ApiException(status=409)
        uid = f"uid-{len(self.made)}"
        if self.tells:
            self.add(pod.metadata.name, uid)
        return SimpleNamespace(metadata=SimpleNamespace(uid=uid))

    def add(self, name: str, uid: str) -> None:
        ports = [{"name": "notebook-port", "containerPort": 9}]
        spec = {"containers": [{"name": "notebook", "ports": ports}]}
        self.pods[f"{NAMESPACE}/{name}"] = {"metadata": {"name": name, "uid": uid}, "spec": spec, "status": self.status}

    async def delete_namespaced_pod(self, name: str, namespace: str, **_: Any) -> None:
        self.removed.append(name)
        if self.pods.pop(f"{namespace}/{name}", None) is None:
            raise ApiException(status=404)

    async def read_namespaced_persistent_volume_claim(self, name: str, namespace: str) -> V1PersistentVolumeClaim:
        if name not in self.claims:
            raise ApiException(status=404)
        return self.claims[name]

    async def list_namespaced_persistent_volume_claim(self, namespace: str, label_selector: str) -> Any:
        wanted = dict(label.split("=") for label in label_selector.split(",")).items()
        return SimpleNamespace(items=[claim for claim in self.claims.values() if wanted <= (claim.metadata.labels or {}).items()])

    async def create_namespaced_persistent_volume_claim(self, namespace: str, body: V1PersistentVolumeClaim) -> None:
        if body.metadata.name in self.claims:
            raise ApiException(status=409)
        body.metadata.creation_timestamp = datetime.now(UTC).replace(microsecond=0)
        self.claims[body.metadata.name] = body

    async def delete_namespaced_persistent_volume_claim(self, name: str, namespace: str, **_: Any) -> None:
        if self.claims.pop(name, None) is None:
            raise ApiException(status=404)

    async def read_namespaced_pod(self, name: str, namespace: str) -> None:
        raise ApiException(status=404)


@asynccontextmanager
async def stand_in(folder: Path) -> AsyncIterator[Cluster]:
    """Let KubeSpawner have a stand-in for a cluster."""
    with pytest.MonkeyPatch.context() as context:
        (folder / "kubeconfig").write_text(KUBECONFIG)
        context.setattr("kubernetes_asyncio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(folder / "kubeconfig"))
        clients.load_config.cache_clear()
        cluster = Cluster()
        context.setattr(KubeSpawner, "reflectors", {("pods", NAMESPACE): cluster, ("events", NAMESPACE): cluster})
        yield cluster
        await asyncio.sleep(0)  # the tasks that close KubeSpawner's clients begin, so that the end of the loop lets them
        clients.load_config.cache_clear()
