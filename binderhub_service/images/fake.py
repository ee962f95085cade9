"""An image store that remembers names; for tests of everything around image stores."""

from __future__ import annotations

from .. import names
from ..models import Image, Source
from .base import Images


class FakeImages(Images):
    """Holds the images in `there`."""

    def __init__(self) -> None:
        self.there: dict[str, Image] = {}

    def name_for(self, source: Source) -> str:
        """Return slug and commit."""
        return names.directory_name(source, "fake")

    async def exists(self, name: str) -> Image | None:
        """Look it up."""
        return self.there.get(name)

    async def delete(self, name: str) -> None:
        """Forget it."""
        self.there.pop(name, None)
