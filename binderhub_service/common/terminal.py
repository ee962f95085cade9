"""A terminal's output as plain text; pure."""

from __future__ import annotations

import re

_ESCAPES = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # titles, links
    r"|[ -/]*[0-~]?)"
)
_COLOURS = re.compile(r"(\x1b\[[0-9;:]{0,64}m)")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """Return a line of a terminal's output as text: without colours, other escape sequences and control characters.

    Of a line that was overwritten (progress bars), what stands there in the end.
    """
    text = _ESCAPES.sub("", text).rstrip("\r\n")
    return _CONTROL.sub("", text.rpartition("\r")[2])


def coloured(text: str) -> str:
    """Return a line of a terminal's output with its colours, and without all else that is not text, as `plain` does it."""
    last = text.rstrip("\r\n").rpartition("\r")[2]
    return "".join(part if number % 2 else plain(part) for number, part in enumerate(_COLOURS.split(last)))
