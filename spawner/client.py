"""The spawner's whole knowledge of the wire: ask the service for a build, follow its event log, say that it is not needed any more."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Self
from urllib.parse import quote

import httpx
import httpx_sse

from binderhub_service.common.json_object import json_object

from .options import RepoOptions

KEEP_ALIVE_SECONDS = 15
FIRST_WAIT_SECONDS = 0.25
LONGEST_WAIT_SECONDS = 5.0
LASTING_SECONDS = 1.0
_AWAY = frozenset({502, 503, 504})
_AWAY_CODES = frozenset({"service_starting", "service_stopping"})  # the service's own words for: not yet, or not any more


class ServiceError(Exception):
    """The service said no, or could not be asked.

    Attributes:
        status: the HTTP status of its answer; 0 if there was none.
        code: a stable word for programs, e.g. ``ref_not_found``; ``service_unavailable`` if there was no answer.
        message: one sentence for people.
        hint: what to do about it; may be empty.
        retry_after_seconds: when asking again makes sense, if the service said so.
    """

    def __init__(self, status: int, code: str, message: str, hint: str = "", retry_after_seconds: int | None = None) -> None:
        super().__init__(f"{code} ({status}): {message}")
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.retry_after_seconds = retry_after_seconds


class _Away(Exception):
    """The service did not answer, is starting or stopping, or something in front of it answered; asking again may help."""


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
    """

    def __init__(self, base_url: str, token: str, *, patience_seconds: float = 120, keep_alive_seconds: float = KEEP_ALIVE_SECONDS) -> None:
        self._patience_seconds = patience_seconds
        self._http = httpx.AsyncClient(
            base_url=base_url.rstrip("/") + "/api/",
            headers={"Authorization": f"token {token}", "Accept": "application/json"},
            timeout=httpx.Timeout(10, connect=5, read=4 * keep_alive_seconds),
            # The service is a neighbour: neither the hub's proxies nor its .netrc are meant for it.
            trust_env=False,
            verify=_trusted() if base_url.startswith("https:") else _nothing_trusted(),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def ensure(self, options: RepoOptions) -> dict[str, Any]:
        """Ask for a build of what `options` name and return it; it is under way or ended, maybe since long ago.

        Raises:
            ServiceError: the service refuses, or stays away longer than the patience.
        """
        asked = {name: value for name in ("repo", "ref", "provider") if (value := getattr(options, name))}
        return await self._patiently(lambda: self._ask("POST", "builds", json=asked))

    async def located(self, options: RepoOptions) -> RepoOptions:
        """Return the options with the repository, the ref and the path that a page's address means; others as they are.

        Raises:
            ServiceError: as `ensure`.
        """
        if not options.is_page:
            return options
        found = await self._patiently(lambda: self._ask("POST", "addresses", json={"repo": options.repo, "path": options.path}))
        repo, ref, path = (str(found.get(name, "")) for name in ("repo", "ref", "path"))
        return replace(options, repo=repo, ref=ref, path=path)

    async def withdraw(self, build_id: str) -> None:
        """Say that this requester does not need the build any more; it goes on if somebody else does.

        Raises:
            ServiceError: the service refuses, or does not answer at once.
        """
        try:
            await self._ask("DELETE", f"builds/{quote(build_id, safe='')}/ask")
        except _Away as error:
            raise _unavailable() from error

    async def follow(self, build_id: str, after: int = 0) -> AsyncGenerator[BuildEvent, None]:
        """Yield the build's events behind number `after`, each once, in order, up to its ``end``.

        Connections that drop and services that restart are bridged: the event log goes on behind the last event that arrived.

        Raises:
            ServiceError: the service refuses, stays away longer than the patience, or tells nonsense.
        """
        patience = _Patience(self._patience_seconds)
        while True:
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
            except (_Away, httpx.TransportError) as error:
                await patience.wait(error)
            else:
                await patience.wait(None)

    async def _read(self, build_id: str, after: int, patience: _Patience) -> AsyncGenerator[BuildEvent, None]:
        path = f"builds/{quote(build_id, safe='')}/events"
        headers = {"Last-Event-ID": str(after)} if after else {}
        async with httpx_sse.aconnect_sse(self._http, "GET", path, headers=headers) as source:
            if source.response.status_code != httpx.codes.OK:
                await source.response.aread()
                raise _refusal(source.response)
            patience.connected()
            try:
                async for sent in source.aiter_sse():
                    if not sent.data:  # a comment, behind which the parser repeats the last event's number
                        continue
                    yield BuildEvent(int(sent.id), sent.event, json_object(sent.data))
            except (httpx_sse.SSEError, ValueError) as error:
                raise _nonsense(source.response) from error

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            response = await self._http.request(method, path, **more)
        except httpx.TransportError as error:
            raise _Away from error
        if not response.is_success:
            raise _refusal(response)
        try:
            return json_object(response.text)
        except ValueError as error:
            raise _nonsense(response) from error

    async def _patiently(self, ask: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
        patience = _Patience(self._patience_seconds)
        while True:
            try:
                return await ask()
            except _Away as error:
                await patience.wait(error)


class _Patience:
    """Waits that grow, until `seconds` have passed without an answer.

    A connection that lasted is an answer, though nothing was said on it; a connection that ends at once is none.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._connected_at: float | None = None
        self.renew()

    def connected(self) -> None:
        self._connected_at = asyncio.get_running_loop().time()

    def renew(self) -> None:
        self._end = asyncio.get_running_loop().time() + self._seconds
        self._wait_seconds = FIRST_WAIT_SECONDS

    async def wait(self, cause: BaseException | None) -> None:
        if self._connected_at is not None and asyncio.get_running_loop().time() - self._connected_at >= LASTING_SECONDS:
            self.renew()
        self._connected_at = None
        left_seconds = self._end - asyncio.get_running_loop().time()
        if left_seconds <= 0:
            raise _unavailable() from cause
        await asyncio.sleep(min(self._wait_seconds, left_seconds))
        self._wait_seconds = min(2 * self._wait_seconds, LONGEST_WAIT_SECONDS)


def _refusal(response: httpx.Response) -> Exception:
    """Return what an answer other than success means: the service's own error, or that the service is away or was not the one who answered."""
    try:
        error = json_object(response.text)["error"]
        code, message, hint = error["code"], error["message"], error.get("hint")
    except (ValueError, LookupError, TypeError, AttributeError):
        return _Away(f"HTTP {response.status_code}") if response.status_code in _AWAY else _nonsense(response)
    if code in _AWAY_CODES and response.status_code in _AWAY:
        return _Away(f"{code}: {message}")
    retry_after = response.headers.get("Retry-After", "")
    return ServiceError(response.status_code, str(code), str(message), str(hint or ""), int(retry_after) if retry_after.isdecimal() else None)


def _nonsense(response: httpx.Response) -> ServiceError:
    if response.status_code in {401, 403}:
        return ServiceError(403, "forbidden", "You may not ask for builds here.", "Ask an administrator of this hub for the right to.")
    message = f"The build service's answer (HTTP {response.status_code}) makes no sense."
    return ServiceError(response.status_code, "unexpected_answer", message, "Ask an administrator to look at its log.")


def _unavailable() -> ServiceError:
    hint = "Try again in a minute; if it stays away, ask an administrator to look at its log."
    return ServiceError(0, "service_unavailable", "The build service does not answer.", hint)


@functools.cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


@functools.cache
def _nothing_trusted() -> ssl.SSLContext:
    """Return a context without any authority, for plain HTTP: loading the authorities takes longer than asking does."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
