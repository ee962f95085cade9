"""What an operator can set of the APIs of older services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

API_NAMES = ("binder-build", "registry", "boatyard")


@dataclass(frozen=True)
class LegacySettings:
    """Which APIs of older services there are, and who may use them.

    Attributes:
        binder_build, registry, boatyard: whether the API is there.
        boatyard_open: whether boatyard's wants no key.
        api_key: a key beside the hub's tokens; empty for none.
        ports: which APIs, by the names of their paths, are served alone as well, each on a port of its own.
    """

    binder_build: bool = False
    registry: bool = False
    boatyard: bool = False
    boatyard_open: bool = False
    api_key: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The names of those that are there, as in their paths."""
        return [name for name in API_NAMES if getattr(self, name.replace("-", "_"))]
