"""The port of all image stores."""

from __future__ import annotations

from abc import ABC, abstractmethod

from ..models import Image, Source


class Images(ABC):
    """Knows which images are there. A method answers what it knows, or raises `Unavailable`; it never guesses "no"."""

    @abstractmethod
    def name_for(self, source: Source) -> str:
        """Return the name of a source's image: a pure function of the source and the build settings."""

    @abstractmethod
    async def exists(self, name: str) -> Image | None:
        """Return the image if it is there, complete, and can be launched; else None.

        Raises:
            Unavailable: the store could not be asked.
        """

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Make the image go away; nothing happens if it is not there.

        Raises:
            Unavailable: the store could not be asked.
        """
