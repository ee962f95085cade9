"""What an operator can set of the APIs of older services."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LegacySettings:
    """Which APIs of older services there are, and who may use them.

    Attributes:
        binder_build, registry: whether the API is there.
        api_key: a key beside the hub's tokens; empty for none.
    """

    binder_build: bool = False
    registry: bool = False
    api_key: str = ""
