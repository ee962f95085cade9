"""The disk that the service writes to: is there room for more?"""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path

from ..errors import Unavailable


async def _nothing() -> int:
    return 0


class Space:
    """How much room there is.

    Args:
        folder: a folder on the disk.
        keep_bytes: how much has to stay free; 0 does not look.
        reusable_bytes: says how much the database has taken of the disk and will use before it takes more.
    """

    def __init__(self, folder: Path, keep_bytes: int = 0, reusable_bytes: Callable[[], Awaitable[int]] = _nothing) -> None:
        self._folder = folder
        self._keep_bytes = keep_bytes
        self._reusable_bytes = reusable_bytes

    def free_bytes(self) -> int:
        """Return how much of the disk is free."""
        return shutil.disk_usage(self._folder).free

    async def check(self) -> None:
        """Raise `Unavailable` if there is less than has to stay free; takes microseconds where there is enough."""
        free_bytes = self.free_bytes() if self._keep_bytes else 0
        if free_bytes < self._keep_bytes and free_bytes + await self._reusable_bytes() < self._keep_bytes:
            raise Unavailable("The disk of the service is full.", code="disk_full", hint="Ask an administrator to make space, then ask again.")
