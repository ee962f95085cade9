"""Files that people gave instead of a repository, on their way from the service's disk to a build's pod: the registry has them meanwhile.

Pods reach the registry and have a login for it; they reach no disk and no port of the service. A file's name in the registry is its SHA-256,
which the pod checks, and a service that is killed on the way begins anew.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from ...clients.contents import GIVEN, Contents
from ...clients.credentials import Login
from ...clients.oci import NOTHING, Blob, manifest_of_file
from ...clients.registry import RegistryClient
from ...clients.registry_writer import PushRefused, RegistryWriter
from ...errors import BinderError, BuildFailed, NotFound
from ...images.registry import RegistryImages
from ...models import Build
from ...names import given_name
from ...worker.recipes.pushing import push_error

log = logging.getLogger("binderhub_service")


class GivenFiles:
    """Hands files to pods.

    Args:
        contents: the files on the service's disk.
        client: asks the registry; what made it closes it.
        prefix: comes before every image's name.
    """

    def __init__(self, contents: Contents, client: RegistryClient, prefix: str) -> None:
        self._contents = contents
        self._client = client
        self._prefix = prefix
        self._images = RegistryImages(client, prefix)

    async def hand_over(self, build: Build, login: Login | None) -> None:
        """Let the registry have the file that a build is about; nothing happens for a repository.

        Args:
            login: what the registry is shown, for the words of a refusal.

        Raises:
            BuildFailed: the file is not kept any more, or the registry does not take it.
            Unavailable: the registry could not be asked.
        """
        if not _is_given(build):
            return
        try:
            file = await asyncio.to_thread(self._contents.use, build.source.commit)
        except NotFound as error:
            raise BuildFailed(error.message, code=error.code, hint=error.hint) from error
        writer = RegistryWriter(self._client, given_name(self._prefix, build.id))
        blob = Blob(f"sha256:{build.source.commit}", file.stat().st_size)
        try:
            if not await writer.has(blob):
                await writer.put_file(blob, file)
            await writer.put_bytes(Blob.of(NOTHING), NOTHING)
            await writer.put_manifest(manifest_of_file(blob, build.id))
        except PushRefused as refused:
            raise push_error(refused.message, writer.reference.registry, login) from refused

    async def take_back(self, build: Build) -> None:
        """Let the registry forget a build's file; where that is not possible it stays, and the log says why."""
        if not _is_given(build):
            return
        try:
            await self._images.delete(given_name(self._prefix, build.id))
        except BinderError as error:
            log.info("The registry keeps the file of build %s: %s", build.id, error.message)

    async def take_back_all_but(self, build_ids: Collection[str]) -> None:
        """Let the registry forget the files of builds that are gone."""
        try:
            await self._images.delete_given(build_ids)
        except BinderError as error:
            log.info("The registry keeps files of builds that have ended: %s", error.message)


def _is_given(build: Build) -> bool:
    return build.source.url.startswith(GIVEN)
