"""Users of the hub that the service makes and removes, by the hub's REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tornado.httpclient import HTTPResponse

from ..clients.hub import ask_hub, object_of
from ..errors import Unavailable

_SECONDS = 30.0
_HINT = "Try again in a moment. If it lasts, tell an administrator: the service needs the scopes admin:users, admin:servers and tokens."


class HubUsers:
    """Makes users, and removes them with their servers.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        token: the service's own; it needs the scopes ``admin:users``, ``admin:servers`` and ``tokens``.

    Every method raises `Unavailable` if the hub does not answer, or does not let the service do it.
    """

    def __init__(self, hub_api_url: str, token: str) -> None:
        self._url = f"{hub_api_url.rstrip('/')}/users"
        self.token = token

    async def make(self, name: str) -> bool:
        """Make a user; return whether the name was free."""
        answer = await self._ask("POST", name, "", {})
        if answer.code not in {201, 409}:
            raise _refused(answer)
        return answer.code == 201

    async def new_token(self, name: str) -> str:
        """Return a token that opens the user's servers and may do nothing else."""
        asked = {"note": "handed to the client of a public launch", "scopes": [f"access:servers!user={name}"]}
        answer = await self._ask("POST", name, "/tokens", asked)
        if answer.code != 201:
            raise _refused(answer)
        return str(object_of(answer).get("token", ""))

    async def remove(self, name: str) -> bool:
        """Stop the user's servers and remove the user; return whether the user is gone.

        A server that the hub still starts or stops is left to it: ask again.
        """
        answer = await self._ask("GET", name)
        if answer.code == 404:
            return True
        servers = object_of(answer).get("servers") or {}
        answers = [await self._ask("DELETE", name, f"/servers/{quote(server)}" if server else "/server") for server in servers]
        if any(stopped.code not in {204, 404} for stopped in answers):
            return False
        return (await self._ask("DELETE", name)).code in {204, 404}

    async def _ask(self, method: str, name: str, below: str = "", body: Mapping[str, Any] | None = None) -> HTTPResponse:
        url = f"{self._url}/{quote(name, safe='@~')}{below}"
        return await ask_hub(method, url, self.token, seconds=_SECONDS, body=body)


def _refused(answer: HTTPResponse) -> Unavailable:
    told = object_of(answer).get("message") or answer.reason
    return Unavailable(f"The hub made no temporary user: {told}", code="hub_unavailable", hint=_HINT)
