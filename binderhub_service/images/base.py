"""The port of all image stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from ..clients.credentials import Login
from ..errors import Conflict, NotAllowed
from ..models import FindDigest, Image, Source, now
from ..names import new_build_id

YOUNG = timedelta(hours=1)
"""What is younger may belong to a build that goes on."""


@dataclass(frozen=True)
class StoredImage:
    """An image that is there, as an operator sees it.

    Attributes:
        name: as `Images.name_for` gives it.
        bytes: what removing it would free, about; what images share is divided among them.
        made: when it was made.
        used_by: who runs a server from it, as ``user/server``; the default server has an empty name.
    """

    name: str
    bytes: int
    made: datetime
    used_by: tuple[str, ...] = ()


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
    async def all(self) -> list[StoredImage]:
        """Return all images that are there.

        Raises:
            Unavailable: the store could not be asked.
        """

    def finder(self) -> FindDigest | None:
        """Return what finds images by name that others have made; None if this store has no container images."""
        return None

    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return, by the name that ``health`` shows, what raises `Unavailable` when something this store needs does not answer."""
        return {}

    @abstractmethod
    async def holds(self, name: str) -> bool:
        """Return whether `all` would list an image of this name; nothing but this image is asked about.

        Args:
            name: any text; a name that this store does not give is not held, also if the engine or the registry has it.

        Raises:
            Unavailable: the store could not be asked.
        """

    def forget(self, name: str) -> None:  # noqa: B027  # most stores ask each time
        """Keep no answer about an image that was given before now: it has changed."""

    async def tidy(self, build_ids: Collection[str]) -> None:  # noqa: B027  # most stores keep nothing else
        """Remove what is left of images that were replaced, and of builds that are gone.

        Args:
            build_ids: the builds that went on a moment ago; what they, and builds that begin just now, are making is left alone.
        """

    @abstractmethod
    async def delete(self, name: str) -> None:
        """Make the image go away; nothing happens if it is not there.

        Raises:
            Conflict: a server runs from it.
            Unavailable: the store could not be asked.
        """

    async def withdraw(self, name: str) -> None:
        """Make the image of a build go away that did not end well, although servers could be started from it; raises as `delete`."""
        await self.delete(name)

    async def publish(self, name: str, target: str, login: Login | None) -> None:
        """Push an image under another name, by somebody's own login; raises `NotAllowed` where there are no container images.

        Args:
            target: the name in a registry, with its tag.

        Raises:
            BuildFailed: the registry does not take it, or the name is one of an image that is here already.
            Unavailable: the engine could not be asked.
        """
        raise NotAllowed("Images cannot be pushed from here.", code="needs_containers", hint="Ask for a hub in docker mode.")

    async def close(self) -> None:  # noqa: B027  # most stores hold nothing
        """Let go of connections."""


def left_behind(build_ids: Collection[str]) -> Callable[[str], bool]:
    """Return what says of a build, by its id, whether what it has made may go.

    Args:
        build_ids: the builds that went on when somebody looked. A build that has begun since is not among them; its id says that it is young.
    """
    young = new_build_id(now() - YOUNG)
    return lambda build_id: build_id < young and build_id not in build_ids


def in_use(name: str) -> Conflict:
    """Return the error of an image that cannot be deleted now."""
    return Conflict(f"A server runs from the image {name}.", code="image_in_use", hint="Stop the server first.")
