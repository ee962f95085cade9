"""HTTP APIs that answer in JSON, asked for few and small things."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from ..clients.trust import trusted
from ..common.json_object import json_object
from ..common.refs import SHA
from ..errors import Unavailable

_TIMEOUT = httpx.Timeout(20.0, connect=10.0)
_MAX_BYTES = 32 * 1024**2
_FIRST_TROUBLE = 500


class WebApi:
    """Asks one API.

    Args:
        url: what all its addresses begin with.
        headers: sent with every question; they may hold a token.
        login: user and password, for basic authentication.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None = None, login: tuple[str, str] | None = None) -> None:
        self._url = url.rstrip("/")
        self._headers = {"User-Agent": "binderhub-service", **(headers or {})}
        self._login = login

    @property
    def host(self) -> str:
        """Whom it asks, for messages."""
        return urlsplit(self._url).hostname or self._url

    async def get(self, path: str, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """Return the answer to a question; 1xx to 4xx are left to the caller.

        Args:
            path: begins with a slash; escaped.

        Raises:
            Unavailable: there was no answer in time, or it is too long, or its status is 500 or more.
        """
        try:
            return await self._answer(path, {**self._headers, **(headers or {})})
        except httpx.TimeoutException as error:
            raise Unavailable(f"{self.host} did not answer in time.", code="provider_timeout", hint="Try again in a moment.") from error
        except (httpx.HTTPError, OSError) as error:
            raise self.trouble("could not be reached") from error

    async def _answer(self, path: str, headers: Mapping[str, str]) -> httpx.Response:
        async with (
            httpx.AsyncClient(timeout=_TIMEOUT, verify=trusted(), auth=self._login, follow_redirects=True, max_redirects=3) as client,
            client.stream("GET", f"{self._url}{path}", headers=headers) as response,
        ):
            if response.status_code >= _FIRST_TROUBLE:
                raise self.trouble(f"answered {response.status_code}")
            body = b""
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > _MAX_BYTES:
                    raise self.trouble("said more than makes sense")
            return httpx.Response(response.status_code, headers=_plain(response.headers), content=body)

    def json_of(self, response: httpx.Response) -> dict[str, Any]:
        """Return the JSON object in an answer.

        Raises:
            Unavailable: it is something else.
        """
        try:
            return json_object(response.content)
        except ValueError as error:
            raise self.trouble("did not answer with a JSON object") from error

    def commit_in(self, value: Any) -> str:
        """Return the commit that an answer names.

        Raises:
            Unavailable: it is no commit.
        """
        if not isinstance(value, str) or not SHA.fullmatch(value):
            raise self.trouble("named no commit")
        return value

    def trouble(self, what: str) -> Unavailable:
        """Return the error that says what is wrong with the API."""
        return Unavailable(f"{self.host} {what}.", code="provider_unavailable", hint="Try again in a moment.")


def _plain(headers: httpx.Headers) -> dict[str, str]:
    """Return headers that fit a body that is decoded already."""
    return {name: value for name, value in headers.items() if name not in {"content-encoding", "content-length", "transfer-encoding"}}
