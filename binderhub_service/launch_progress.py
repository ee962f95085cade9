"""What the hub tells about a server that starts, over its REST API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from urllib.parse import quote

import httpx
import httpx_sse

from .errors import BinderError, Unavailable

_SILENCE_SECONDS = 60  # the hub sends something every 8


class LaunchFailed(BinderError):
    """The hub tried to start a server and could not; another attempt may succeed."""

    code = "launch_failed"


async def follow_launch(hub_api_url: str, token: str, user_name: str, server: str) -> AsyncGenerator[str]:
    """Yield what the hub tells about a server that starts, until it is ready.

    Args:
        token: may read the server.

    Raises:
        LaunchFailed: it did not start; the message is the hub's.
        Unavailable: the hub did not answer, or ended the stream before the server was ready.
    """
    address = f"{hub_api_url.rstrip('/')}/users/{quote(user_name, safe='@~')}/servers/{quote(server, safe='@~')}/progress"
    headers = {"Authorization": f"token {token}"}
    away = Unavailable("The hub stopped telling about the server.", code="hub_unavailable", hint="Try again in a moment.")
    try:
        async with (
            httpx.AsyncClient(timeout=_SILENCE_SECONDS, trust_env=False) as client,
            httpx_sse.aconnect_sse(client, "GET", address, headers=headers) as source,
        ):
            if source.response.is_error:
                raise LaunchFailed("The server did not start.")
            async for event in source.aiter_sse():
                told = event.json()
                if told.get("failed"):
                    raise LaunchFailed(str(told.get("message") or "The server did not start."))
                if message := told.get("message"):
                    yield str(message)
                if told.get("ready"):
                    return
    except (httpx.HTTPError, httpx_sse.SSEError, ValueError) as error:
        raise away from error
    raise away
