"""How directories of images are laid out, for who makes them and who looks for them; see `environments`."""

from __future__ import annotations

MADE = ".made"
MANIFEST = "image.json"
PUBLISHED = ("images", f"images/{MADE}", "environments", f"environments/{MADE}")
"""The folders, below the state directory, on the way to an image."""
UV_CACHE = "uv-cache"
