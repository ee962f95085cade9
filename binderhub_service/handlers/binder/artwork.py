"""Badges and pictures at BinderHub's addresses, and the operator's own files; everybody may read them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tornado import web

from ...settings.pages import PageSettings

_IMAGES = Path(__file__).parents[2] / "static" / "images"


class PublicFileHandler(web.StaticFileHandler):
    """A file that other sites may show."""

    def set_extra_headers(self, path: str) -> None:
        """Let nobody guess another type, and let every site show it."""
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Access-Control-Allow-Origin", "*")


def artwork_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of badges and pictures for a service at `prefix`."""
    return [
        (rf"{prefix}assets/images/(badge\.svg)", PublicFileHandler, {"path": str(_IMAGES)}),
        (rf"{prefix}(badge\.svg|badge_logo\.svg|logo_social\.png)", PublicFileHandler, {"path": str(_IMAGES)}),
    ]


def file_routes(prefix: str, pages: PageSettings) -> list[tuple[Any, ...]]:
    """Return the route of the operator's own files, if there are any."""
    below = pages.extra_static_url_prefix.strip("/")
    return [(rf"{prefix}{re.escape(below)}/(.*)", PublicFileHandler, {"path": pages.extra_static_path})] if pages.extra_static_path else []
