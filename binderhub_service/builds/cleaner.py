"""Removing what is not needed any more: images least recently used first, and old logs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from ..clients.contents import Contents
from ..errors import BinderError
from ..images import Images, StoredImage
from ..images.locks import remove_idle_locks
from ..images.uv_cache import UvCache
from ..models import now
from ..store.image_jobs import ImageJobTable
from ..store.store import Store
from ..working_copies import WorkingCopies
from .builds import Builds

log = logging.getLogger("binderhub_service")
_GRACE_SECONDS = 3600  # an image that was asked for is left alone until its server has had the time to start
_BUILDS_AT_ONCE = 20


@dataclass(frozen=True)
class Budget:
    """What is kept; 0 means everything, for ever.

    Attributes:
        image_bytes: how much all images together may take.
        image_seconds: how long an image is kept after it was last asked for.
        log_seconds: how long the logs of builds that ended are kept.
        log_bytes: how much all logs together may take.
        build_seconds: how long the records of builds that ended are kept, with who asked for them.
        cache_bytes: how much uv's cache may take.
        copy_seconds: how long working copies are kept after they were last used.
    """

    image_bytes: int = 0
    image_seconds: float = 0
    log_seconds: float = 0
    log_bytes: int = 0
    build_seconds: float = 0
    cache_bytes: int = 0
    copy_seconds: float = 0


def dispensable(
    images: Sequence[StoredImage], uses: Mapping[str, datetime], budget: Budget, moment: datetime, kept: Collection[str] = ()
) -> list[StoredImage]:
    """Return what to remove, least recently used first; nothing that a server runs from or that was asked for lately.

    Args:
        uses: when images were last asked for; those that are not in it count from when they were made.
        moment: what time it is.
        kept: names of images that stay in any case; what they take counts.
    """
    oldest_first = sorted(images, key=lambda image: uses.get(image.name, image.made))
    left = sum(image.bytes for image in images)
    chosen = []
    for image in oldest_first:
        idle_seconds = (moment - uses.get(image.name, image.made)).total_seconds()
        if image.used_by or image.name in kept or idle_seconds < _GRACE_SECONDS:
            continue
        too_old = budget.image_seconds and idle_seconds > budget.image_seconds
        too_much = budget.image_bytes and left > budget.image_bytes
        if too_old or too_much:
            chosen.append(image)
            left -= image.bytes
    return chosen


class Cleaner:
    """Knows all images, and keeps them, the logs and the records of builds within the budget.

    Args:
        locks: folders with locks (see `images.locks`), whose files go when nobody has them.
        contents: files that people gave.
        image_jobs: which are forgotten as builds are.
        kept: returns the names of images that stay in any case.
        uv_cache: uv's cache, where it is this service's to look after.
        copies: people's files, where they are this service's to look after.
        note_removed: told the name of each image that the budget does not allow and that is gone.
        note_copy_removed: told the name of each such working copy.
    """

    def __init__(
        self,
        *,
        store: Store,
        images: Images,
        builds: Builds,
        budget: Budget,
        locks: Sequence[Path] = (),
        contents: Contents | None = None,
        image_jobs: ImageJobTable | None = None,
        kept: Callable[[], Collection[str]] = frozenset,
        uv_cache: UvCache | None = None,
        copies: WorkingCopies | None = None,
        note_removed: Callable[[str], None] = lambda _: None,
        note_copy_removed: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._note_removed = note_removed
        self._note_copy_removed = note_copy_removed
        self._copies = copies
        self._store = store
        self._images = images
        self._builds = builds
        self._budget = budget
        self._locks = locks
        self._contents = contents
        self._image_jobs = image_jobs
        self._kept = kept
        self._uv_cache = uv_cache

    async def images(self) -> list[tuple[StoredImage, datetime]]:
        """Return all images, each with when it was last asked for, most recently used first.

        Raises:
            Unavailable: the image store or the database could not be asked.
        """
        uses = await self._store.uses()
        dated = [(image, uses.get(image.name, image.made)) for image in await self._images.all()]
        return sorted(dated, key=lambda pair: pair[1], reverse=True)

    async def holds(self, name: str) -> bool:
        """Return whether there is an image of this name; only the image store is asked, and only about this image.

        Raises:
            Unavailable: the image store could not be asked.
        """
        return await self._images.holds(name)

    async def clean(self) -> list[str]:
        """Remove what nobody can use, and what the budget does not allow; return the names of the images that are gone."""
        await self._builds.tidy_images()
        for folder in self._locks:
            await asyncio.to_thread(remove_idle_locks, folder)
        if self._contents:
            await asyncio.to_thread(self._contents.prune)
        if self._uv_cache:
            await self._clean_uv_cache(self._uv_cache)
        if self._copies:
            await self._clean_copies(self._copies)
        gone = await self._clean_images()  # before anything is stored, for which a full disk may have no space
        if self._budget.build_seconds:
            await self._forget_builds(now() - timedelta(seconds=self._budget.build_seconds))
        if self._budget.log_seconds:
            await self._drop_logs(now() - timedelta(seconds=self._budget.log_seconds))
        await self._store.analyze()
        return gone

    async def _clean_images(self) -> list[str]:
        if not (self._budget.image_bytes or self._budget.image_seconds):
            return []
        chosen = dispensable(await self._images.all(), await self._store.uses(), self._budget, now(), self._kept())
        gone = []
        for image in chosen:
            try:
                await self._builds.delete_image(image.name)
                gone.append(image.name)
                self._note_removed(image.name)
            except BinderError as error:
                log.info("The image %s stays: %s", image.name, error.message)
        return gone

    async def trim_logs(self) -> None:
        """Drop the oldest logs beyond the budget."""
        dropped = 0
        while self._budget.log_bytes and (count := await self._store.drop_oldest_logs(self._budget.log_bytes, _BUILDS_AT_ONCE)):
            dropped += count
        if dropped:
            log.info("Dropped the logs of the %d builds that ended first: all logs together were larger than they may be", dropped)

    async def _clean_uv_cache(self, cache: UvCache) -> None:
        """Measure the cache, and remove it if it is too large and no build runs, which might be about to read from it."""
        await asyncio.to_thread(cache.remove_set_aside)  # a service that was killed may have left it
        size = await asyncio.to_thread(cache.measure)
        if not self._budget.cache_bytes or size <= self._budget.cache_bytes or self._builds.counts()["running"]:
            return
        cache.set_aside()  # nothing may come between this and the look at the builds
        await asyncio.to_thread(cache.remove_set_aside)
        log.info("Removed uv's cache, which took %d bytes; packages are fetched anew when a build asks for them", size)

    async def _clean_copies(self, copies: WorkingCopies) -> None:
        """Remove the working copies that nobody has used for too long, and measure what is left."""
        unused = await asyncio.to_thread(copies.unused, self._budget.copy_seconds) if self._budget.copy_seconds else []
        for name in unused:
            try:
                await asyncio.to_thread(copies.remove, name)
                self._note_copy_removed(name)
            except BinderError as error:
                log.info("The working copy %s stays: %s", name, error.message)
        await asyncio.to_thread(copies.measure)

    async def _drop_logs(self, before: datetime) -> None:
        while await self._store.drop_logs(before, _BUILDS_AT_ONCE):
            await asyncio.sleep(0)

    async def _forget_builds(self, before: datetime) -> None:
        if self._image_jobs:
            await self._image_jobs.forget(before)
        forgotten = 0
        while count := await self._store.forget_builds(before, _BUILDS_AT_ONCE):
            forgotten += count
        if forgotten:
            log.info("Forgot %d builds that ended before %s, their logs and who asked for them", forgotten, f"{before:%Y-%m-%d %H:%M}")
