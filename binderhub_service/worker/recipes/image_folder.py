"""An image as a directory that buildah pulls (its transport ``dir``), taken from a registry."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from ...clients.oci import Blob, Manifest, unusable
from ...clients.registry import RegistryClient
from ...clients.registry_writer import RegistryWriter

MAX_CONFIG_BYTES = 4 * 1024 * 1024
_VERSION = "Directory Transport Version: 1.1\n"


async def fetch_image(image: RegistryWriter, client: RegistryClient, manifest: Manifest, folder: Path) -> bytes:
    """Fetch an image's layers into a folder, each a file that is called as `file_of` says; return its configuration.

    Raises:
        BuildFailed: what the registry has makes no sense.
        Unavailable: it could not be asked.
    """
    if manifest.config.size > MAX_CONFIG_BYTES:
        raise unusable("its configuration is too large")
    config = await image.read(manifest.config)
    for blob in manifest.layers:
        await _download(client.blob(image.reference, blob.digest), blob, folder / file_of(blob))
    return config


def write_image(manifest: Manifest, folder: Path, config: bytes) -> None:
    """Complete a folder with layers to an image."""
    (folder / "version").write_text(_VERSION)
    (folder / file_of(Blob.of(config))).write_bytes(config)
    (folder / "manifest.json").write_bytes(manifest.text)


def file_of(blob: Blob) -> str:
    """Return the name of the file with a blob."""
    return blob.digest.partition(":")[2]


async def _download(content: AsyncIterator[bytes], blob: Blob, path: Path) -> None:
    found = hashlib.sha256()
    with path.open("wb") as file:
        async for chunk in content:
            found.update(chunk)
            file.write(chunk)
    if f"sha256:{found.hexdigest()}" != blob.digest:
        raise unusable("a part arrived damaged")
