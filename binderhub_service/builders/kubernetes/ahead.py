"""Images on their way to nodes before a server needs them: a pod for each node has it pull the image, and runs nothing of it.

Which nodes there are is read off pods that lie on them, e.g. a DaemonSet's, so no right to see nodes is needed.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Mapping
from typing import Any

from ...errors import Unavailable
from ...models import now
from ...names import new_build_id
from .cluster import Cluster
from .endings import Cause, phase, waiting
from .manifest import least_rights
from .settings import KubernetesSettings
from .watch import PodWatch

log = logging.getLogger("binderhub_service")
COMPONENT = "binderhub-pull"
_CONTAINER = "pull"
_NOBODY = 65534
_PODS_AT_ONCE = 8
_MOST_IMAGES = 32
_ENDED = {"Succeeded", "Failed"}


class ImagesAhead:
    """Has nodes pull images, some at a time; whatever goes wrong with that is told to the log and to nobody else.

    Args:
        cluster: the namespace in which the pods are made, and in which `settings.pull_ahead_to` finds others.
    """

    def __init__(self, cluster: Cluster, settings: KubernetesSettings) -> None:
        self._cluster = cluster
        self._settings = settings
        self._selector = f"component={COMPONENT},binder.instance={settings.instance}"
        self._watch = PodWatch(cluster, self._selector)
        self._places = asyncio.Semaphore(_PODS_AT_ONCE)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def pull(self, reference: str) -> None:
        """Have the nodes pull an image from now on; return at once.

        Args:
            reference: its name, with its digest if it has one.
        """
        if not self._settings.pull_ahead_to or reference in self._tasks:
            return
        if len(self._tasks) >= _MOST_IMAGES:
            log.info("The image %s is not pulled ahead, as %d others are on their way.", _told(reference), _MOST_IMAGES)
            return
        self._tasks[reference] = asyncio.create_task(self._pull(reference), name=f"pull ahead of {reference}")

    async def tidy(self) -> None:
        """Remove the pods that a former run of the service has left.

        Raises:
            Unavailable: the cluster could not be asked.
        """
        pods, _ = await self._cluster.pods(self._selector)
        for pod in pods:
            await self._cluster.delete_pod(pod["metadata"]["name"], 0)

    async def close(self) -> None:
        """Stop; pods that pull go on, end by their deadline, and are removed by `tidy`."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._watch.close()

    async def _pull(self, reference: str) -> None:
        try:
            await self._pull_to_all(reference)
        finally:
            del self._tasks[reference]

    async def _pull_to_all(self, reference: str) -> None:
        begun = time.monotonic()
        try:
            nodes = await self._nodes()
            owner_uid = await self._cluster.config_map_uid(self._settings.owner) if self._settings.owner else ""
        except Unavailable as error:
            log.warning("The image %s is not pulled ahead: %s", _told(reference), error.message)
            return
        if not nodes:
            to = self._settings.pull_ahead_to
            log.warning("The image %s is not pulled ahead: no pod with the labels %s is ready, which would say to what node.", _told(reference), to)
            return
        pulled = await asyncio.gather(*(self._pull_to(node, reference, owner_uid) for node in nodes))
        level = logging.INFO if any(pulled) else logging.WARNING
        log.log(level, "%d of %d nodes have the image %s ahead, after %.1f s.", sum(pulled), len(nodes), _told(reference), time.monotonic() - begun)

    async def _nodes(self) -> list[str]:
        pods, _ = await self._cluster.pods(self._settings.pull_ahead_to)
        return sorted({pod["spec"]["nodeName"] for pod in pods if _is_ready(pod)})

    async def _pull_to(self, node: str, reference: str, owner_uid: str) -> bool:
        """Say whether a node has the image, after it was told to pull it."""
        manifest = pull_manifest(f"pull-{new_build_id(now())}", node, reference, self._settings, owner_uid)
        async with self._places:
            try:
                why_not = await self._result(manifest)
            except Unavailable as error:
                why_not = error.message
        if why_not:
            log.info("The node %s has not pulled the image %s ahead: %s", node, _told(reference), why_not)
        return not why_not

    async def _result(self, manifest: Mapping[str, Any]) -> str:
        """Let a pod pull its image, and remove it; return why it could not, empty if it could."""
        name = manifest["metadata"]["name"]
        await self._cluster.create_pod(manifest)
        async with self._watch.following(name) as pod:
            in_time = await pod.until(_is_over, self._settings.pull_ahead_seconds)
            found = pod.now
        await self._cluster.delete_pod(name, 0)
        return _why_not(found) if in_time else f"it took longer than {self._settings.pull_ahead_seconds:g} s"


def pull_manifest(name: str, node: str, reference: str, settings: KubernetesSettings, owner_uid: str = "") -> dict[str, Any]:
    """Return a pod that has a node pull an image, whatever taints and pods it has.

    The container's command is a file that no image can have, as nobody can guess its name: so nothing of the image runs, and its start fails.
    """
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": settings.owner, "uid": owner_uid}
    metadata = {"name": name, "labels": {**settings.labels, "component": COMPONENT, "binder.instance": settings.instance}}
    container = {
        "name": _CONTAINER,
        "image": reference,
        "imagePullPolicy": "IfNotPresent",
        "command": [f"/nothing-{secrets.token_hex(16)}"],
        "securityContext": least_rights(_NOBODY),
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata | ({"ownerReferences": [owner]} if owner_uid else {}),
        "spec": {
            "nodeName": node,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": max(1, int(settings.pull_ahead_seconds)),
            "terminationGracePeriodSeconds": 0,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "tolerations": [{"operator": "Exists"}],
            "imagePullSecrets": [{"name": name} for name in settings.pull_ahead_secrets],
            "containers": [container],
        },
    }


def _told(reference: str) -> str:
    """Return an image's name for the log: without its digest, with which it would look like an address with a password, and be hidden."""
    return reference.partition("@")[0]


def _is_ready(pod: Mapping[str, Any]) -> bool:
    """Say whether a pod runs and its node is there."""
    conditions = pod.get("status", {}).get("conditions") or ()
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def _is_over(pod: Mapping[str, Any] | None) -> bool:
    """Say whether a pod has pulled its image, or has failed to once: what a launch meets is not tried here again and again."""
    if pod is None or phase(pod) in _ENDED:
        return True
    now_waits = waiting(pod, _CONTAINER)
    return now_waits.cause is not Cause.NODE and bool(now_waits.why)


def _why_not(pod: Mapping[str, Any] | None) -> str:
    """Return why a pod's node does not have the image; empty if it has, which a container says that could be made."""
    if pod is None:
        return "its pod is gone"
    now_waits = waiting(pod, _CONTAINER)
    if now_waits.cause is Cause.IMAGE:
        return now_waits.why
    status = pod.get("status", {})
    if status.get("reason"):
        return f"{status['reason']}: {status.get('message', '')}"
    return ""
