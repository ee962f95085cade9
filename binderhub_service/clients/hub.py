"""The hub's REST API: one request at a time, and answers of any shape."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse

from ..common.json_object import json_object
from ..errors import Unavailable

_CONNECT_SECONDS = 10.0


async def ask_hub(
    method: str, url: str, token: str, *, seconds: float, body: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> HTTPResponse:
    """Return what the hub answers, whatever its status.

    Args:
        seconds: how long the answer may take.

    Raises:
        Unavailable: there is no answer.
    """
    request = HTTPRequest(
        url,
        method=method,
        headers={"Authorization": f"token {token}", "Content-Type": "application/json", **(headers or {})},
        body=None if body is None else json.dumps(body),
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=seconds,
        follow_redirects=False,
    )
    client = AsyncHTTPClient(force_instance=True)  # not the shared one, which lets ten requests wait for each other
    try:
        return await client.fetch(request, raise_error=False)
    except (HTTPClientError, OSError) as error:
        raise Unavailable("The hub did not answer.", code="hub_unavailable", hint="Try again in a moment.") from error
    finally:
        client.close()


def escaped(name: str) -> str:
    """Return a user's or a server's name as the hub writes it in URLs."""
    return quote(name, safe="@~")


def server_path(user_name: str, server: str) -> str:
    """Return the path of a person's server in the hub's API; the default server has no name."""
    user = f"/users/{escaped(user_name)}"
    return f"{user}/servers/{escaped(server)}" if server else f"{user}/server"


def object_of(answer: HTTPResponse) -> dict[str, Any]:
    """Return the JSON object that an answer is; an empty one if it is something else."""
    try:
        return json_object(answer.body)
    except ValueError:
        return {}
