"""Where the hub sends people back to who have signed in."""

from __future__ import annotations

from typing import Any

from ..hub_auth import HubOAuthCallbackHandler


class SignedInHandler(HubOAuthCallbackHandler):
    """JupyterHub's handler, but that it never blocks the loop to find out who is asking."""

    async def prepare(self) -> None:
        """Find out who is asking, for those who come with an old state and are signed in already."""
        self.current_user = await self.hub_auth.get_user(self, sync=False)

    def get_current_user(self) -> Any:
        """Know nobody unless `prepare` does."""
        return None


def sign_in_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}oauth_callback", SignedInHandler)]
