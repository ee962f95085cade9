"""What has happened in one start of a server so far, for everybody who watches it; pure asyncio."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from typing import Any

from binderhub_service.common.terminal import plain

HEAD_EVENTS = 500
TAIL_EVENTS = 1500
PERCENT = {"queued": 5, "fetching": 15, "building": 30, "pushing": 70, "done": 80}
SERVER_PERCENT = 80


class StartProgress:
    """The progress events of one start, kept so that later watchers get all of them.

    Of a long log the first and the last events are kept; `left_out` says in their place what is missing.

    Args:
        whole_log: where the whole log is, for people; may be set later.
    """

    def __init__(self, whole_log: str = "") -> None:
        self.whole_log = whole_log
        self.percent = 0
        self.closed = False
        self.server_begun = False
        self._head: list[dict[str, Any]] = []
        self._tail: deque[dict[str, Any]] = deque(maxlen=TAIL_EVENTS)
        self._count = 0
        self._waits_because = ""
        self._changed = asyncio.Event()

    @property
    def begun(self) -> bool:
        """Whether anything has happened yet."""
        return self._count > 0 or self.closed

    def tell(self, message: str, percent: int = 0) -> None:
        """Add an event: `message` as plain text, and how much is done; the bar never goes back."""
        self._waits_because = ""
        self.percent = max(self.percent, percent)
        event = {"progress": self.percent, "message": plain(message)}
        if self._count < HEAD_EVENTS:
            self._head.append(event)
        else:
            self._tail.append(event)
        self._count += 1
        self._wake()

    def wait_for_service(self, sentence: str) -> None:
        """Say that the service is away, and that the start waits for it; once, until something else happens."""
        if self._waits_because != sentence:
            self.tell(f"{sentence} Waiting for it.")
            self._waits_because = sentence

    def hear(self, kind: str, data: Mapping[str, Any]) -> None:
        """Add what an event of a build means to people, if it means anything."""
        if kind == "log":
            self.tell(str(data.get("text", "")))
        elif kind == "phase":
            phase = str(data.get("phase", ""))
            self.tell(str(data.get("message") or phase), PERCENT.get(phase, 0))
        elif kind == "queue":
            self.tell(f"Waiting for other builds: number {data.get('position')} in the queue.", PERCENT["queued"])
        elif kind == "end" and data.get("state") == "ready":
            self.tell("The environment is there.", SERVER_PERCENT)

    def close(self, *, server_begun: bool = False) -> None:
        """Say that no event will follow: the server itself is being started now, or nothing is."""
        self.closed = True
        self.server_begun = self.server_begun or server_begun
        self._wake()

    async def follow(self) -> AsyncIterator[dict[str, Any]]:
        """Yield all events from the first one on, those to come as they come, until it is closed."""
        position = 0
        while True:
            changed = self._changed
            while position < self._count:
                event, position = self._at(position)
                yield event
            if self.closed:
                return
            await changed.wait()

    def _at(self, position: int) -> tuple[dict[str, Any], int]:
        """Return the event at `position`, or an event that says how many are missing there, and where to go on."""
        if position < len(self._head):
            return dict(self._head[position]), position + 1
        first_kept = self._count - len(self._tail)
        if position >= first_kept:
            return dict(self._tail[position - first_kept]), position + 1
        message = f"... {first_kept - position} lines left out here."
        if self.whole_log:
            message += f" The whole log is at {self.whole_log}"
        return {"progress": self._head[-1]["progress"], "message": message}, first_kept

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()
