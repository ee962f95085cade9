"""What differs between modes: which image store and which builder there are; one file each, imported only when it is the mode."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator

from ..errors import Unavailable
from .base import Mode

__all__ = ["MODES", "Mode", "installed_modes", "mode_class"]

MODES = ("embedded", "docker", "kubernetes")


def mode_class(name: str) -> type[Mode]:
    """Return the class of a mode, imported now: what other modes need stays out of memory.

    Raises:
        Unavailable: a package that the mode needs is not installed.
    """
    try:
        module = importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as error:
        sentence = f"The mode {name} needs the package {error.name}; install it with: pip install 'binderspawner[{name}]'"
        raise Unavailable(sentence, code="service_starting", hint="Then start the hub again.") from error
    found: type[Mode] = getattr(module, f"{name.capitalize()}Mode")
    return found


def installed_modes() -> Iterator[type[Mode]]:
    """Yield the modes whose packages are installed; the command line and the help know no others."""
    for name in MODES:
        with contextlib.suppress(Unavailable):
            yield mode_class(name)
