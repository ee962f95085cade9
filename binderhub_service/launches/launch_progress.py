"""What the hub tells about a server that starts, over its REST API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import httpx
import httpx_sse

from ..clients.hub import server_path
from ..clients.trust import trusted
from ..common.json_object import json_object
from ..errors import BinderError, Unavailable

_SILENCE_SECONDS = 60  # the hub sends something every 8


class LaunchFailed(BinderError):
    """The hub tried to start a server and could not; another attempt may succeed."""

    code = "launch_failed"


async def follow_launch(hub_api_url: str, token: str, user_name: str, server: str, image: str, seconds: float) -> AsyncGenerator[str]:
    """Yield what the hub tells about a server that starts, until it is ready.

    Args:
        token: may read the server.
        image: what it is started from; named where the hub does not say why it did not start.
        seconds: how long it may take.

    Raises:
        LaunchFailed: it did not start, or not in time; the message is the hub's or BinderHub's.
        Unavailable: the hub did not answer, or was cut off before the server was ready.
    """
    deadline = asyncio.get_running_loop().time() + seconds
    address = f"{hub_api_url.rstrip('/')}{server_path(user_name, server)}/progress"
    headers = {"Authorization": f"token {token}"}
    away = Unavailable("The hub stopped telling about the server.", code="hub_unavailable", hint="Try again in a moment.")
    try:
        async with (
            httpx.AsyncClient(timeout=_SILENCE_SECONDS, verify=trusted(), trust_env=False) as client,
            httpx_sse.aconnect_sse(client, "GET", address, headers=headers) as source,
        ):
            if source.response.is_error:
                raise LaunchFailed("The server did not start.")
            events = source.aiter_sse()
            while True:
                async with asyncio.timeout_at(deadline):
                    event = await anext(events, None)
                told = json_object(event.data) if event else {"failed": True}
                if told.get("failed"):
                    raise LaunchFailed(str(told.get("message") or f"Image {image} for user {user_name} failed to launch"))
                if message := told.get("message"):
                    yield str(message)
                if told.get("ready"):
                    return
    except TimeoutError as error:
        raise LaunchFailed(f"Image {image} for user {user_name} took too long to launch") from error
    except (httpx.HTTPError, httpx_sse.SSEError, ValueError) as error:
        raise away from error
