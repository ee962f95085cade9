"""An image store that remembers names; for tests of everything around image stores."""

from __future__ import annotations

from .. import names
from ..models import Image, Source, now
from .base import Images, StoredImage, in_use


class FakeImages(Images):
    """Holds the images in `there`; `used_by` says who uses them."""

    def __init__(self) -> None:
        self.there: dict[str, Image] = {}
        self.used_by: dict[str, tuple[str, ...]] = {}
        self.made = now()

    def name_for(self, source: Source) -> str:
        """Return slug and commit."""
        return names.directory_name(source, "fake")

    async def exists(self, name: str) -> Image | None:
        """Look it up."""
        return self.there.get(name)

    async def all(self) -> list[StoredImage]:
        """Return all, one byte each."""
        return [StoredImage(name, 1, self.made, self.used_by.get(name, ())) for name in self.there]

    async def holds(self, name: str) -> bool:
        """Look it up."""
        return name in self.there

    async def delete(self, name: str) -> None:
        """Forget it, unless it is used."""
        if self.used_by.get(name):
            raise in_use(name)
        self.there.pop(name, None)
