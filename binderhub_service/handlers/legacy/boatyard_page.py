"""boatyard's page: what to build, then how that goes; its script speaks to the API beside it."""

from __future__ import annotations

import re
from typing import Any

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from ..pages import PageHandler


class OpenedInBrowser(Matcher):
    """Matches requests of browsers that open a path; programs that ask there get the API's answer."""

    def __init__(self, path: str) -> None:
        self._path = re.compile(f"{re.escape(path)}/?")

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return no arguments; None for other requests."""
        return {} if "text/html" in request.headers.get("Accept", "") and self._path.fullmatch(request.path) else None


class BoatyardPageHandler(PageHandler):
    """The page, for everybody who may use the API."""

    def initialize(self, mount: str) -> None:
        """Take where the API lives."""
        self._mount = mount

    async def prepare(self) -> None:
        """Want a login unless the API wants none."""
        if self.context.legacy.boatyard_open:
            self.check_network()
        else:
            await super().prepare()

    async def get(self) -> None:
        """Show it."""
        self.render_page("boatyard.html", api=f"{self._mount}/api/v1/")


def boatyard_page_routes(mount: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for an API that lives at `mount`."""
    return [(OpenedInBrowser(mount), BoatyardPageHandler, {"mount": mount})] if mount else []
