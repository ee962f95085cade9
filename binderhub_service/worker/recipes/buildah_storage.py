"""How buildah keeps layers, as the settings say or, where the node does not allow that, in the way that works everywhere; and which it pulled."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...clients.oci import Blob, Content
from ...errors import BuildFailed
from ..pod_job import GZIP, STORAGE, ZSTD

_EVERYWHERE = "vfs"
_CONFIGURATION = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""
_LOCAL = "localhost/"
_COMPRESSIONS = {"2": GZIP, "4": ZSTD}  # as the storage's records number them


@dataclass(frozen=True)
class PulledLayer:
    """A layer that came from elsewhere.

    Attributes:
        diff_id: the digest of what is packed in it.
        blob: the layer as it came, packed; storage computed its digest from what it got.
        compression: how it is packed.
        names: the images with this layer that were pulled, as far as they have names.
    """

    diff_id: Blob
    blob: Blob
    compression: str
    names: tuple[str, ...]


def choose_storage(wanted: str, configuration: Path, info: Callable[[], str]) -> list[str]:
    """Write buildah's configuration of its storage, and return what the log is to say about it.

    Args:
        wanted: the driver to use if that is possible.
        info: returns what ``buildah info`` says with this configuration, which names the driver that is really used; empty if it fails.
    """
    _write(configuration, wanted)
    used = _driver_in(info())
    if used:
        return [f"Layers are kept by {used}."]
    _write(configuration, _EVERYWHERE)
    return [
        f"This node does not allow {wanted} as storage of layers, so {_EVERYWHERE} is used, which needs more space and time.",
        f"Layers are kept by {_EVERYWHERE}.",
    ]


def _write(configuration: Path, driver: str) -> None:
    configuration.write_text(_CONFIGURATION.format(driver=driver, folder=STORAGE))


def _driver_in(info: str) -> str:
    try:
        return str(json.loads(info)["store"]["GraphDriverName"])
    except (ValueError, LookupError):
        return ""


def pulled_layers(image: str, storage: Path = STORAGE / "storage") -> Iterator[PulledLayer]:
    """Yield the layers of an image that were pulled, the highest first; buildah does not tell them, the records of its storage do.

    Args:
        image: its name without a registry, as what is built here has it.
        storage: the folder of the storage.

    What cannot be understood there is left out.
    """
    for file in storage.glob("*-images/images.json"):
        images = _records(file)
        layers = {str(one.get("id")): one for one in _records(storage / file.parent.name.replace("-images", "-layers") / "layers.json")}
        layer = next((one.get("layer") for one in images if f"{_LOCAL}{image}" in _names(one)), None)
        names: list[str] = []
        while record := layers.pop(str(layer), None):
            names += [name for one in images if one.get("layer") == layer for name in _names(one) if not name.startswith(_LOCAL)]
            yield from _pulled(record, names)
            layer = record.get("parent")


def _pulled(record: Content, names: Sequence[str]) -> Iterator[PulledLayer]:
    """Yield a layer, unless it was made here: then it was never packed."""
    compression = _COMPRESSIONS.get(str(record.get("compression")))
    if compression:
        with suppress(BuildFailed):
            diff_id = Blob.described({"digest": record.get("diff-digest"), "size": record.get("diff-size")})
            blob = Blob.described({"digest": record.get("compressed-diff-digest"), "size": record.get("compressed-size")})
            yield PulledLayer(diff_id, blob, compression, tuple(names))


def _names(image: Content) -> Sequence[str]:
    names = image.get("names")
    return [str(name) for name in names] if isinstance(names, list) else []


def _records(file: Path) -> list[Content]:
    try:
        content = json.loads(file.read_text())
    except (OSError, ValueError):
        return []
    return [one for one in content if isinstance(one, dict)] if isinstance(content, list) else []
