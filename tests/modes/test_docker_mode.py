"""The settings of docker mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.errors import Unavailable
from binderhub_service.modes.docker import DockerMode
from binderhub_service.worker.job import ProcessLimits


def test_layers_cannot_be_kept_without_a_registry(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^DockerMode\.layer_cache needs DockerMode\.registry: that is where layers are kept\.$"):
        DockerMode(layer_cache=True, registry="").make(tmp_path, ProcessLimits())
