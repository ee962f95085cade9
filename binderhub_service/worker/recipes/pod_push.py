"""The step of a build pod that pushes: what was built goes to the registry, and the commit's content on top of it where that is shared."""

from __future__ import annotations

import gzip
import hashlib
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from ...clients.credentials import Credentials
from ...clients.oci import Blob, Layer, Layout, config_with, json_in, manifest_with
from ...clients.registry import RegistryClient
from ...clients.registry_writer import PushRefused, RegistryWriter
from ...errors import BuildFailed, Unavailable
from ...models import Phase
from ...names import environment_name, untried_environment_name
from ..job import Job
from ..pod_job import PATIENCE_SECONDS, PodSettings, Untried
from ..reporter import Reporter
from .layer import content_folder, pack
from .layer_cache import STEPS_FILE, config_with_steps, kept_manifest, steps_in
from .pod_plan import CONTENT, ENVIRONMENT, WHOLE, Plan, checked_folder
from .pulled_layers import fetched_file, public_registries
from .pushing import push_error
from .sharing import labels_of, name_of_layers

_TOLD_SECONDS = 2.0
_MEGABYTE = 1_000_000
_CHUNK_BYTES = 1024 * 1024
_COMPRESSION = 6


class Pushing:
    """Pushes what a build made; of what it left, only what is where the plan expects it, under names that it cannot choose.

    Args:
        made: the directory with the layouts that were built.
    """

    def __init__(self, job: Job, settings: PodSettings, made: Path, client: RegistryClient, credentials: Credentials, reporter: Reporter) -> None:
        self._job = job
        self._settings = settings
        self._made = made
        self._client = client
        self._credentials = credentials
        self._reporter = reporter

    async def push(self, plan: Plan) -> Untried | None:
        """Push what the plan says; return what of it is yet to be tried.

        Raises:
            BuildFailed: the registry does not take it.
            Unavailable: the registry could not be asked, or the login is wrong.
        """
        self._reporter.phase(Phase.PUSHING, "Pushing the image")
        if plan.is_whole(self._made):
            return await self._push_whole(plan)
        name = environment_name(self._settings.image_prefix, plan.key)
        base = name if plan.found else await self._push_environment(name, plan)
        await self._push_on_top(base, plan)
        self._reporter.log(f"Put the content of commit {self._job.commit} on top of the environment.")
        untried = Untried(plan.key) if base != name else None
        if untried:
            self._reporter.made()
        if not plan.found:
            await self._keep_layers(ENVIRONMENT, base)
        return untried

    async def _push_whole(self, plan: Plan) -> Untried | None:
        await self._push_layout(Layout(checked_folder(self._made / WHOLE)), self._job.image)
        untried = Untried() if plan.is_tried_last(self._job) else None
        if untried:
            self._reporter.made()
        await self._keep_layers(WHOLE, self._job.image)
        return untried

    async def _push_environment(self, name: str, plan: Plan) -> str:
        """Push a shared environment and return its name, which is another one until it has been tried.

        If another build has pushed the environment meanwhile, and this one is not to replace it, the other one is taken.
        """
        if not self._job.force:
            async with self._registry_of(name) as writer:
                if await writer.manifest():
                    return name
            name = untried_environment_name(self._settings.image_prefix, plan.key, self._job.build_id)
        await self._push_layout(Layout(checked_folder(self._made / ENVIRONMENT)), name)
        return name

    async def _push_layout(self, layout: Layout, name: str) -> None:
        manifest, origins = layout.manifest(), layout.origins()
        self._reporter.log(f"Pushing {name}")
        async with self._registry_of(name) as writer, public_registries(self._settings, PATIENCE_SECONDS) as public:

            async def put(blob: Blob) -> None:
                if origin := origins.get(blob.digest):
                    await writer.put_from(blob, RegistryWriter(public, origin))
                else:
                    await writer.put_file(blob, fetched_file(Path(self._job.root), blob) or layout.path(blob))

            await self._put_all(writer, [*manifest.layers, manifest.config], put)
            await writer.put_manifest(manifest)
        self._reporter.log("Pushed.")

    async def _keep_layers(self, folder: str, pushed: str) -> None:
        """Leave the layers of an image that was pushed for the next build of this repository and ref; a build has not failed if that fails."""
        name = name_of_layers(self._job, self._settings)
        if not name:
            return
        try:
            layout = Layout(checked_folder(self._made / folder))
            whole = layout.manifest()
            config = config_with_steps(json_in(layout.read(whole.config)), steps_in(self._made / STEPS_FILE))
            async with self._registry_of(name) as writer:
                source = RegistryWriter(self._client, pushed)
                await self._put_all(writer, whole.layers, lambda blob: writer.put_from(blob, source))
                await writer.put_bytes(Blob.of(config), config)
                await writer.put_manifest(kept_manifest(whole, Blob.of(config)))
        except (BuildFailed, Unavailable) as error:
            self._reporter.log(f"The layers are not kept for the next build: {error.message}")

    async def _push_on_top(self, environment: str, plan: Plan) -> None:
        """Push an image of a shared environment, the content, and a configuration that joins them."""
        async with self._registry_of(self._job.image) as writer:
            source = RegistryWriter(self._client, environment)
            base = await source.manifest()
            if base is None:
                raise BuildFailed("The environment's image is gone.", code="environment_missing", hint="Ask again; it is made anew.")
            config = json_in(await source.read(base.config))
            with tempfile.TemporaryFile() as packed:
                layer = self._pack(packed, plan, content_folder(config.get("config") or {}))
                self._reporter.log(f"Pushing {self._job.image}")
                written = config_with(config, layer, labels_of(self._job, plan.key), datetime.now(UTC).isoformat().replace("+00:00", "Z"))
                manifest = manifest_with(base, Blob.of(written), layer)
                await self._put_all(writer, base.layers, lambda blob: writer.put_from(blob, source))
                await self._put_all(writer, [layer.blob], lambda blob: writer.put_open(blob, packed))
                await self._put_all(writer, [manifest.config], lambda blob: writer.put_bytes(blob, written))
                await writer.put_manifest(manifest)
        self._reporter.log("Pushed.")

    def _pack(self, packed: IO[bytes], plan: Plan, folder: str) -> Layer:
        """Write the content as a compressed layer."""
        content = checked_folder(Path(self._job.root) / CONTENT)
        with tempfile.TemporaryFile() as plain:
            pack(content, plain, plan.start, self._settings.user_id, folder)
            unpacked = _digest(plain)
            with gzip.GzipFile(filename="", mode="wb", fileobj=packed, compresslevel=_COMPRESSION, mtime=0) as archive:
                for chunk in _chunks(plain):
                    archive.write(chunk)
        return Layer(Blob(_digest(packed), packed.seek(0, 2)), unpacked)

    async def _put_all(self, writer: RegistryWriter, blobs: Sequence[Blob], put: Callable[[Blob], Awaitable[None]]) -> None:
        """Upload those that are not there, telling now and then how far that is."""
        missing = [blob for blob in blobs if not await writer.has(blob)]
        total, done, next_line = sum(blob.size for blob in missing), 0, time.monotonic() + _TOLD_SECONDS
        for blob in missing:
            await put(blob)
            done += blob.size
            if time.monotonic() > next_line:
                next_line = time.monotonic() + _TOLD_SECONDS
                self._reporter.log(f"{done / _MEGABYTE:.0f} of {total / _MEGABYTE:.0f} MB")

    @asynccontextmanager
    async def _registry_of(self, name: str) -> AsyncIterator[RegistryWriter]:
        """Yield what pushes an image; its refusals become errors that people know."""
        writer = RegistryWriter(self._client, name)
        try:
            yield writer
        except PushRefused as refused:
            registry = writer.reference.registry
            self._reporter.log(refused.message)
            raise push_error(refused.message, registry, self._credentials.login_for(registry)) from refused


def _digest(file: IO[bytes]) -> str:
    found = hashlib.sha256()
    for chunk in _chunks(file):
        found.update(chunk)
    return f"sha256:{found.hexdigest()}"


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    return iter(lambda: file.read(_CHUNK_BYTES), b"")
