"""``api/addresses``: what a pasted address means."""

from __future__ import annotations

from typing import Any

from ..models import Request
from ..providers import provider_for
from .base import ApiHandler


class AddressesHandler(ApiHandler):
    """Takes addresses apart for forms, as the hub and the other handlers do."""

    async def post(self) -> None:
        """Answer with the repository, the ref and the path; its branches and tags are asked for where the address alone does not tell."""
        body = self.json_body({"repo": str, "ref": str, "path": str})
        asked = Request(repo=body.get("repo", ""), ref=body.get("ref", "").strip())
        request, path = await self.context.builds.located(asked, body.get("path", "").strip(), self.caller, shorthand=True)
        provider_for(request, self.context.providers).canonical_repo(request)  # says what else may be wrong with it
        self.finish_json({"repo": request.repo, "ref": request.ref, "path": path})


def address_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/addresses/?", AddressesHandler)]
