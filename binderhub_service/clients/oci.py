"""Images as the OCI specification and Docker describe them: layouts on disk, manifests, a layer on top; pure but for reading files."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.json_object import json_object
from ..errors import BuildFailed

Content = Mapping[str, Any]
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ORIGINS = "origins.json"
"""A file of our own beside a layout's ``index.json``."""
NOTHING = b"{}"
"""The configuration of what is no image, as the OCI image specification has it."""
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_LAYER_TYPES = {
    OCI_MANIFEST: "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.distribution.manifest.v2+json": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_MAX_JSON_BYTES = 4 * 1024 * 1024


@dataclass(frozen=True)
class Blob:
    """A part of an image: its digest and how many bytes it has."""

    digest: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> Blob:
        """Return what describes some bytes."""
        return cls(f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))

    @classmethod
    def described(cls, descriptor: Content) -> Blob:
        """Return the blob that a descriptor names; raises `BuildFailed` if it names none."""
        digest, size = descriptor.get("digest"), descriptor.get("size")
        if not isinstance(digest, str) or not _DIGEST.fullmatch(digest) or not isinstance(size, int):
            raise unusable("a part has no digest")
        return cls(digest, size)


@dataclass(frozen=True)
class Manifest:
    """What an image is made of, and its media type.

    Attributes:
        text: the manifest's bytes, which its digest is of.
    """

    text: bytes
    media_type: str

    @property
    def content(self) -> Content:
        """The manifest itself; raises `BuildFailed`."""
        return json_in(self.text)

    @property
    def config(self) -> Blob:
        """The image's configuration."""
        return Blob.described(self.content.get("config") or {})

    @property
    def layers(self) -> list[Blob]:
        """The image's layers, the lowest first."""
        return [Blob.described(layer) for layer in self.content.get("layers") or ()]


@dataclass(frozen=True)
class Layer:
    """A layer to be put on top: packed, and the digest of what is packed in it."""

    blob: Blob
    unpacked_digest: str


class Layout:
    """An image as a directory, as the OCI image layout specification has it. It may be made to do harm: no link in it is followed."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def manifest(self) -> Manifest:
        """Return the manifest of the one image in it; raises `BuildFailed`."""
        found = json_in(self._read(self._folder / "index.json")).get("manifests") or [{}]
        blob = Blob.described(found[0])
        return Manifest(self._read(self.path(blob)), str(found[0].get("mediaType", OCI_MANIFEST)))

    def origins(self) -> Mapping[str, str]:
        """Return where layers are that were left out: the names of images with them, by the layers' digests; raises `BuildFailed`."""
        path = self._folder / ORIGINS
        found = json_in(self._read(path)) if path.exists() else {}
        return {digest: name for digest, name in found.items() if isinstance(name, str)}

    def path(self, blob: Blob) -> Path:
        """Return the file with a blob; raises `BuildFailed` if it is none."""
        algorithm, _, name = blob.digest.partition(":")
        return self._checked(self._folder / "blobs" / algorithm / name)

    def read(self, blob: Blob) -> bytes:
        """Return a small blob, such as a configuration; raises `BuildFailed`."""
        return self._read(self.path(blob))

    def _read(self, path: Path) -> bytes:
        with self._checked(path).open("rb") as file:
            return file.read(_MAX_JSON_BYTES)

    def _checked(self, path: Path) -> Path:
        above = [path, *path.parents][: len(path.relative_to(self._folder).parts) + 1]
        if any(one.is_symlink() for one in above) or not path.is_file():
            raise unusable("a file is missing")
        return path


def of_this_machine(index: Content) -> Blob:
    """Return the manifest that an index of images for several machines has for this one; raises `BuildFailed`."""
    architecture = _ARCHITECTURES.get(platform.machine(), platform.machine())
    for described in index.get("manifests") or ():
        wanted = described.get("platform") or {}
        if wanted.get("os") == "linux" and wanted.get("architecture") == architecture:
            return Blob.described(described)
    raise unusable(f"there is none for {architecture}")


def config_with(config: Content, layer: Layer, labels: Mapping[str, str], created: str) -> bytes:
    """Return the configuration of an image with one layer and some labels more."""
    inner = dict(config.get("config") or {})
    inner["Labels"] = {**(inner.get("Labels") or {}), **labels}
    rootfs = {"type": "layers", "diff_ids": [*config["rootfs"]["diff_ids"], layer.unpacked_digest]}
    history = [*(config.get("history") or ()), {"created": created, "created_by": "the repository's content"}]
    return json.dumps({**config, "created": created, "config": inner, "rootfs": rootfs, "history": history}).encode()


def manifest_with(base: Manifest, config: Blob, layer: Layer) -> Manifest:
    """Return the manifest of an image with another configuration and one layer more."""
    content = base.content
    described = {"mediaType": _LAYER_TYPES.get(base.media_type, _LAYER_TYPES[OCI_MANIFEST]), "digest": layer.blob.digest, "size": layer.blob.size}
    made = {
        "schemaVersion": 2,
        "mediaType": base.media_type,
        "config": {**content["config"], "digest": config.digest, "size": config.size},
        "layers": [*content["layers"], described],
    }
    return Manifest(json.dumps(made).encode(), base.media_type)


def manifest_of_file(file: Blob, note: str) -> Manifest:
    """Return the manifest of a single file that is no image.

    Args:
        note: a text that the manifest bears, so that other notes make another manifest.
    """
    nothing = Blob.of(NOTHING)
    content = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.binderhub-service.file",
        "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": nothing.digest, "size": nothing.size},
        "layers": [{"mediaType": "application/octet-stream", "digest": file.digest, "size": file.size}],
        "annotations": {"org.opencontainers.image.title": note},
    }
    return Manifest(json.dumps(content).encode(), OCI_MANIFEST)


def json_in(text: bytes) -> Content:
    """Return the object that some bytes are; raises `BuildFailed` if they are none."""
    try:
        return json_object(text)
    except ValueError as error:
        raise unusable("a part of it is no JSON object") from error


def unusable(why: str) -> BuildFailed:
    """Return the error of an image that makes no sense."""
    return BuildFailed(f"The image cannot be used: {why}.", code="image_unusable", hint="Ask again with a forced rebuild; it is made anew.")
