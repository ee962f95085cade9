"""A build's event log on a terminal: the lines of its log, and below them a line that says how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from typing import Any, Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from ..client import BuildClient, BuildEvent
from .output import console, say, show_json, show_line, text

_AWAY = "The connection is gone; trying again"


class Following:
    """Shows events as they come; use it in ``with``.

    Where stderr is a terminal, a line on it says what goes on; else each of its sentences is a line.

    Args:
        lines: how the lines of the log are shown: ``text``, ``json`` for every event as JSON, or ``none``.

    Attributes:
        last: the number of the last event that was shown.
    """

    def __init__(self, lines: str = "text", after: int = 0) -> None:
        self.last = after
        self._lines = lines
        self._out, self._err = console(), console(stderr=True)
        self._has_line = self._err.is_terminal
        columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        self._progress = Progress(*columns, console=self._shared(), transient=True, disable=not self._has_line)
        self._task = self._progress.add_task("Asking", total=None)
        self._told = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._has_line:  # rich before 15 ends a line that it has not begun
            self._progress.stop()

    def tell(self, sentence: str) -> None:
        """Say what goes on now."""
        if sentence == self._told:
            return
        self._told = sentence
        self._progress.update(self._task, description=text(sentence))
        if not self._has_line:
            say(sentence)

    async def follow(self, client: BuildClient, build: Mapping[str, Any], *, to_end: bool = True, until_image: bool = False) -> dict[str, Any]:
        """Show the event log behind the last event that was shown, and return the build as it is then.

        Args:
            to_end: whether to wait for events that are still to come.
            until_image: whether an image that servers can be started from is enough: the build then only looks whether that works.
        """
        last = None if to_end else build["last_event"]
        if last is not None and self.last >= last:
            return dict(build)
        async with aclosing(client.follow(build["id"], self.last, on_away=lambda: self.tell(_AWAY))) as events:
            async for event in events:
                self._show(event)
                if event.kind == "end":
                    return {**build, **event.data}
                is_enough = until_image and event.kind == "phase" and event.data.get("image")
                if is_enough or (last is not None and event.number >= last):
                    break
        return dict(build)

    def _show(self, event: BuildEvent) -> None:
        self.last = event.number
        if self._lines == "json":
            show_json({"number": event.number, "event": event.kind, "data": event.data})
        elif self._lines == "text" and event.kind == "log":
            show_line(str(event.data.get("text", "")), self._out)
        if event.kind == "phase":
            self.tell(str(event.data.get("message", "")))
        elif event.kind == "queue":
            self.tell(_queue_sentence(event.data))
        elif self._told == _AWAY:
            self.tell("Following the build")

    def _shared(self) -> Console:
        """Return the console of the progress line: the log's own if that is on the same terminal, so that one does not write over the other."""
        return self._out if self._out.is_terminal and self._err.is_terminal else self._err


def _queue_sentence(data: Mapping[str, Any]) -> str:
    estimate = data.get("estimate_seconds")
    return f"Waiting at place {data.get('position')}" + (f", about {estimate} s" if estimate is not None else "")
