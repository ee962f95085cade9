"""What uv prints, as it is told, and what of it says why uv failed; pure."""

from __future__ import annotations

import re

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
# How uv begins an error; older versions by the second where a package could not be built.
_BEGINNINGS = ("error:", "\N{MULTIPLICATION SIGN}")
_KEPT_LINES = 3


class UvOutput:
    """Keeps the lines with which an error begins: what a package's own build printed may follow, of any length."""

    def __init__(self) -> None:
        self._beginning: list[str] = []

    def lines(self, line: str) -> tuple[str]:
        """Take a line, and return what is told of it: the line."""
        plain = _COLOURS.sub("", line)
        if plain.lstrip().startswith(_BEGINNINGS) or self._beginning:
            self._beginning = [*self._beginning, plain][:_KEPT_LINES]
        return (line,)

    def said(self, tail: str) -> str:
        """Return the end of the output without colours, after the beginning of the error if that is further above."""
        plain = _COLOURS.sub("", tail)
        beginning = "\n".join(self._beginning)
        return plain if beginning in plain else f"{beginning}\n{plain}"
