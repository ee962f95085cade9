"""Images in a registry."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from typing import Protocol

from cachetools import TTLCache

from .. import names
from ..clients.credentials import Login
from ..clients.reference import Reference, is_full_name
from ..clients.registry import RegistryClient
from ..clients.registry_reader import RegistryReader
from ..clients.registry_writer import RegistryWriter
from ..errors import BuildFailed, Conflict, Unavailable
from ..models import FindDigest, Image, Source, now
from .base import YOUNG, Images, StoredImage, left_behind
from .publishing import Publisher

log = logging.getLogger("binderhub_service")
_KEPT_IMAGES = 2000
_AT_ONCE = 8


class Nearby(Protocol):
    """Where a registry's images are used, e.g. an engine or a cluster."""

    async def users(self, name: str) -> tuple[str, ...]:
        """Return who runs a server from an image, as ``user/server``."""

    async def delete(self, name: str) -> None:
        """Forget an image, if it is kept here as well; raises `Conflict` if a server runs from it."""

    async def tidy(self, build_ids: Collection[str]) -> None:
        """Remove what builds that are gone have left here."""

    async def close(self) -> None:
        """Let go of connections."""


class RegistryImages(Images):
    """Images that a registry keeps; servers pull them by digest.

    Args:
        prefix: comes before every name: the registry and what else, e.g. ``registry.example.org/project/binder-``.
        settings: the build settings that differ from the defaults, as text.
        local: where servers run, to be asked who uses an image; an engine that builds forgets what is deleted, too.
        kept_seconds: for how long "it is there" is not asked for again; "it is not" always is.
        publisher: pushes images elsewhere; None where an engine does so.
    """

    def __init__(
        self,
        client: RegistryClient,
        prefix: str,
        settings: str = "",
        local: Nearby | None = None,
        kept_seconds: float = 5.0,
        publisher: Publisher | None = None,
    ) -> None:
        self._client = client
        self._reader = RegistryReader(client)
        self._prefix = prefix
        self._settings = settings
        self._local = local
        self._publisher = publisher
        self._forgotten = 0
        self._there: TTLCache[str, Image] = TTLCache(_KEPT_IMAGES, kept_seconds)

    def name_for(self, source: Source) -> str:
        """Return BinderHub's name for the image; a given image's own, with its digest."""
        if source.is_given:
            given = Reference.parse(source.slug)
            return f"{given.registry}/{given.repository}@sha256:{source.commit}"
        return names.image_name(source, self._prefix, self._settings)

    async def exists(self, name: str) -> Image | None:
        """Ask the registry for the manifest of any kind; the image that is returned has its digest."""
        known = self._there.get(name)
        if known:
            return known
        forgotten = self._forgotten
        digest = await self._reader.digest(Reference.parse(name))
        if digest is None:
            return None
        details = await self._reader.details(Reference.parse(name), digest)
        image = Image(name, environment=details.environment, digest=digest)
        if forgotten == self._forgotten:  # else the registry may have changed since it answered
            self._there[name] = image
        return image

    def forget(self, name: str) -> None:
        """Ask the registry next time."""
        self._forgotten += 1
        self._there.pop(name, None)

    async def name_environment(self, key: str, build_id: str) -> None:
        """Give an environment its name, so that builds of other commits find it; unless there is one.

        Args:
            build_id: the build that has pushed it and tried it.

        Raises:
            BuildFailed: the registry does not take it.
            Unavailable: the registry could not be asked.
        """
        named = RegistryWriter(self._client, names.environment_name(self._prefix, key))
        if await named.manifest() is None:
            await named.copy(RegistryWriter(self._client, names.untried_environment_name(self._prefix, key, build_id)))

    def finder(self) -> FindDigest:
        """Return what asks an image's own registry, which need not be this one."""
        return self._digest_of

    async def _digest_of(self, name: str) -> str | None:
        return await self._reader.digest(Reference.parse(name))

    async def all(self) -> list[StoredImage]:
        """Return the images whose names have the prefix; not every registry lets itself be listed."""
        own = self._own
        repositories = [path for path in await self._reader.repositories(own) if path.startswith(own.repository)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def of(repository: str) -> list[StoredImage]:
            async with gate:
                return await self._stored(own.registry, repository)

        return [image for images in await asyncio.gather(*map(of, repositories)) for image in images]

    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the check that the registry answers."""
        return {"Docker registry": self._check}

    async def _check(self) -> None:
        await self._reader.digest(Reference.parse(f"{self._prefix}some-image-name:12345"))  # that it is not there is an answer

    async def holds(self, name: str) -> bool:
        """Ask the registry for the manifest of this name."""
        if not name.startswith(self._prefix) or self._is_of_builds(name) or not is_full_name(name):
            return False
        return await self._reader.digest(Reference.parse(name)) is not None

    async def tidy(self, build_ids: Collection[str]) -> None:
        """Remove what builds that are gone have left: in the engine that builds, and in the registry what was pushed before it was tried."""
        if self._local:
            await self._local.tidy(build_ids)
        try:
            await self._delete_unchecked()
        except (Conflict, Unavailable) as error:
            log.info("Images that were pushed before they were tried stay in the registry: %s", error.message)

    async def _delete_unchecked(self) -> None:
        """Delete images that were pushed before they were tried, once the build that did so must be over; what it has tried has another name."""
        pushed, oldest = Reference.parse(names.unchecked_name(self._prefix, "x:x")), now() - YOUNG
        for tag in await self._reader.tags(pushed):
            one = replace(pushed, tag=tag)
            digest = await self._reader.digest(one)
            if digest and (await self._reader.details(one, digest)).made < oldest:
                await self._reader.delete(one)

    async def delete(self, name: str) -> None:
        """Remove the manifest, and the building engine's copy; an image that a server runs from stays."""
        try:
            if self._local:
                await self._local.delete(name)
            await self._reader.delete(Reference.parse(name))
        finally:
            self.forget(name)

    async def publish(self, name: str, target: str, login: Login | None) -> None:
        """Push from where the image was built, if that is an engine; else from the registry. No name that this store gives is pushed."""
        asked, own = Reference.parse(target), self._own
        if asked.registry == own.registry and asked.repository.startswith(own.repository):
            raise BuildFailed(f"Names that begin with {self._prefix} are this hub's own.", code="push_denied", hint="Choose another name.")
        if self._publisher:
            await self._publisher.publish(name, target, login)
        elif isinstance(self._local, Images):
            await self._local.publish(name, target, login)
        else:
            await super().publish(name, target, login)

    async def delete_given(self, build_ids: Collection[str]) -> None:
        """Remove the files that were given to builds that are gone.

        Args:
            build_ids: the builds that went on a moment ago; what they, and builds that begin just now, need is left alone.

        Raises:
            Conflict: the registry does not delete.
            Unavailable: the registry could not be asked.
        """
        given, may_go = Reference.parse(names.given_name(self._prefix, "x")), left_behind(build_ids)
        for tag in await self._reader.tags(given):
            if may_go(tag):
                await self._reader.delete(replace(given, tag=tag))

    async def close(self) -> None:
        """Let go of connections."""
        await self._reader.close()
        if self._local:
            await self._local.close()

    @property
    def _own(self) -> Reference:
        """The registry, and what all names of repositories in it begin with."""
        beginning = Reference.parse(f"{self._prefix}x:x")
        return replace(beginning, repository=beginning.repository.removesuffix("x"))

    def _is_of_builds(self, name: str) -> bool:
        """Say whether a name is for builds alone: an environment's, a given file's, layers', or that of an image that may not have been checked."""
        return name.startswith(tuple(f"{self._prefix}{kind}:" for kind in ("environment", "given", "layers", "unchecked")))

    async def _stored(self, registry: str, repository: str) -> list[StoredImage]:
        host = Reference(registry, repository, "")
        return [image for tag in await self._reader.tags(host) if (image := await self._stored_tag(host, tag))]

    async def _stored_tag(self, host: Reference, tag: str) -> StoredImage | None:
        reference = Reference(host.registry, host.repository, tag)
        digest = await self._reader.digest(reference)
        name = f"{host.registry}/{host.repository}:{tag}"
        if digest is None or self._is_of_builds(name):
            return None
        details = await self._reader.details(reference, digest)
        users = await self._local.users(name) if self._local else ()
        return StoredImage(name, details.bytes, details.made, users)
