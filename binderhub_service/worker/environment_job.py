"""What the service and a build process share in embedded mode: how environments are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class EnvironmentSettings:
    """What shapes every environment.

    Attributes:
        base: requirements that are part of every environment.
        python: the Python version where a repository asks for none, e.g. ``3.12``.
        uv: the uv program.
    """

    base: Sequence[str]
    python: str
    uv: str

    def as_text(self) -> str:
        """Return the settings as they enter the names of images and the keys of environments."""
        return json.dumps([self.base, self.python])
