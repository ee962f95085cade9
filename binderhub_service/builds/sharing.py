"""One build for all who want the same image: who joins, what is found, what is begun, and who still wants it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from weakref import WeakValueDictionary

from ..errors import Conflict, NotAllowed, NotFound, Unavailable
from ..images import Images
from ..models import Account, Build, Image, Phase, Source, State, now
from ..store.store import Store
from . import access
from .build_ids import BuildIds
from .scheduler import BuildScheduler

_USE_NOTED_SECONDS = 60
_STARTS_NO_SERVER = "no_singleuser"


class SharedBuilds:
    """Decides what happens to an image; one decision at a time for each image. Who asks for an image that is there needs none."""

    def __init__(self, *, store: Store, images: Images, scheduler: BuildScheduler) -> None:
        self._store = store
        self._images = images
        self._scheduler = scheduler
        self._ids = BuildIds()
        self._deciding: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def begin_behind_known(self) -> None:
        """Let the ids of new builds sort behind those of all that are stored, whatever the clock says."""
        for newest in await self._store.newest(requester=None, filters={}, before=None, limit=1):
            self._ids.note(newest.id)

    async def ensure(
        self, source: Source, requester: Account, *, force: bool, may_begin: Callable[[Source], Awaitable[None]] | None = None
    ) -> tuple[Build, bool]:
        """Join the build that makes the source's image, find the image, or begin a build.

        Args:
            may_begin: asked before a build is begun; what it raises goes to the caller.

        Returns:
            The build that makes or made the image, and whether it was begun now.

        Raises:
            NotFound: an image that somebody else has made has just gone.
            Unavailable: the image store or the database could not be asked; then nothing was begun.
        """
        name = self._images.name_for(source)
        ready = None if force else await self._at_hand(name)
        if ready is not None:
            await self._note_use(ready, requester)
            return ready, False
        async with self._decision(name):
            build = await self._scheduler.joinable(name)
            if build is not None:
                await self._store.set_requester(build.id, requester.key, wants=True)
                return build, False
            image = None if force and not source.is_given else await self._images.exists(name)
            if image is not None:
                return await self._found(source, image, requester), False
            if source.is_given:
                raise NotFound(f"There is no image {source.slug} any more.", code="image_not_found", hint="Ask again.")
            if may_begin is not None:
                await may_begin(source)
            return await self._scheduler.begin(self._new_build(source, Image(name), requester, force=force), requester.key), True

    async def withdraw(self, build: Build, requester: str) -> None:
        """Note that a requester does not need a build any more, and end it if no other does; nobody can join meanwhile.

        Args:
            requester: the account's key.

        Raises:
            NotAllowed: the requester did not ask for it.
        """
        async with self._decision(build.image.name):
            requesters = await self._store.requesters(build.id)
            if requester not in requesters:
                raise NotAllowed("You did not ask for this build.", hint=f"Cancelling everybody's builds takes the scope {access.CANCEL_SCOPE}.")
            await self._store.set_requester(build.id, requester, wants=False)
            if not any(wants for key, wants in requesters.items() if key != requester):
                await self._scheduler.cancel(build.id)

    async def delete_image(self, name: str) -> None:
        """Remove an image, so that the next request for it builds it.

        Raises:
            Conflict: a server runs from it, or a build is making it.
            Unavailable: the image store could not be asked.
        """
        async with self._decision(name):
            if await self._scheduler.joinable(name):
                raise Conflict(f"A build is making the image {name}.", code="image_in_use", hint="Wait until it has ended, or cancel it.")
            await self._images.delete(name)
            await self._store.forget_use(name)

    async def forget_build(self, build: Build) -> None:
        """Forget a build that has ended, with its event log and who asked for it.

        Raises:
            Conflict: its image is there, and launches find the image by this record.
            Unavailable: the image store could not be asked.
        """
        name = build.image.name
        async with self._decision(name):
            newest = await self._store.newest_ready(name)
            if newest and newest.id == build.id:
                if await self._images.exists(name) is not None:
                    hint = "Remove the image first, if nobody needs it."
                    raise Conflict(f"The image {name} is found by this record, which is its newest.", code="build_needed", hint=hint)
                await self._store.forget_use(name)
            await self._store.forget_build(build.id)

    def _decision(self, image: str) -> asyncio.Lock:
        return self._deciding.setdefault(image, asyncio.Lock())

    async def _found(self, source: Source, image: Image, requester: Account) -> Build:
        """Return the build that made an image, or the record of a build that had nothing to do.

        An image that no server starts from, and that could not be removed, is answered by the build that found that out.
        """
        ready = await self._store.newest_ready(image.name)
        if ready is None or ready.image.digest != image.digest:  # somebody else may have put another one there
            failed = await self._store.newest_failed(image.name)
            if failed and failed.image == image and failed.error and failed.error.get("code") == _STARTS_NO_SERVER:
                await self._store.set_requester(failed.id, requester.key, wants=True)
                return failed
            ready = await self._scheduler.found(self._new_build(source, image, requester), image, requester.key)
        await self._note_use(ready, requester)
        return ready

    async def _at_hand(self, name: str) -> Build | None:
        """Return the build that made an image which is there as it was made, and of which nothing is being decided; else None."""
        if name in self._deciding or self._scheduler.is_making(name):
            return None
        ready = await self._store.newest_ready(name)
        image = await self._images.exists(name) if ready else None
        return ready if ready and image and image.digest == ready.image.digest else None

    async def _note_use(self, ready: Build, requester: Account) -> None:
        """Note who asked for an image that is there, and when; on a full disk the time alone is not noted, and those who asked before go on."""
        await self._store.set_requester(ready.id, requester.key, wants=True)
        try:
            await self._store.note_use(ready.image.name, now(), _USE_NOTED_SECONDS)
        except Unavailable as error:
            if error.code != "disk_full":
                raise

    def _new_build(self, source: Source, image: Image, owner: Account, *, force: bool = False) -> Build:
        created = now()
        return Build(
            id=self._ids.new(created),
            source=source,
            image=image,
            state=State.QUEUED,
            phase=Phase.QUEUED,
            owner=owner.name,
            created=created,
            force=force,
        )
