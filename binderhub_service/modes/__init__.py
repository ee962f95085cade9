"""What differs between modes: which image store and which builder there are; one file each, imported only when it is the mode."""

from __future__ import annotations

from .base import Mode

__all__ = ["Mode"]
