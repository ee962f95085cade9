"""What people should know before they ask for a repository: what is announced, that no build begins, that the service is away."""

from __future__ import annotations

import asyncio

from jupyterhub.spawner import Spawner

from binder_client.answers import ServiceError
from binder_client.client import BuildClient

from .build_token import build_token
from .prepared import NOTHING_PREPARED, PreparedList, prepared_of
from .rejection import Rejection

# For how long a form waits for them.
_FORM_SECONDS = 3
_SLOW = "The build service does not answer in time. Servers from repositories may take long to start, or not start at all."


async def notices_of(client: BuildClient) -> list[str]:
    """Return the service's notices, in sentences.

    Raises:
        ServiceError: the service refuses, or stays away longer than the client's patience.
    """
    answer = await client.ask_object_if_known("notices")
    return [str(notice) for notice in answer.get("notices", [])]


async def told_to_form(spawner: Spawner, binder_url: str) -> tuple[list[str], PreparedList]:
    """Return what the spawn form should say, and what may be picked in it, by asking as the spawner's user; that the service is away is said, too.

    Args:
        binder_url: where the hub reaches the service.
    """
    try:
        with build_token(spawner, 10 * _FORM_SECONDS) as token:
            async with asyncio.timeout(_FORM_SECONDS), BuildClient(binder_url, token, patience_seconds=0) as client:
                return await notices_of(client), await prepared_of(client)
    except Rejection as rejection:
        return [rejection.jupyterhub_message], NOTHING_PREPARED
    except ServiceError as error:
        return [f"{error.message} {error.hint}".strip()], NOTHING_PREPARED
    except TimeoutError:
        return [_SLOW], NOTHING_PREPARED
