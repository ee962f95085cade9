"""``api/repoproviders``: how forms ask for a repository."""

from __future__ import annotations

from typing import Any

from ..base import ApiHandler


class RepoProvidersHandler(ApiHandler):
    """The providers, as forms show them."""

    public = True

    async def get(self) -> None:
        """Answer with a list, in the operator's order."""
        self.finish_json([provider.display().as_dict(provider.name) for provider in self.context.providers if provider.is_offered])


def provider_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/repoproviders", RepoProvidersHandler)]
