"""What a registry says of its images: digests, details, lists; and deleting one."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
from cachetools import LRUCache

from ..common import labels
from ..common.json_object import json_object
from ..errors import Conflict, Unavailable
from .reference import Reference
from .registry import MANIFEST_TYPES, RegistryClient, error_codes

_KEPT_DETAILS = 2000
_PAGE = 1000
_MAX_PAGES = 1000
_MAX_NAMES = 1_000_000
_NOT_THERE = {"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NOT_FOUND"}
_API_VERSION = "docker-distribution-api-version"  # a registry says this, another web server's 404 does not
_DIGEST = re.compile(r"[a-z0-9]{1,20}:[0-9a-f]{32,128}")
_UNKNOWN_TIME = datetime.fromtimestamp(0, UTC)


@dataclass(frozen=True)
class ImageDetails:
    """What a manifest says about an image; never changes for a digest.

    Attributes:
        bytes: of its layers and its configuration, compressed; 0 for an index of images for several machines.
        made: when, in UTC; the year 1970 if it does not say.
        environment: the key of the environment in it; empty if unknown.
    """

    bytes: int
    made: datetime
    environment: str


class RegistryReader:
    """Reads registries, and keeps what cannot change.

    All methods raise `Unavailable` if a registry could not be asked, or what it answers makes no sense.
    """

    def __init__(self, client: RegistryClient) -> None:
        self._client = client
        self._details: LRUCache[str, ImageDetails] = LRUCache(_KEPT_DETAILS)

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def digest(self, reference: Reference) -> str | None:
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

    async def details(self, reference: Reference, digest: str) -> ImageDetails:
        """Return what the manifest with a digest says."""
        details = self._details.get(digest)
        if details is None:
            details = self._details[digest] = await self._read_details(reference, digest)
        return details

    async def repositories(self, reference: Reference) -> list[str]:
        """Return the names of all repositories of a registry; not every one lets itself be listed."""
        return await self._pages(reference, "_catalog", "repositories")

    async def tags(self, reference: Reference) -> list[str]:
        """Return the tags of a repository; none if there is no such repository."""
        return await self._pages(reference, f"{reference.repository}/tags/list", "tags")

    async def delete(self, reference: Reference) -> None:
        """Remove a name's manifest, if there is one; raises `Conflict` where the registry deletes nothing."""
        digest = await self.digest(reference)
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

    async def _read_details(self, reference: Reference, digest: str) -> ImageDetails:
        manifest = await self._json(reference, f"{reference.repository}/manifests/{digest}")
        if "config" not in manifest:  # an index of images for several machines
            return ImageDetails(0, _UNKNOWN_TIME, "")
        try:
            parts = [manifest["config"], *(manifest.get("layers") or [])]
            size = sum(int(part.get("size") or 0) for part in parts)
            content = await self._json(reference, f"{reference.repository}/blobs/{parts[0]['digest']}")
            written = (content.get("config") or {}).get("Labels") or {}
            return ImageDetails(size, _time(content.get("created")), str(written.get(labels.ENVIRONMENT, "")))
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise _senseless(reference, "what it says of the image makes no sense") from error

    async def _json(self, reference: Reference, path: str) -> dict[str, Any]:
        answer = await self._client.ask("GET", reference, path, MANIFEST_TYPES)
        if answer.status_code != 200:
            raise _unexpected(reference, answer)
        return _object(reference, answer)

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
