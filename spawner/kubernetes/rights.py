"""What a server's container may."""

from __future__ import annotations

from typing import Any

# Images may name any user. Root without capabilities may no more than the owner of root's files in that image.
LEAST_RIGHTS: dict[str, Any] = {"capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}
