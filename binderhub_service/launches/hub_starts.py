"""The start of a person's server by the hub's REST API, and what the hub's answers to it mean."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from tornado.httpclient import HTTPResponse

from ..clients.hub import ask_hub, escaped, object_of, server_path
from ..errors import (
    BinderError,
    BuildFailed,
    Conflict,
    InvalidRequest,
    NotAllowed,
    NotFound,
    TooMany,
    Unavailable,
)

_DIGITS = 7
_RETRY_AFTER_SECONDS = 10
# How JupyterHub's own refusals of a token begin, in 5.5 and 6.1.
_OF_THE_TOKEN = ("Action is not authorized", "Missing or invalid credentials")
_AS_MANY_AS_MAY_BE = "already has the maximum of"  # the hub goes on: "2 named servers.  One must be deleted before a new server can be created"


class StartFailed(BuildFailed):
    """The hub tried to start a server and could not; another attempt may succeed."""

    code = "launch_failed"


class HubStarts:
    """Has the hub start servers, with the token of the person whose they are.

    Args:
        hub_api_url: the hub's REST API, e.g. ``http://127.0.0.1:8081/hub/api``.
        answer_seconds: how long the hub's own answer is waited for where the server is on its way: it waits for quick starts itself,
            by default up to 10 seconds.
        timeout_seconds: how long the hub may take to answer.
    """

    def __init__(self, hub_api_url: str, *, answer_seconds: float, timeout_seconds: float) -> None:
        self._hub_api_url = hub_api_url.rstrip("/")
        self._answer_seconds = answer_seconds
        self._timeout_seconds = timeout_seconds
        self._unread: set[asyncio.Task[HTTPResponse]] = set()

    async def start(self, token: str, user_name: str, server: str, options: Mapping[str, Any], or_not: str = "") -> bool | None:
        """Have the hub start a server; return whether it ran before, or None if the hub refuses with a sentence that has `or_not` in it."""
        asking = asyncio.create_task(self._ask("POST", server_path(user_name, server), token, options))
        if await self._is_taken(asking, token, user_name, server):
            return False
        answer = await asking
        if answer.code in {201, 202}:
            return False
        state = await self._state(token, user_name, server) if answer.code == 400 else {}  # as it answers any other refusal
        if not server and (state.get("ready") or state.get("pending") == "spawn"):
            _check_is_of(state, options)
        if state.get("ready"):
            return True
        if state.get("pending") == "spawn":
            return False
        if or_not and or_not in str(object_of(answer).get("message")):
            return None
        raise _error_from(answer)

    async def _is_taken(self, asking: asyncio.Task[HTTPResponse], token: str, user_name: str, server: str) -> bool:
        """Say whether the hub has not answered yet and says that the server is on its way; what it answers then is in the start's progress, too."""
        done, _ = await asyncio.wait({asking}, timeout=self._answer_seconds)
        if done or (await self.servers(token, user_name)).get(server, {}).get("pending") != "spawn" or asking.done():
            return False
        self._unread.add(asking)
        asking.add_done_callback(self._forget)
        return True

    def _forget(self, asked: asyncio.Task[HTTPResponse]) -> None:
        self._unread.discard(asked)
        if not asked.cancelled():
            asked.exception()  # so that nobody misses it

    async def _state(self, token: str, user_name: str, server: str) -> dict[str, Any]:
        """Return what the hub says about a server; empty if it says nothing.

        Raises:
            Conflict: the server is being stopped.
        """
        state = (await self.servers(token, user_name)).get(server, {})
        if state.get("pending") == "stop":
            raise Conflict("The server for this repository is being stopped.", code="server_stopping", hint="Try again in a few seconds.")
        return state

    async def servers(self, token: str, user_name: str) -> dict[str, dict[str, Any]]:
        """Return the person's servers by name, also those that do not run; none if the token may not see them."""
        answer = await self._ask("GET", f"/users/{escaped(user_name)}?include_stopped_servers", token)
        servers = object_of(answer).get("servers") if answer.code == 200 else None
        return {name: state for name, state in servers.items() if isinstance(state, dict)} if isinstance(servers, dict) else {}

    async def _ask(self, method: str, path: str, token: str, body: Mapping[str, Any] | None = None) -> HTTPResponse:
        return await ask_hub(method, self._hub_api_url + path, token, seconds=self._timeout_seconds, body=body)


def _check_is_of(state: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise `Conflict` if a person's one server was started for something else."""
    given = state.get("user_options")
    if not isinstance(given, dict) or any(given.get(name) != options[name] for name in ("repo", "ref")):
        raise Conflict(
            "Your server runs something else, and this hub lets everybody have one.",
            code="other_server_runs",
            hint="Stop it in the hub's control panel, then launch again.",
        )


def _error_from(answer: HTTPResponse) -> BinderError:
    """Return what a refusal of the hub means: of its own, or of the spawner's, whose sentence says why the server cannot be started."""
    told = str(object_of(answer).get("message") or answer.reason)
    is_told_why = told != answer.reason
    if answer.code in {401, 403} and (not is_told_why or told.startswith(_OF_THE_TOKEN)):
        return NotAllowed("You may not start servers with this token.", hint="It needs the scope servers (for yourself: servers!user).")
    if answer.code in {401, 403}:
        return NotAllowed(f"The server may not be started: {told}")
    if answer.code == 404 and not is_told_why:
        return NotFound("The hub does not know you as somebody who has servers.", code="no_such_user")
    if answer.code == 404:
        return NotFound(f"The server cannot be started: {told}", code="launch_refused")
    if answer.code == 429:
        seconds = answer.headers.get("Retry-After", "")
        wait = int(seconds) if seconds.isdecimal() and len(seconds) < _DIGITS else _RETRY_AFTER_SECONDS
        return TooMany(f"The hub starts many servers right now: {told}", retry_after_seconds=wait, hint="Try again in a moment.")
    if answer.code == 400 and _AS_MANY_AS_MAY_BE in told:
        return Conflict(told, code="too_many_servers")
    if answer.code == 400:
        return InvalidRequest(f"The hub refused the server: {told}", code="launch_refused")
    if answer.code == 500:
        return StartFailed(f"The hub could not start the server: {told}", hint="Try again; the hub's home page shows more.")
    if answer.code in {409, 422}:  # the spawner says what can be done
        return BuildFailed(f"The hub could not start the server: {told}", code="launch_failed")
    return Unavailable(f"The hub cannot start servers right now: {told}", code="hub_unavailable", hint="Try again in a moment.")
