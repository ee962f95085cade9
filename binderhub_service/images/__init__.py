"""Is it there? One file per kind of store that images are kept in."""

from __future__ import annotations

from .base import Images, StoredImage

__all__ = ["Images", "StoredImage"]
