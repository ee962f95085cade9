"""The port of all builders."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Collection

from ..models import Build, Image, Report


class Builder(ABC):
    """Makes images. What it runs belongs to no process of the service: it goes on when the service is gone."""

    @abstractmethod
    def run(self, build: Build, after: str = "") -> AsyncGenerator[Report]:
        """Make the build's image and yield what happens; if it is being made already, follow that.

        Args:
            after: the cursor of the last report that is known; only later ones are yielded, none twice, none left out.

        Ends when the image is made. Closing the generator stops the following, not the build.

        Raises:
            BuildFailed: it cannot be made; or (``builder_lost``) what made it is gone without a word.
            Unavailable: the builder could not be asked.
        """

    def note_image(self, image: Image) -> None:  # noqa: B027  # most builders have nothing to do
        """Note that an image, which was made, can be launched from now on; called once a build, and never waits."""

    @abstractmethod
    async def stop(self, build: Build) -> None:
        """End the build's making, with everything it started, and remove what is half made; nothing happens if it does not run."""

    @abstractmethod
    async def forget(self, build: Build) -> None:
        """Drop the builder's own records of a build whose event log is stored."""

    async def forget_all_but(self, build_ids: Collection[str]) -> None:  # noqa: B027  # most builders keep no records of their own
        """Drop the builder's records of all builds but these, which have not ended; called before any is resumed."""

    def prepare(self) -> None:  # noqa: B027  # most builders have nothing to get ready
        """Get ready for the next build; called when nothing is being built."""

    async def check(self) -> None:  # noqa: B027  # most builders need nothing that can be away
        """Raise `Unavailable` if no build could be begun now."""

    async def close(self) -> None:  # noqa: B027  # most builders hold nothing
        """Let go of connections; builds go on."""
