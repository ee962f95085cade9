"""Which storage buildah is told to use, and what the log says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from binderhub_service.worker.recipes.buildah_storage import choose_storage

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
