"""Layers of base images go to the registry as they were pulled: `build` leaves them out of what it packs, and says where `push` finds them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ...clients.credentials import Credentials
from ...clients.oci import ORIGINS, Blob, Content, Layout
from ...clients.registry import RegistryClient
from ...clients.registry_writer import RegistryWriter
from ...errors import Unavailable
from ..pod_job import PodSettings
from .base_images import BASES
from .buildah_storage import PulledLayer
from .image_folder import file_of
from .layer_cache import LAYERS

_LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class FoundLayer:
    """A layer that was pulled, and that need not be packed.

    Attributes:
        diff_id: the digest of what is packed in it.
        blob: the layer as it was pulled.
        kind: its media type.
        origin: the name of an image with it, which its registry gives to everybody; empty if `fetch` has left the layer as a file.
    """

    diff_id: Blob
    blob: Blob
    kind: str
    origin: str


@asynccontextmanager
async def public_registries(settings: PodSettings, waits_seconds: Sequence[float] = ()) -> AsyncIterator[RegistryClient]:
    """Yield what asks registries without a login. So no build has layers pushed that its repository could not pull.

    Args:
        waits_seconds: as `RegistryClient` has it; `build` does not wait long, since it can pack a layer itself.
    """
    client = RegistryClient(Credentials(), settings.plain_http_registries, waits_seconds=waits_seconds, endpoints=settings.endpoints())
    try:
        yield client
    finally:
        await client.close()


def fetched_file(work: Path, blob: Blob) -> Path | None:
    """Return the file in which `fetch` has left a layer of a private base image or of an earlier build, if it has."""
    places = [*(work / BASES).glob("*"), work / LAYERS]
    return next((file for place in places if (file := place / file_of(blob)).is_file()), None)


async def find_layers(pulled: Sequence[PulledLayer], settings: PodSettings, work: Path) -> list[FoundLayer]:
    """Return those of an image's layers that can be pushed as they were pulled: as they are to be packed, and to be had once more."""
    found = []
    async with public_registries(settings) as client:
        places = _Places(client, settings.registry_mirrors)
        for layer in pulled:
            if layer.compression == settings.layer_compression:
                origin = "" if fetched_file(work, layer.blob) else await places.origin_of(layer)
                if origin is not None:
                    found.append(FoundLayer(layer.diff_id, layer.blob, f"{_LAYER}+{layer.compression}", origin))
    return found


class _Places:
    """Knows which registry gives a layer, and asks none again that could not be asked."""

    def __init__(self, client: RegistryClient, mirrors: Mapping[str, Sequence[str]]) -> None:
        self._client = client
        self._mirrors = mirrors
        self._away: set[str] = set()

    async def origin_of(self, layer: PulledLayer) -> str | None:
        """Return the name of an image with a layer that can be had without a login, or None."""
        for place in self._places(layer.names):
            try:
                if place not in self._away and await RegistryWriter(self._client, place).gives(layer.blob):
                    return place
            except Unavailable:
                self._away.add(place)
        return None

    def _places(self, names: Sequence[str]) -> Iterator[str]:
        for name in names:
            host, _, rest = name.partition("/")
            yield from (f"{mirror}/{rest}" for mirror in self._mirrors.get(host, ()))
            yield name


def leave_out(layers: Sequence[FoundLayer], layout: Path) -> None:
    """Have buildah leave layers out of an OCI layout that it is yet to write: it packs no layer that is there under its digest."""
    for layer in layers:
        file = _file(layer.diff_id, layout)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()


def describe(layers: Sequence[FoundLayer], layout: Path) -> None:
    """Describe layers that were left out of an OCI layout as they were pulled, and say where they are."""
    manifest = Layout(layout).manifest()
    found = {layer.diff_id.digest: layer for layer in layers}
    described = [_described(found[one["digest"]]) if one["digest"] in found else one for one in manifest.content["layers"]]
    text = json.dumps({**manifest.content, "layers": described}).encode()
    blob = Blob.of(text)
    _file(blob, layout).write_bytes(text)
    index = {"schemaVersion": 2, "manifests": [{"mediaType": manifest.media_type, "digest": blob.digest, "size": blob.size}]}
    (layout / "index.json").write_text(json.dumps(index))
    (layout / ORIGINS).write_text(json.dumps({layer.blob.digest: layer.origin for layer in layers if layer.origin}))
    for layer in layers:
        _file(layer.diff_id, layout).unlink()


def _described(layer: FoundLayer) -> Content:
    return {"mediaType": layer.kind, "digest": layer.blob.digest, "size": layer.blob.size}


def _file(blob: Blob, layout: Path) -> Path:
    return layout / "blobs" / "sha256" / file_of(blob)
