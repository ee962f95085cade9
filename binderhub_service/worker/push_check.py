"""May we push there? Asked before an image is built, so that nothing is built for nothing."""

from __future__ import annotations

import asyncio

from ..clients.credentials import Credentials
from ..clients.registry import RegistryClient
from ..clients.registry_writer import PushRefused, RegistryWriter
from .recipes.pushing import push_error


async def check_may_push(client: RegistryClient, credentials: Credentials, name: str) -> None:
    """Raise what pushing an image of this name would raise, if the registry says at once that it refuses.

    Raises:
        BuildFailed: this hub may not push there.
        Unavailable: the registry could not be asked, or the login is wrong.
    """
    writer = RegistryWriter(client, name)
    try:
        await writer.check()
    except PushRefused as refused:
        registry = writer.reference.registry
        login = await asyncio.to_thread(credentials.login_for, registry)
        raise push_error(refused.message, registry, login) from refused
