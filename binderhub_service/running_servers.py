"""How many servers there are, as the hub knows them; for quotas."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import urlencode

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest

from .builds.launch_quota import RunningServers
from .common.json_object import json_object
from .errors import Unavailable

_PAGE = 200
_SECONDS = 20.0
_PAGINATED = "application/jupyterhub-pagination+json"


class HubServers:
    """Counts the servers that run or start, by the hub's REST API.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        token: the service's own; it needs the scopes ``list:users`` and ``read:servers``.
    """

    def __init__(self, hub_api_url: str, token: str) -> None:
        self._url = f"{hub_api_url.rstrip('/')}/users"
        self._token = token

    async def count(self, *repos: str) -> RunningServers:
        """Return how many there are, and how many of them are of one repository.

        Args:
            repos: the repository's addresses, as the options of its servers may hold them: the canonical one and what git clones.

        Raises:
            Unavailable: the hub did not answer, or does not let the service count.
        """
        total = of_repo = 0
        async for user in self._active_users():
            for server in _objects(_object(user.get("servers")).values()):
                options = _object(server.get("user_options"))
                total += 1
                of_repo += bool({options.get("repo"), options.get("repo_url")} & set(repos))
        return RunningServers(total, of_repo)

    async def _active_users(self) -> AsyncIterator[dict[str, Any]]:
        offset: int | None = 0
        while offset is not None:
            page = await self._page(offset)
            for user in _objects(page.get("items")):
                yield user
            following = _object(_object(page.get("_pagination")).get("next")).get("offset")
            offset = following if isinstance(following, int) and following > offset else None

    async def _page(self, offset: int) -> dict[str, Any]:
        query = urlencode({"state": "active", "offset": offset, "limit": _PAGE})
        headers = {"Authorization": f"token {self._token}", "Accept": _PAGINATED}
        request = HTTPRequest(f"{self._url}?{query}", headers=headers, connect_timeout=_SECONDS, request_timeout=_SECONDS)
        client = AsyncHTTPClient(force_instance=True)
        try:
            answer = await client.fetch(request)
            return json_object(answer.body)
        except (HTTPClientError, OSError, ValueError) as error:
            raise Unavailable("The hub did not say how many servers there are.", code="hub_unavailable", hint="Try again in a moment.") from error
        finally:
            client.close()


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _objects(values: Any) -> Iterator[dict[str, Any]]:
    return (item for item in values or () if isinstance(item, dict))
