"""Files that people gave instead of a repository, as a pod gets them: from the registry, to where `given_content` looks for them."""

from __future__ import annotations

import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ...clients.contents import FOLDER, GIVEN, ContentLimits, Contents
from ...clients.reference import Reference
from ...clients.registry import RegistryClient
from ...errors import BuildFailed
from ...names import given_name
from ..job import Job

_ANY_SIZE = ContentLimits(file_bytes=sys.maxsize)  # the service has limited it, and the pod's disk has a limit of its own


@asynccontextmanager
async def given_at_hand(job: Job, prefix: str, client: RegistryClient) -> AsyncIterator[None]:
    """Have a job's file at hand while the block runs; nothing happens for a repository.

    Args:
        prefix: comes before every image's name.

    Raises:
        BuildFailed: the registry does not have it (any more), or has other bytes.
        Unavailable: the registry could not be asked.
    """
    if job.url.startswith(GIVEN):
        await _take(job, Reference.parse(given_name(prefix, job.build_id)), client)
    try:
        yield
    finally:
        shutil.rmtree(Path(job.root) / FOLDER, ignore_errors=True)


async def _take(job: Job, reference: Reference, client: RegistryClient) -> None:
    digest = f"sha256:{job.commit}"
    answer = await client.ask("HEAD", reference, f"{reference.repository}/blobs/{digest}")
    if answer.status_code != 200:
        raise _gone()
    with Contents(Path(job.root), _ANY_SIZE).writing() as writer:
        async for chunk in client.blob(reference, digest):
            writer.write(chunk)
        if writer.keep() != job.commit:
            raise _gone()


def _gone() -> BuildFailed:
    return BuildFailed("The registry does not have the file that is to be built.", code="content_not_found", hint="Upload it again.")
