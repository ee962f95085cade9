"""Ids of builds, which sort in the order in which builds are begun, also while the clock is behind that of earlier builds."""

from __future__ import annotations

from datetime import datetime

from ..names import build_id_of, milliseconds_of


class BuildIds:
    """Makes ids, each behind all that it has made or was told of: the newest build is found by its id."""

    def __init__(self) -> None:
        self._last = 0

    def note(self, build_id: str) -> None:
        """Make no id from now on that sorts before this one."""
        self._last = max(self._last, milliseconds_of(build_id))

    def new(self, moment: datetime) -> str:
        """Return an id of this moment, or right behind the last id where that is later."""
        self._last = max(int(moment.timestamp() * 1000), self._last + 1)
        return build_id_of(self._last)
