"""Which servers there are, as the hub knows them; for quotas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

from ..builds.launch_quota import HubServer
from ..clients.hub import ask_hub
from ..common.json_object import json_object
from ..errors import Unavailable

_PAGE = 200
_MAX_PAGES = 5000
_SECONDS = 20.0
_HINT = "Try again in a moment. If it lasts, tell an administrator: the service needs the scopes list:users and read:servers."
_PAGINATED = "application/jupyterhub-pagination+json"


class HubServers:
    """Knows the servers that run or start, by the hub's REST API.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        token: the service's own; it needs the scopes ``list:users`` and ``read:servers``.
    """

    def __init__(self, hub_api_url: str, token: str) -> None:
        self._url = f"{hub_api_url.rstrip('/')}/users"
        self._token = token

    async def count(self) -> int:
        """Return how many there are; raises as `running`."""
        return len(await self.running())

    async def running(self) -> list[HubServer]:
        """Return all of them.

        Raises:
            Unavailable: the hub did not answer, or does not let the service see them.
        """
        return [
            HubServer(str(user.get("name")), name, _repos(_object(server.get("user_options"))), server.get("ready") is True)
            async for user in self._active_users()
            for name, server in _object(user.get("servers")).items()
            if isinstance(server, dict)
        ]

    async def _active_users(self) -> AsyncIterator[dict[str, Any]]:
        offset: int | None = 0
        for _ in range(_MAX_PAGES):
            if offset is None:
                return
            page = await self._page(offset)
            for user in _objects(page.get("items")):
                yield user
            following = _object(_object(page.get("_pagination")).get("next")).get("offset")
            offset = following if isinstance(following, int) and following > offset else None
        raise Unavailable("The hub's list of users has no end.", code="hub_unavailable", hint="Let an administrator look at the hub.")

    async def _page(self, offset: int) -> dict[str, Any]:
        query = urlencode({"state": "active", "offset": offset, "limit": _PAGE})
        answer = await ask_hub("GET", f"{self._url}?{query}", self._token, seconds=_SECONDS, headers={"Accept": _PAGINATED})
        try:
            page = json_object(answer.body) if answer.code == 200 else None
        except ValueError:
            page = None
        if page is None:
            raise Unavailable("The hub did not say how many servers there are.", code="hub_unavailable", hint=_HINT)
        return page


def _repos(options: dict[str, Any]) -> frozenset[str]:
    """Return a repository's addresses in a server's options."""
    return frozenset(value for name in ("repo", "repo_url") if isinstance(value := options.get(name), str) and value)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    return (item for item in (values if isinstance(values, list) else ()) if isinstance(item, dict))
