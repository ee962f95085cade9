"""An existing container engine that builds instead of the pod: docker mode's recipe, with the checkout that the pod has.

What a repository says runs in the engine, so the pod's step that has the registry's logins can do all of it; the engine
pushes. The builder image must hold Docker's own program (with buildx for repo2docker 2025 and newer).
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path

from ...clients.credentials import docker_config_directory
from ...clients.engine import Engine, EngineAddress
from ...errors import BinderError
from .. import pod_job
from ..docker_job import DockerSettings
from ..image_settings import ImageSettings
from ..job import Job
from ..pod_job import PodSettings
from ..reporter import Reporter
from .pod_plan import CONTENT, checked_folder
from .repo2docker import make_of_checkout


def make_in_engine(job: Job, settings: PodSettings, reporter: Reporter, environment: Mapping[str, str]) -> None:
    """Build the job's image in an engine, and let that push it; of images, the engine keeps shared environments only.

    Raises:
        BuildFailed: it cannot be made.
        Unavailable: the engine or the registry could not be asked.
    """
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        (work / CONTENT).symlink_to(checked_folder(Path(job.root) / CONTENT))
        made = engine_settings(settings, work, environment)
        try:
            make_of_checkout(replace(job, root=folder), made, work, reporter, environment)
        finally:
            with contextlib.suppress(BinderError):  # no server starts there; the registry has it, or it is not wanted
                Engine(made.engine).remove_image(job.image)


def engine_settings(settings: PodSettings, work: Path, environment: Mapping[str, str]) -> DockerSettings:
    """Return docker mode's settings for a pod's; images are shaped alike, so they have the same names."""
    return DockerSettings(
        **{one.name: getattr(settings, one.name) for one in fields(ImageSettings)},
        engine=EngineAddress(settings.engine_host),
        push=True,
        docker_config=str(docker_config_directory(environment)),
        logins=str(pod_job.LOGINS),
        instance_id="pods",
        state=str(work / "state"),
        uv="",
        repo2docker=shutil.which("jupyter-repo2docker") or "",
    )
