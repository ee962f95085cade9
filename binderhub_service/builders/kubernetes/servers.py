"""Who runs servers from an image: the hub's pods, as the spawner marks them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping
from typing import Any

from ...common import labels
from ...images.base import in_use
from .cluster import Cluster

_SELECTOR = "component=singleuser-server"
_IMAGE = "binder.image"
_ENDED = {"Succeeded", "Failed"}
_KEPT_SECONDS = 2.0


class ServersOnCluster:
    """The servers in a cluster's namespace; nodes remove images that they do not need by themselves.

    Args:
        cluster: the namespace that the hub's servers run in.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._asked = float("-inf")
        self._asking = asyncio.Lock()
        self._users: dict[str, list[str]] = {}

    async def users(self, name: str) -> tuple[str, ...]:
        """Return who runs a server from an image, as ``user/server``; one question answers for all images of a list.

        Raises:
            Unavailable: the cluster could not be asked.
        """
        async with self._asking:  # a list asks for many images at a time
            if time.monotonic() - self._asked > _KEPT_SECONDS:
                await self._ask()
        return tuple(sorted(self._users.get(name, ())))

    async def delete(self, name: str) -> None:
        """Raise `Conflict` if a server runs from the image, or `Unavailable`; there is nothing to delete here."""
        await self._ask()
        if await self.users(name):
            raise in_use(name)

    async def tidy(self, build_ids: Collection[str]) -> None:
        """Do nothing: pods of builds that are gone are the builder's."""

    async def close(self) -> None:
        """Let go of all connections."""
        await self._cluster.close()

    async def _ask(self) -> None:
        pods, _ = await self._cluster.pods(_SELECTOR)
        self._users = {}
        for pod in pods:
            written: Mapping[str, Any] = pod["metadata"].get("annotations") or {}
            if _IMAGE in written and pod.get("status", {}).get("phase") not in _ENDED:
                who = f"{written.get(labels.USER, pod['metadata']['name'])}/{written.get(labels.SERVER, '')}"
                self._users.setdefault(written[_IMAGE].partition("@")[0], []).append(who)
        self._asked = time.monotonic()
