"""Images in a registry."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

import httpx
from cachetools import LRUCache, TTLCache

from .. import names
from ..clients.credentials import Login
from ..clients.reference import Reference, is_full_name
from ..clients.registry import MANIFEST_TYPES, RegistryClient, error_codes
from ..common import labels
from ..common.json_object import json_object
from ..errors import BuildFailed, Conflict, Unavailable
from ..models import FindDigest, Image, Source, now
from .base import YOUNG, Images, StoredImage, left_behind
from .publishing import Publisher

log = logging.getLogger("binderhub_service")
_KEPT_DETAILS = 2000
_KEPT_IMAGES = 2000
_AT_ONCE = 8
_PAGE = 1000
_MAX_PAGES = 1000
_MAX_NAMES = 1_000_000
_NOT_THERE = {"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NOT_FOUND"}
_API_VERSION = "docker-distribution-api-version"  # a registry says this, another web server's 404 does not
_DIGEST = re.compile(r"[a-z0-9]{1,20}:[0-9a-f]{32,128}")
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


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


@dataclass(frozen=True)
class _Details:
    """What a manifest says about an image; never changes for a digest."""

    bytes: int
    made: datetime
    environment: str


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
        self._prefix = prefix
        self._settings = settings
        self._local = local
        self._publisher = publisher
        self._forgotten = 0
        self._there: TTLCache[str, Image] = TTLCache(_KEPT_IMAGES, kept_seconds)
        self._details: LRUCache[str, _Details] = LRUCache(_KEPT_DETAILS)

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
        digest = await self._digest(Reference.parse(name))
        if digest is None:
            return None
        details = await self._details_of(Reference.parse(name), digest)
        image = Image(name, environment=details.environment, digest=digest)
        if forgotten == self._forgotten:  # else the registry may have changed since it answered
            self._there[name] = image
        return image

    def forget(self, name: str) -> None:
        """Ask the registry next time."""
        self._forgotten += 1
        self._there.pop(name, None)

    def finder(self) -> FindDigest:
        """Return what asks an image's own registry, which need not be this one."""
        return self._digest_of

    async def _digest_of(self, name: str) -> str | None:
        return await self._digest(Reference.parse(name))

    async def all(self) -> list[StoredImage]:
        """Return the images whose names have the prefix; not every registry lets itself be listed."""
        own = self._own
        repositories = [path for path in await self._pages(own, "_catalog", "repositories") if path.startswith(own.repository)]
        gate = asyncio.Semaphore(_AT_ONCE)

        async def of(repository: str) -> list[StoredImage]:
            async with gate:
                return await self._stored(own.registry, repository)

        return [image for images in await asyncio.gather(*map(of, repositories)) for image in images]

    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Return the check that the registry answers."""
        return {"Docker registry": self._check}

    async def _check(self) -> None:
        await self._digest(Reference.parse(f"{self._prefix}some-image-name:12345"))  # that it is not there is an answer

    async def holds(self, name: str) -> bool:
        """Ask the registry for the manifest of this name."""
        if not name.startswith(self._prefix) or self._is_of_builds(name) or not is_full_name(name):
            return False
        return await self._digest(Reference.parse(name)) is not None

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
        for tag in await self._pages(pushed, f"{pushed.repository}/tags/list", "tags"):
            one = replace(pushed, tag=tag)
            digest = await self._digest(one)
            if digest and (await self._details_of(one, digest)).made < oldest:
                await self._delete(one)

    async def delete(self, name: str) -> None:
        """Remove the manifest, and the building engine's copy; an image that a server runs from stays."""
        try:
            if self._local:
                await self._local.delete(name)
            await self._delete(Reference.parse(name))
        finally:
            self.forget(name)

    async def _delete(self, reference: Reference) -> None:
        digest = await self._digest(reference)
        if digest is None:
            return
        answer = await self._client.ask("DELETE", reference, f"{reference.repository}/manifests/{digest}")
        if answer.status_code == 405 or "UNSUPPORTED" in error_codes(answer):
            raise Conflict(
                f"The registry {reference.registry} does not delete images.",
                code="registry_cannot_delete",
                hint="Let an administrator allow deleting in the registry, or delete the image with the registry's own tools.",
            )
        if answer.status_code not in {200, 202, 404}:
            raise _unexpected(reference, answer)

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
        for tag in await self._pages(given, f"{given.repository}/tags/list", "tags"):
            if may_go(tag):
                await self._delete(replace(given, tag=tag))

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()
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

    # --- manifests ---------------------------------------------------------------------------------------------------

    async def _digest(self, reference: Reference) -> str | None:
        """Return the digest of a name's manifest, or None if the registry says that there is none."""
        path = f"{reference.repository}/manifests/{reference.tag}"
        answer = await self._client.ask("HEAD", reference, path, MANIFEST_TYPES)
        if answer.status_code == 200 and answer.headers.get("docker-content-digest"):
            return _digest_in(reference, answer)
        if answer.status_code == 401 or (answer.status_code == 404 and _API_VERSION in answer.headers):
            return None  # 401 is Docker Hub's way to say it, see the client
        answer = await self._client.ask("GET", reference, path, MANIFEST_TYPES)  # HEAD tells no reason, and some registries no digest
        if error_codes(answer) if answer.status_code == 404 else error_codes(answer) & _NOT_THERE:
            return None
        if answer.status_code != 200:
            raise _unexpected(reference, answer)
        if answer.headers.get("docker-content-digest"):
            return _digest_in(reference, answer)
        return f"sha256:{hashlib.sha256(answer.content).hexdigest()}"

    async def _details_of(self, reference: Reference, digest: str) -> _Details:
        details = self._details.get(digest)
        if details is None:
            details = self._details[digest] = await self._read_details(reference, digest)
        return details

    async def _read_details(self, reference: Reference, digest: str) -> _Details:
        manifest = await self._json(reference, f"{reference.repository}/manifests/{digest}")
        if "config" not in manifest:  # an index of images for several machines
            return _Details(0, _UNKNOWN_TIME, "")
        try:
            parts = [manifest["config"], *(manifest.get("layers") or [])]
            size = sum(int(part.get("size") or 0) for part in parts)
            content = await self._json(reference, f"{reference.repository}/blobs/{parts[0]['digest']}")
            written = (content.get("config") or {}).get("Labels") or {}
            return _Details(size, _time(content.get("created")), str(written.get(labels.ENVIRONMENT, "")))
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _senseless(reference, "what it says of the image makes no sense") from error

    async def _json(self, reference: Reference, path: str) -> dict[str, Any]:
        answer = await self._client.ask("GET", reference, path, MANIFEST_TYPES)
        if answer.status_code != 200:
            raise _unexpected(reference, answer)
        return _object(reference, answer)

    # --- lists -------------------------------------------------------------------------------------------------------

    async def _pages(self, reference: Reference, path: str, key: str) -> list[str]:
        found: list[str] = []
        query = f"?n={_PAGE}"
        asked: set[str] = set()
        while query:
            if query in asked:
                raise _senseless(reference, "its list of images leads in a circle")
            if len(asked) == _MAX_PAGES or len(found) > _MAX_NAMES:
                raise _senseless(reference, "its list of images has no end")
            asked.add(query)
            answer = await self._client.ask("GET", reference, f"{path}{query}")
            if answer.status_code == 404 and key == "tags":
                return []
            if answer.status_code != 200:
                raise _unexpected(reference, answer)
            listed = _object(reference, answer).get(key) or []
            if not isinstance(listed, list):
                raise _senseless(reference, "its list of images is no list")
            found += [name for name in listed if isinstance(name, str)]
            link = answer.links.get("next", {}).get("url", "")
            query = f"?{link.partition('?')[2]}" if link else ""
        return found

    async def _stored(self, registry: str, repository: str) -> list[StoredImage]:
        host = Reference(registry, repository, "")
        return [image for tag in await self._pages(host, f"{repository}/tags/list", "tags") if (image := await self._stored_tag(host, tag))]

    async def _stored_tag(self, host: Reference, tag: str) -> StoredImage | None:
        reference = Reference(host.registry, host.repository, tag)
        digest = await self._digest(reference)
        name = f"{host.registry}/{host.repository}:{tag}"
        if digest is None or self._is_of_builds(name):
            return None
        details = await self._details_of(reference, digest)
        users = await self._local.users(name) if self._local else ()
        return StoredImage(name, details.bytes, details.made, users)


def _digest_in(reference: Reference, answer: httpx.Response) -> str:
    """Return the digest in an answer's headers; it becomes a part of names."""
    digest = str(answer.headers["docker-content-digest"])
    if not _DIGEST.fullmatch(digest):
        raise _senseless(reference, "its digest of the image is none")
    return digest


def _time(text: Any) -> datetime:
    try:
        return datetime.fromisoformat(str(text)[:19] + "+00:00")
    except ValueError:
        return _UNKNOWN_TIME


def _object(reference: Reference, answer: httpx.Response) -> dict[str, Any]:
    try:
        return json_object(answer.content)
    except ValueError as error:
        raise _senseless(reference, "it is no JSON object") from error


def _unexpected(reference: Reference, answer: httpx.Response) -> Unavailable:
    codes = ", ".join(sorted(error_codes(answer)))
    return _senseless(reference, f"{answer.status_code} {codes}".rstrip())


def _senseless(reference: Reference, why: str) -> Unavailable:
    return Unavailable(
        f"The registry {reference.registry} did not give a usable answer: {why}.",
        code="registry_unavailable",
        hint="Try again in a moment; if it stays so, ask an administrator to look at the registry.",
    )
