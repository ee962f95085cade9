"""When images were last asked for, in SQL."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property

import sqlalchemy as sa
from cachetools import LRUCache

from .rows import utc
from .schema import images
from .sql_store import SqlStore

_KEPT_USES = 10_000


class ImageUses(SqlStore):
    """The table of images; see `SqlStore`."""

    @cached_property
    def _uses(self) -> LRUCache[str, datetime]:
        """The last uses that were noted, by image."""
        return LRUCache(_KEPT_USES)

    async def note_use(self, image: str, moment: datetime, at_most_every_seconds: float) -> None:
        """Note that an image was asked for, unless that was noted a moment ago."""
        known = self._uses.get(image)
        if known and (moment - known).total_seconds() < at_most_every_seconds:
            return

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(images.update().where(images.c.name == image).values(last_used=moment)).rowcount:
                connection.execute(images.insert().values(name=image, last_used=moment))

        await self.write(transaction)
        self._uses[image] = moment

    async def uses(self) -> dict[str, datetime]:
        """Return when images were last asked for, by name."""
        return {row["name"]: utc(row["last_used"]) for row in await self.read(sa.select(images))}

    async def forget_use(self, image: str) -> None:
        """Forget an image that is gone."""
        await self.delete(images.delete().where(images.c.name == image))
        self._uses.pop(image, None)
