"""uv's cache of the person who runs the tests: state directories are new each time, and would fetch everything anew."""

from __future__ import annotations

import os
from pathlib import Path


def share_uv_cache() -> None:
    """Let what is started from here use the cache that uv itself would use, unless another one is named."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("UV_CACHE_DIR", str(cache / "uv"))
