"""What a build tells: what a builder reports, and the numbered events that are made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any


class Kind(StrEnum):
    """What an event tells."""

    PHASE = "phase"
    LOG = "log"
    QUEUE = "queue"
    END = "end"


@dataclass(frozen=True)
class Event:
    """A numbered event of a build.

    Attributes:
        number: 1..n within its build.
        kind: see `Kind`.
        data: JSON text, serialised once, sent to every follower as it is.
    """

    number: int
    kind: Kind
    data: str

    @cached_property
    def payload(self) -> dict[str, Any]:
        """`data`, parsed."""
        parsed: dict[str, Any] = json.loads(self.data)
        return parsed

    @cached_property
    def frame(self) -> bytes:
        """The event as a server-sent event, ready for the socket."""
        return f"id: {self.number}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()


class Batch(list[Event]):
    """Events that follow each other, not to be changed; followers at the same place share it."""

    @cached_property
    def frames(self) -> bytes:
        """All events as server-sent events, joined once for every follower."""
        return b"".join([event.frame for event in self])


@dataclass(frozen=True)
class Report:
    """What a builder tells: one step of a build, and its position in the builder's own reports.

    Attributes:
        kind: `Kind.PHASE` or `Kind.LOG`.
        data: ``{"phase": ...}`` or ``{"text": ...}``; ``{"made": True}`` from a builder whose image servers can be started from, and that
            still looks whether that works.
        cursor: given back to `Builder.run` to go on right after this report, by a later process, too.
    """

    kind: Kind
    data: Mapping[str, Any]
    cursor: str = ""
