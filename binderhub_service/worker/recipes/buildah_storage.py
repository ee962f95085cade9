"""How buildah keeps layers: as the settings say or, where the node does not allow that, in the way that works everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from ..pod_job import STORAGE

_EVERYWHERE = "vfs"
_CONFIGURATION = """\
[storage]
driver = "{driver}"
graphroot = "{folder}/storage"
runroot = "{folder}/run"
"""


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
