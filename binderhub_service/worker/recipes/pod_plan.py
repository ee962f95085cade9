"""What the first step of a build pod leaves to the others: the checkout, and what there is to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ...clients.registry import RegistryClient
from ...errors import BuildFailed
from ...images.registry import RegistryImages
from ...models import Phase
from ...names import environment_name
from ..job import Job, write_in_one_step
from ..pod_job import PodSettings
from ..reporter import Reporter
from .content import fetch
from .definition_folder import write_files_alone
from .layer_cache import LAYERS, fetch_layers
from .pod_given import given_at_hand
from .sharing import definition_of, is_shared, shared_key, whole_key

CONTENT = "content"
ENVIRONMENT = "environment"
"""The folder with the files that define a shared environment, and what is built of them."""
WHOLE = "whole"
_PLAN = "plan.json"


@dataclass(frozen=True)
class Plan:
    """What there is to do.

    Attributes:
        key: the shared environment's key; empty if the image is built as a whole.
        whole_key: the key of the environment if it is built as a whole.
        found: whether the registry has the shared environment.
        start: the path of the commit's start script, or None.
    """

    key: str
    whole_key: str
    found: bool = False
    start: str | None = None

    @classmethod
    def read(cls, work: Path) -> Plan:
        """Return the plan that `write` wrote."""
        return cls(**json.loads((work / _PLAN).read_text()))

    def is_whole(self, made: Path) -> bool:
        """Say whether the image is made as a whole; else it is one layer on a shared environment, which is found or in the folder `made`."""
        return not self.key or not (self.found or (made / ENVIRONMENT / "index.json").exists())

    def is_tried_last(self, job: Job) -> bool:
        """Say whether what is made is pushed before it is tried: not where it replaces another image, or need not start."""
        return not self.found and not job.force and not job.is_context

    def write(self, work: Path) -> None:
        """Write the plan so that it is seen whole or not at all."""
        write_in_one_step(work / _PLAN, asdict(self))


async def make_plan(
    job: Job, settings: PodSettings, client: RegistryClient, reporter: Reporter, environment: Mapping[str, str], git_logins: Path | None
) -> None:
    """Check out the commit, find out what there is to do, and write that down; with an engine, its recipe finds out itself.

    Raises:
        BuildFailed: it cannot be fetched, or its environment's definition cannot be understood.
        Unavailable: the registry could not be asked for the environment.
    """
    work = Path(job.root)
    content = work / CONTENT
    reporter.phase(Phase.FETCHING, "Fetching the repository")
    async with given_at_hand(job, settings.image_prefix, client):
        fetch(job, content, reporter, environment, git_logins)
    definition = definition_of(job, content)
    if settings.engine_host:
        return
    reporter.phase(Phase.BUILDING, "Building the image")
    is_repository = not job.is_context
    key = shared_key(definition, job, settings) if is_repository and is_shared(definition, settings, reporter) else ""
    found = bool(key) and not job.force and await _there(client, environment_name(settings.image_prefix, key), settings)
    if found:
        reporter.log(f"Found the environment {key}; nothing to install.")
    elif key:
        write_files_alone(definition, content, work / ENVIRONMENT)
    Plan(key, whole_key(definition, job, settings), found, definition.start).write(work)
    if not found:
        await fetch_layers(job, settings, client, reporter, work / LAYERS)


async def _there(client: RegistryClient, name: str, settings: PodSettings) -> bool:
    return await RegistryImages(client, settings.image_prefix).exists(name) is not None


def checked_folder(folder: Path) -> Path:
    """Return a folder that another step made, if it is one and no link; raises `BuildFailed`."""
    if folder.is_symlink() or not folder.is_dir():
        raise BuildFailed("What an earlier step of the build made is gone.", code="builder_lost", hint="Ask again; it starts anew.")
    return folder
