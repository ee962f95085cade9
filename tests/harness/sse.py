"""Server-sent events as a client sees them, comments included."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Sent:
    """One event; `number` is 0 where the stream gives none, `kind` is ``message`` where it names none."""

    number: int
    kind: str
    data: dict[str, Any]


def read(lines: Iterable[str], comments: list[str] | None = None) -> Iterator[Sent]:
    """Yield the events in a stream's lines; collect comment lines in `comments`."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            if comments is not None:
                comments.append(line)
        elif line:
            name, _, value = line.partition(":")
            fields[name] = fields[name] + "\n" + value.removeprefix(" ") if name == "data" and name in fields else value.removeprefix(" ")
        elif "data" in fields:
            yield Sent(int(fields.get("id", 0)), fields.get("event", "message"), json.loads(fields["data"]))
            fields = {}
