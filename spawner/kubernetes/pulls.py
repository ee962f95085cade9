"""How long nodes took to pull servers' images, for the hub's own metrics; it is read off what the cluster tells of a start."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from prometheus_client import Counter, Histogram

from .pod_status import SERVER

_BUCKETS_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600)
_SECONDS = Histogram(
    "binder_server_pull_seconds",
    "How long nodes took to pull the images of servers, their turn included.",
    buckets=_BUCKETS_SECONDS,
)
_THERE = Counter("binder_server_images_there", "Servers that were started from an image that their node had.")
# As a kubelet says it, with times as Go writes them, e.g. 1m2.3s: the pull, and in newer versions the wait for other pulls with it.
_PULLED = re.compile(r" in (?P<pull>[0-9a-zµ.]{2,30})(?: \((?P<whole>[0-9a-zµ.]{2,30}) including waiting\))?")
_PART = re.compile(r"(?P<number>[0-9]{1,9}(?:[.][0-9]{1,9})?)(?P<unit>h|ms|m|s|µs|us|ns)")
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}


def note_pulls(events: Iterable[Mapping[str, Any]]) -> None:
    """Count how the image of a server came to its node.

    Args:
        events: the cluster's about the server's pod, as its API has them.
    """
    for event in events:
        if event.get("reason") != "Pulled" or event["involvedObject"].get("fieldPath") != f"spec.containers{{{SERVER}}}":
            continue
        said = str(event.get("message"))
        if (seconds := pull_seconds(said)) is not None:
            _SECONDS.observe(seconds)
        elif "already present" in said:
            _THERE.inc()


def pull_seconds(said: str) -> float | None:
    """Return how long a pull took by a kubelet's sentence; None if it says nothing of that."""
    found = _PULLED.search(said)
    if not said.startswith("Successfully pulled") or found is None:
        return None
    parts = list(_PART.finditer(found["whole"] or found["pull"]))
    return sum(float(part["number"]) * _UNIT_SECONDS[part["unit"]] for part in parts) if parts else None
