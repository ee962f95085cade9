"""Which groups of the hub is a person in?"""

from __future__ import annotations

from collections.abc import Collection
from urllib.parse import quote

from cachetools import TTLCache

from ..clients.hub import ask_hub, object_of
from ..errors import Unavailable

_SECONDS = 20.0
_KEPT_SECONDS = 60.0
_KEPT_NAMES = 1000


class HubGroups:
    """Knows groups by the hub's REST API.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        token: the service's own; it needs the scope ``read:users``.
    """

    def __init__(self, hub_api_url: str, token: str) -> None:
        self._url = f"{hub_api_url.rstrip('/')}/users"
        self._token = token
        self._known: TTLCache[str, frozenset[str]] = TTLCache(_KEPT_NAMES, _KEPT_SECONDS)

    async def of(self, name: str) -> Collection[str]:
        """Return the names of a user's groups, as they were at most a minute ago; a service is in none.

        Raises:
            Unavailable: the hub did not tell.
        """
        if name not in self._known:
            answer = await ask_hub("GET", f"{self._url}/{quote(name, safe='@~')}", self._token, seconds=_SECONDS)
            if answer.code not in {200, 404}:
                hint = "Try again in a moment. If it lasts, tell an administrator: the service needs the scope read:users."
                raise Unavailable("The hub did not tell this service which groups you are in.", code="hub_unavailable", hint=hint)
            groups = object_of(answer).get("groups")
            self._known[name] = frozenset(map(str, groups)) if isinstance(groups, list) else frozenset()
        return self._known[name]
