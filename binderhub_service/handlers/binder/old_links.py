"""``repo/<user>/<repository>``: links from before there were providers."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

from ..pages import PageHandler


class OldLinkHandler(PageHandler):
    """Leads to the link of today."""

    async def get(self) -> None:
        """Redirect to the branch ``master`` on GitHub, with the rest of the path as what to open."""
        user, repository, *rest = self.request.path.removeprefix(f"{self.prefix}repo/").split("/", 2)
        path = unquote("/".join(rest))
        query = f"?urlpath={quote(f'/{path}', safe='')}" if path.strip("/") else ""
        self.redirect(f"{self.prefix}v2/gh/{user}/{repository}/master{query}")


def old_link_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}repo/[^/]+/[^/]+(?:/.*)?", OldLinkHandler)]
