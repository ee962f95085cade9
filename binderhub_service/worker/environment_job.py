"""What the service and a build process share in embedded mode: how environments are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

FIRST_INDEX = "first-index"


@dataclass(frozen=True)
class EnvironmentSettings:
    """What shapes every environment.

    Attributes:
        base: requirements that are part of every environment.
        python: the Python version where a repository asks for none, e.g. ``3.12``.
        uv: the uv program.
        index_strategy: which of several package indexes a version may come from, in uv's words.
        packages: a folder of wheels that are taken where an index has the same version; empty for none. They do not shape what a server can do.
    """

    base: Sequence[str]
    python: str
    uv: str
    index_strategy: str = FIRST_INDEX
    packages: str = ""

    def as_text(self) -> str:
        """Return the settings as they enter the names of images and the keys of environments."""
        usual = [self.base, self.python]
        return json.dumps(usual if self.index_strategy == FIRST_INDEX else [*usual, self.index_strategy])
