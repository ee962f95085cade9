"""Builds of images that are pushed elsewhere, in SQL."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

import sqlalchemy as sa

from ..models import ImageJob
from .rows import utc
from .schema import image_jobs
from .store import Store


class ImageJobTable:
    """The table of image jobs; its methods raise what the store's raise."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, job_id: str) -> ImageJob | None:
        """Return a job, or None."""
        rows = await self._store.read(sa.select(image_jobs).where(image_jobs.c.id == job_id))
        return _job_from(rows[0]) if rows else None

    async def unfinished(self) -> list[ImageJob]:
        """Return those that have not ended."""
        return [_job_from(row) for row in await self._store.read(sa.select(image_jobs).where(sa.not_(image_jobs.c.ended)))]

    async def put(self, job: ImageJob) -> None:
        """Write a job, in place of what is known of it."""

        def transaction(connection: sa.Connection) -> None:
            if not connection.execute(image_jobs.update().where(image_jobs.c.id == job.id).values(asdict(job))).rowcount:
                connection.execute(image_jobs.insert().values(asdict(job)))

        await self._store.write(transaction)

    async def forget(self, before: datetime) -> None:
        """Forget jobs that have ended and were begun before a time."""
        old = sa.and_(image_jobs.c.ended, image_jobs.c.created < before)

        def transaction(connection: sa.Connection) -> None:
            connection.execute(image_jobs.delete().where(old))

        await self._store.write(transaction)


def _job_from(row: sa.RowMapping) -> ImageJob:
    return ImageJob(**{**row, "created": utc(row["created"])})
