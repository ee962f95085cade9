"""Are an environment and its layers shared between commits, and what is written on images? Asked by every recipe that uses repo2docker."""

from __future__ import annotations

import codecs
from dataclasses import replace
from pathlib import Path

from ...common import labels
from ...names import layers_name
from ..definition import Definition
from ..environment_files import REPO2DOCKER_FILES
from ..environments import definition_in
from ..image_settings import ImageSettings
from ..job import Job
from ..reporter import Reporter
from .script_errors import check_scripts

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MAY_LACK_FILES = frozenset({"build_failed", "dockerfile_step_failed"})
"""How the building of an environment from its own files alone ends if they are not enough."""


def definition_of(job: Job, content: Path) -> Definition:
    """Read what a checkout says about its environment; what was sent as a context says nothing.

    Raises:
        BuildFailed: as `definition_in`; or a script of the repository cannot run, because its first line names no program that is anywhere.
    """
    definition = Definition() if job.is_context else definition_in(content, REPO2DOCKER_FILES)
    # Without a program in its first line, a shell runs a script.
    check_scripts({path: content for path, content in definition.scripts.items() if content.startswith((b"#!", *_UTF16))})
    return definition


def is_shared(definition: Definition, settings: ImageSettings, reporter: Reporter) -> bool:
    """Decide whether the environment is shared with other commits, and tell why, and which files are not read."""
    reason = definition.tied_to_commit
    for note in definition.notes:
        reporter.log(note)
    if not settings.reuse_environments:
        reporter.log("The image is built as a whole: this hub does not share environments between commits.")
    elif reason:
        reporter.log(f"The environment belongs to this commit alone: {reason}.")
    else:
        files = ", ".join(definition.files) or "nothing"
        reporter.log(f"The environment is described by {files}; it is shared by all commits that describe it the same way.")
    return settings.reuse_environments and not reason


def shared_key(definition: Definition, job: Job, settings: ImageSettings) -> str:
    """Return the key of the environment of a commit."""
    return definition.key(job.image, settings.environment_text())


def whole_key(definition: Definition, job: Job, settings: ImageSettings) -> str:
    """Return the key of an environment that is built together with a commit's content, so that no other commit has it."""
    return shared_key(replace(definition, tied_to_commit=definition.tied_to_commit or "it is built as a whole"), job, settings)


def name_of_layers(job: Job, settings: ImageSettings) -> str:
    """Return the name under which a build finds layers of the last one of its repository and ref, and leaves its own; empty if it does neither.

    A commit that is asked for by its hash may be anybody's, and neither takes nor leaves any.
    """
    never_changes = job.commit in {job.ref, job.repo.rpartition(":")[2]}
    if not settings.layer_cache or job.is_context or never_changes:
        return ""
    return layers_name(settings.image_prefix, job.repo, job.ref)


def labels_of(job: Job, key: str) -> dict[str, str]:
    """Return what is written on a build's image."""
    return {
        "repo2docker.repo": job.repo,
        "repo2docker.ref": job.commit,
        labels.REPOSITORY: job.repo,
        labels.COMMIT: job.commit,
        labels.ENVIRONMENT: key,
        labels.BUILD: job.build_id,
    }
