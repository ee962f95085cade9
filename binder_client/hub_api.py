"""What the hub itself is asked: who the person is, which servers they have, and to stop one."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import quote

import httpx
import httpx_sse

from binderhub_service.common.json_object import json_object

from .answers import ServiceError
from .client import trusted_by

UNKNOWN_TOKEN = "unknown_token"  # noqa: S105
_SECONDS = 30  # the hub waits up to 10 s for a server's end


@dataclass(frozen=True)
class Person:
    """Who a token is of.

    Attributes:
        scopes: what the token may, as the hub writes it: ``servers!user=ada``.
        servers: the person's servers that run or are about to, by name, as the hub describes them; None if the token may not see them.
    """

    name: str
    scopes: frozenset[str]
    servers: Mapping[str, Mapping[str, Any]] | None

    def may(self, scope: str) -> bool:
        """Say whether the token may what a scope such as ``servers!user`` gives."""
        plain = scope.removesuffix("!user")
        wider = plain.partition("!")[0]
        return not self.scopes.isdisjoint({scope, plain, wider, f"{plain}!user={self.name}"})


class HubApi:
    """A conversation with a hub's REST API at `api_url`, on behalf of the owner of `token`; use it in ``async with``."""

    def __init__(self, api_url: str, token: str) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"{api_url}/",
            headers={"Authorization": f"token {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(_SECONDS, connect=5),
            verify=trusted_by(api_url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def person(self) -> Person:
        """Return whose the token is.

        Raises:
            ServiceError: the hub does not know the token (``unknown_token``), or does not answer as a hub does.
        """
        response = await self._ask("GET", "user")
        if response.status_code in {401, 403}:
            raise ServiceError(response.status_code, UNKNOWN_TOKEN, "The hub does not know this token, or it has expired.")
        try:
            told = json_object(response.text) if response.is_success else {}
        except ValueError:
            told = {}
        if not isinstance(told.get("name"), str):
            raise ServiceError(response.status_code, "unexpected_answer", "There is no hub at this address.", "Check the address.")
        servers = told.get("servers")
        return Person(told["name"], frozenset(map(str, told.get("scopes") or ())), servers if isinstance(servers, dict) else None)

    async def stop(self, person: str, server: str) -> bool:
        """Stop a server; return whether it has ended already, for it may take a while.

        Args:
            server: its name; empty for the person's default server.

        Raises:
            ServiceError: the hub refuses, or does not answer.
        """
        path = f"users/{quote(person, safe='@~')}/" + (f"servers/{quote(server, safe='@~')}" if server else "server")
        response = await self._ask("DELETE", path)
        if not response.is_success:
            raise ServiceError(response.status_code, "hub_refused", f"The hub does not stop the server: {_told(response)}")
        return response.status_code != httpx.codes.ACCEPTED

    async def progress(self, person: str, server: str) -> AsyncGenerator[dict[str, Any], None]:
        """Yield what the hub tells of a server's start; the last says ``ready`` or ``failed``.

        Raises:
            ServiceError: the hub refuses, breaks off, or does not answer.
        """
        path = f"users/{quote(person, safe='@~')}/servers/{quote(server, safe='@~')}/progress"
        try:
            async with httpx_sse.aconnect_sse(self._http, "GET", path) as source:
                if not source.response.is_success:
                    await source.response.aread()
                    raise ServiceError(source.response.status_code, "hub_refused", f"The hub does not tell of the server: {_told(source.response)}")
                async for sent in source.aiter_sse():
                    if sent.data:
                        yield json_object(sent.data)
        except (httpx.TransportError, httpx_sse.SSEError, ValueError) as error:
            raise _silent() from error

    async def _ask(self, method: str, path: str) -> httpx.Response:
        try:
            return await self._http.request(method, path)
        except httpx.TransportError as error:
            raise _silent() from error


def _silent() -> ServiceError:
    return ServiceError(0, "service_unavailable", "The hub does not answer.", "Check the address, or try again in a minute.")


def _told(response: httpx.Response) -> str:
    """Return the hub's own words for a refusal."""
    try:
        return str(json_object(response.text).get("message") or response.reason_phrase)
    except ValueError:
        return response.reason_phrase
