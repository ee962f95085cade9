"""Which storage buildah is told to use, what the log says, and which layers of an image were pulled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.clients.oci import Blob
from binderhub_service.worker.recipes.buildah_storage import PulledLayer, choose_storage, pulled_layers

FELL_BACK = "This node does not allow overlay as storage of layers, so vfs is used, which needs more space and time."


@pytest.mark.parametrize(
    ("allowed", "wanted", "used", "said"),
    [
        ({"overlay", "vfs"}, "overlay", "overlay", ["Layers are kept by overlay."]),
        ({"overlay", "vfs"}, "vfs", "vfs", ["Layers are kept by vfs."]),
        ({"vfs"}, "overlay", "vfs", [FELL_BACK, "Layers are kept by vfs."]),
    ],
)
def test_the_driver_that_is_wanted_is_used_where_it_is_allowed_and_the_log_says_so(
    tmp_path: Path, allowed: set[str], wanted: str, used: str, said: list[str]
) -> None:
    configuration = tmp_path / "storage.conf"

    def info() -> str:
        driver = configuration.read_text().partition('driver = "')[2].partition('"')[0]
        return json.dumps({"store": {"GraphDriverName": driver}}) if driver in allowed else "Error: overlay is not supported"

    assert choose_storage(wanted, configuration, info) == said
    assert f'driver = "{used}"' in configuration.read_text()


def record(name: str, parent: str, **more: Any) -> dict[str, Any]:
    """Return what the storage notes of a layer; `name` is a digit."""
    return {"id": name, "parent": parent, "diff-digest": f"sha256:{name * 64}", "diff-size": 10, **more}


def packed(letter: str, compression: int) -> dict[str, Any]:
    return {"compressed-diff-digest": f"sha256:{letter * 64}", "compressed-size": 5, "compression": compression}


def noted(storage: Path, images: Any, layers: Any) -> None:
    for folder, content in (("images", images), ("layers", layers)):
        (storage / f"overlay-{folder}").mkdir(parents=True, exist_ok=True)
        (storage / f"overlay-{folder}" / f"{folder}.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_layers_are_known_as_they_were_pulled_and_by_the_images_that_have_them(tmp_path: Path) -> None:
    """What was made here was never packed, and what is of another image does not matter."""
    made = record("4", "3", **packed("4", 0))
    noted(
        tmp_path,
        [
            {"names": ["localhost/made:1"], "layer": "4"},
            {"names": ["localhost/other:1", "registry.example.org/base:2"], "layer": "3"},
            {"layer": "2"},
            {"names": ["registry.example.org/base:1"], "layer": "1"},
            {"names": ["registry.example.org/stranger:1"], "layer": "5"},
        ],
        [record("1", "", **packed("a", 2)), record("2", "1", **packed("b", 4)), record("3", "2", **packed("c", 3)), made, record("5", "1")],
    )
    newer, older = "registry.example.org/base:2", "registry.example.org/base:1"
    assert list(pulled_layers("made:1", tmp_path)) == [
        PulledLayer(Blob(f"sha256:{'2' * 64}", 10), Blob(f"sha256:{'b' * 64}", 5), "zstd", (newer,)),
        PulledLayer(Blob(f"sha256:{'1' * 64}", 10), Blob(f"sha256:{'a' * 64}", 5), "gzip", (newer, older)),
    ]
    assert list(pulled_layers("nothing:1", tmp_path)) == []


@pytest.mark.parametrize(
    ("images", "layers"),
    [
        ("{", "[]"),
        ("3", "3"),
        ([3], [3]),
        ([{"names": ["localhost/made:1"], "layer": "1"}], [{"id": "1", "parent": "1", "compression": 2}]),
        ([{"names": ["localhost/made:1"], "layer": "1"}], [record("1", "1", **packed("../x", 2))]),
        ([{"names": ["localhost/made:1"]}], "{}"),
    ],
)
def test_no_layer_is_known_from_records_that_make_no_sense(tmp_path: Path, images: Any, layers: Any) -> None:
    noted(tmp_path, images, layers)
    assert list(pulled_layers("made:1", tmp_path)) == []
    assert list(pulled_layers("made:1", tmp_path / "nowhere")) == []
