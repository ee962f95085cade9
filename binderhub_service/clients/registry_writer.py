"""Pushing to a registry over HTTP, without an engine: blobs first, the manifest last, so that nobody sees half an image."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import IO
from urllib.parse import urlencode

import httpx

from ..errors import BuildFailed, Unavailable
from .oci import OCI_MANIFEST, Blob, Manifest, json_in, of_this_machine
from .reference import Reference
from .registry import MANIFEST_TYPES, Body, RegistryClient, error_codes, unavailable

_CHUNK_BYTES = 1024 * 1024
_TRIES = 2
# What registries say of layers that are there while another push writes the same ones, and how long to wait for that.
_BEING_WRITTEN = {"BLOB_UNKNOWN", "MANIFEST_BLOB_UNKNOWN", "DIGEST_INVALID"}
_WAITS_SECONDS = (1.0, 3.0, 9.0)
_MADE, _ACCEPTED, _THERE, _MOVED = 201, 202, 200, 416


class PushRefused(BuildFailed):
    """The registry answered a push, and the answer is no.

    Attributes:
        is_login: whether the registry does not take who asks.
    """

    def __init__(self, answer: httpx.Response) -> None:
        self.is_login = answer.status_code == HTTPStatus.UNAUTHORIZED
        challenge = answer.headers.get("www-authenticate", "") if answer.status_code in {401, 403} else ""
        super().__init__(f"{answer.status_code} {answer.reason_phrase}: {answer.text[:1000]} {challenge}".strip())


class RegistryWriter:
    """Pushes to one repository of a registry."""

    def __init__(self, client: RegistryClient, name: str) -> None:
        self._client = client
        self.reference = Reference.parse(name)

    async def check(self) -> None:
        """Begin an upload and give it up, to learn whether we may; what is no plain refusal is left to the push itself.

        Raises:
            PushRefused: we may not push.
            Unavailable: the registry could not be asked, or we have no login that it would take.
        """
        answer = await self._client.write("POST", self.reference, self._path("blobs", "uploads/"), body=lambda: b"")
        if answer.status_code in {401, 403}:
            raise PushRefused(answer)
        if answer.status_code == _ACCEPTED and answer.headers.get("location"):
            await self._client.write("DELETE", self.reference, answer.headers["location"])  # else the registry forgets it some day

    async def has(self, blob: Blob) -> bool:
        """Say whether the repository has a blob."""
        answer = await self._client.write("HEAD", self.reference, self._path("blobs", blob.digest))
        if answer.status_code not in {_THERE, 404}:
            raise PushRefused(answer)
        return answer.status_code == _THERE

    async def put_file(self, blob: Blob, path: Path) -> None:
        """Upload a blob from a file; raises `PushRefused` or `Unavailable`."""
        with path.open("rb") as file:
            await self.put_open(blob, file)

    async def put_open(self, blob: Blob, file: IO[bytes]) -> None:
        """Upload a blob from an open file; raises `PushRefused` or `Unavailable`."""
        await self._put(blob, lambda: _chunks(file))

    async def put_bytes(self, blob: Blob, content: bytes) -> None:
        """Upload a blob from memory; raises `PushRefused` or `Unavailable`."""
        await self._put(blob, lambda: content)

    async def put_from(self, blob: Blob, source: RegistryWriter) -> None:
        """Take a blob from another repository: without moving it where that is in the same registry, which can, else by way of this machine.

        What the client of `source` may not read is not taken, even where this one's login could.

        Raises:
            PushRefused: the registry does not take it.
            Unavailable: one of the registries could not be asked, or does not give it.
        """
        is_readable = await source.gives(blob)
        if is_readable and source.reference.registry == self.reference.registry and await self._mount(blob, source.reference):
            return
        for seconds in (*_WAITS_SECONDS, None):
            try:
                await self._put(blob, lambda: source.stream(blob))
                break
            except Unavailable:  # half a layer has arrived, perhaps, and no client knows that it may be asked for again
                if seconds is None:
                    raise
                await asyncio.sleep(seconds)

    async def gives(self, blob: Blob) -> bool:
        """Say whether the repository gives a blob to who reads; the client has a token for that then.

        Raises:
            Unavailable: the registry could not be asked, or does not let us in.
        """
        answer = await self._client.ask("HEAD", self.reference, self._path("blobs", blob.digest))
        return answer.status_code == _THERE

    async def stream(self, blob: Blob) -> AsyncIterator[bytes]:
        """Yield a blob's content as it arrives; raises `Unavailable` if it cannot be had, or is not as long as it should be."""
        size = 0
        async for chunk in self._client.blob(self.reference, blob.digest):
            size += len(chunk)
            if size > blob.size:
                break
            yield chunk
        if size != blob.size:
            raise unavailable(self.reference, "it sent a part of the image that is not as long as it should be")

    async def copy(self, source: RegistryWriter) -> bool:
        """Take an image of another registry, by way of this machine, which keeps nothing of it; say whether there is one.

        Raises:
            PushRefused: one of the registries does not give or take it.
            Unavailable: one of them could not be asked, or we have no login that it would take.
        """
        manifest = await source.manifest()
        if manifest is None:
            return False
        for blob in [*manifest.layers, manifest.config]:
            if not await self.has(blob):
                await self.put_from(blob, source)
        await self.put_manifest(manifest)
        return True

    async def put_manifest(self, manifest: Manifest) -> None:
        """Make the image appear under its name; raises `PushRefused` or `Unavailable`."""
        answer = await self._put_text(manifest)
        for seconds in _WAITS_SECONDS:
            if not error_codes(answer) & _BEING_WRITTEN:
                break
            await asyncio.sleep(seconds)
            answer = await self._put_text(manifest)
        if answer.status_code not in {_MADE, _THERE, _ACCEPTED}:
            raise PushRefused(answer)

    async def manifest(self) -> Manifest | None:
        """Return the manifest of the name's image for this machine, or None if there is none."""
        answer = await self._read(self._path("manifests", self.reference.tag))
        if answer is None:
            return None
        if "manifests" in json_in(answer.content):
            answer = await self._read(self._path("manifests", of_this_machine(json_in(answer.content)).digest))
        return Manifest(answer.content, answer.headers.get("content-type", OCI_MANIFEST).partition(";")[0]) if answer else None

    async def read(self, blob: Blob) -> bytes:
        """Return a small blob, such as a configuration; raises `PushRefused` or `Unavailable`."""
        answer = await self._client.ask("GET", self.reference, self._path("blobs", blob.digest))
        if answer.status_code != _THERE:
            raise PushRefused(answer)
        return answer.content

    # --- parts -------------------------------------------------------------------------------------------------------

    async def _put_text(self, manifest: Manifest) -> httpx.Response:
        headers = {"Content-Type": manifest.media_type}
        return await self._client.write(
            "PUT", self.reference, self._path("manifests", self.reference.tag), headers=headers, body=lambda: manifest.text
        )

    async def _mount(self, blob: Blob, other: Reference) -> bool:
        """Let the registry take a blob from another of its repositories; say whether it has."""
        asked = urlencode({"mount": blob.digest, "from": other.repository})
        answer = await self._client.write("POST", self.reference, self._path("blobs", f"uploads/?{asked}"), kind=f"PUSH from {other.repository}")
        return answer.status_code == _MADE

    async def _put(self, blob: Blob, body: Body) -> None:
        answer = await self._upload(blob, body)
        for _ in range(_TRIES - 1):
            if answer.status_code != _MOVED and answer.status_code != 404:
                break
            answer = await self._upload(blob, body)  # the registry lost the upload
        if answer.status_code != _MADE:
            raise PushRefused(answer)

    async def _upload(self, blob: Blob, body: Body) -> httpx.Response:
        """Send a blob in one piece; return the registry's last word."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(blob.size)}
        answer = await self._client.write("POST", self.reference, self._path("blobs", "uploads/"), body=lambda: b"")
        if answer.status_code == _ACCEPTED:
            answer = await self._client.write("PATCH", self.reference, _location(answer), headers=headers, body=body)
        if answer.status_code not in {_ACCEPTED, 204}:
            return answer
        try:
            place = str(httpx.URL(_location(answer)).copy_merge_params({"digest": blob.digest}))
        except (httpx.InvalidURL, ValueError) as error:
            raise PushRefused(answer) from error
        return await self._client.write("PUT", self.reference, place, body=lambda: b"")

    async def _read(self, path: str) -> httpx.Response | None:
        answer = await self._client.ask("GET", self.reference, path, MANIFEST_TYPES)
        if answer.status_code in {_THERE, 404}:
            return answer if answer.status_code == _THERE else None
        raise PushRefused(answer)

    def _path(self, kind: str, what: str) -> str:
        return f"{self.reference.repository}/{kind}/{what}"


def _location(answer: httpx.Response) -> str:
    """Return where an upload goes on; raises `PushRefused` if the registry does not say."""
    place = answer.headers.get("location")
    if not place:
        raise PushRefused(answer)
    return str(place)


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
