"""The wire: ask the service for a build, follow its event log, say that it is not needed any more, and whatever else it can be asked."""

from __future__ import annotations

import functools
import json
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

import httpx
import httpx_sse

from binderhub_service.common.json_object import json_object

from .answers import Away, ServiceError, away_sentence, nonsense, refusal, unavailable
from .patience import Patience

KEEP_ALIVE_SECONDS = 15


@dataclass(frozen=True)
class BuildEvent:
    """An event of a build: its number 1..n, its kind (``phase``, ``log``, ``queue``, ``end``) and what it tells."""

    number: int
    kind: str
    data: dict[str, Any]


class BuildClient:
    """A conversation with the service at `base_url`, on behalf of the owner of `token`; use it in ``async with``.

    Args:
        base_url: where the service is, e.g. ``http://127.0.0.1:8003/services/binder/``.
        token: an API token of the hub.
        patience_seconds: how long the service may be away, each time, before that is an error; a hub restarts a service meanwhile.
        keep_alive_seconds: how often the service writes at least something into an event log that is being followed.
        is_neighbour: whether the proxies that the environment names are not meant for the service.
        on_away: called with a sentence each time that the service is away and will be asked again.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        patience_seconds: float = 120,
        keep_alive_seconds: float = KEEP_ALIVE_SECONDS,
        is_neighbour: bool = True,
        on_away: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._on_away = on_away
        self._patience_seconds = patience_seconds
        self._silence = httpx.Timeout(10, connect=5, read=2 * keep_alive_seconds)
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/api/",
            headers={"Authorization": f"token {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(10, connect=5, read=4 * keep_alive_seconds),
            trust_env=not is_neighbour,
            verify=trusted_by(base_url),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ensure(self, repo: str, ref: str = "", provider: str = "", *, force: bool = False) -> dict[str, Any]:
        """Ask for a build of a repository at a ref and return it; it is under way or ended, maybe since long ago.

        Args:
            ref: empty for the default branch.
            provider: who understands `repo`; empty to let the address tell.
            force: whether to build even if the image is there.

        Raises:
            ServiceError: the service refuses, or stays away longer than the patience.
        """
        asked = {"repo": repo, "ref": ref, "provider": provider, "force": force}
        return await self.ask_object("POST", "builds", json={name: value for name, value in asked.items() if value})

    async def withdraw(self, build_id: str) -> None:
        """Say that this requester does not need the build any more; it goes on if somebody else does.

        Raises:
            ServiceError: the service refuses, or does not answer at once.
        """
        try:
            await self._ask("DELETE", f"builds/{quote(build_id, safe='')}/ask")
        except Away as error:
            raise unavailable(error) from error

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """Ask whatever the service can be asked, and return the JSON that it answers; None where there is nothing to say.

        Args:
            path: what stands behind ``api/``, percent-escaped.
            more: `params` and `json`, as in httpx.

        Raises:
            ServiceError: the service refuses, stays away longer than the patience, or tells nonsense.
        """
        response = await self._patiently(method, path, **more)
        if response.status_code == HTTPStatus.NO_CONTENT:
            return None
        try:
            return json.loads(response.text)
        except (ValueError, RecursionError) as error:
            raise nonsense(response) from error

    async def ask_object(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """Ask as `ask` does, where the answer has to be a JSON object."""
        response = await self._patiently(method, path, **more)
        try:
            return json_object(response.text)
        except ValueError as error:
            raise nonsense(response) from error

    async def ask_object_if_known(self, path: str) -> dict[str, Any]:
        """GET as `ask_object` does; {} where the service knows no such path, because it is elsewhere and of another version."""
        try:
            return await self.ask_object("GET", path)
        except ServiceError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return {}
            raise

    async def follow(self, build_id: str, after: int = 0, *, on_away: Callable[[], None] = lambda: None) -> AsyncGenerator[BuildEvent, None]:
        """Yield the build's events behind number `after`, each once, in order, up to its ``end``.

        Connections that drop and services that restart are bridged: the event log goes on behind the last event that arrived. A hub's proxy keeps
        the connection though the service behind it was killed, so silence is the end of a connection, too.

        Args:
            on_away: called each time that the connection is gone.

        Raises:
            ServiceError: the service refuses, stays away longer than the patience, or tells nonsense.
        """
        patience = Patience(self._patience_seconds)
        while True:
            cause: Exception | None = None
            try:
                async with aclosing(self._read(build_id, after, patience)) as events:
                    async for event in events:
                        patience.renew()
                        if event.number <= after:
                            continue
                        after = event.number
                        yield event
                        if event.kind == "end":
                            return
            except (Away, httpx.TransportError) as error:
                cause = error
            on_away()
            self._on_away(away_sentence(cause))
            await patience.wait(cause)

    async def _read(self, build_id: str, after: int, patience: Patience) -> AsyncGenerator[BuildEvent, None]:
        path = f"builds/{quote(build_id, safe='')}/events"
        headers = {"Last-Event-ID": str(after)} if after else {}
        async with httpx_sse.aconnect_sse(self._http, "GET", path, headers=headers, timeout=self._silence) as source:
            if source.response.status_code != httpx.codes.OK:
                await source.response.aread()
                raise refusal(source.response)
            patience.connected()
            try:
                async for sent in source.aiter_sse():
                    if not sent.data:  # a comment, behind which the parser repeats the last event's number
                        continue
                    yield BuildEvent(int(sent.id), sent.event, json_object(sent.data))
            except (httpx_sse.SSEError, ValueError) as error:
                raise nonsense(source.response) from error

    async def _patiently(self, method: str, path: str, **more: Any) -> httpx.Response:
        patience = Patience(self._patience_seconds)
        while True:
            try:
                return await self._ask(method, path, **more)
            except Away as error:
                self._on_away(away_sentence(error))
                await patience.wait(error)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            response = await self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise Away from error
        if not response.is_success:
            raise refusal(response)
        return response


def trusted_by(url: str) -> ssl.SSLContext:
    """Return whom to trust at an address: nobody over plain HTTP, since loading the authorities takes longer than asking does."""
    return _trusted() if url.startswith("https:") else _nothing_trusted()


@functools.cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


@functools.cache
def _nothing_trusted() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
