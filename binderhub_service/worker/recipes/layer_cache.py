"""Layers that a build leaves in the registry for the next build of the same repository and ref.

What is kept is the image itself, under a name of its own, with the configurations of its steps: of these, the next build makes the
images that buildah looks for before it runs an instruction. The name is computed by the steps that have the login, from what was asked
for. So a build changes what is kept for its own repository and branch, and nothing else; a commit that is asked for by its hash may be
anybody's, and keeps and takes nothing.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...clients.oci import Blob, Content, Manifest, json_in, unusable
from ...clients.registry import RegistryClient
from ...clients.registry_writer import RegistryWriter
from ...errors import BuildFailed, Unavailable
from ..job import Job
from ..pod_job import PodSettings
from ..reporter import Reporter
from .image_folder import MAX_CONFIG_BYTES, fetch_image, file_of, write_image
from .sharing import name_of_layers

LAYERS = "layers"
"""The folder with what was kept, in what `fetch` leaves."""
STEPS = "binder.steps"
"""What the steps are called in the configuration that is kept."""
STEPS_FILE = "steps.json"
"""Where `build` leaves the steps, beside the image."""
_MANIFEST, _CONFIG = "manifest.json", "config.json"
_DOCKER = "application/vnd.docker"
_DOCKER_MANIFEST = f"{_DOCKER}.distribution.manifest.v2+json"


async def fetch_layers(job: Job, settings: PodSettings, client: RegistryClient, reporter: Reporter, folder: Path) -> None:
    """Fetch what an earlier build has left, if anything; a build goes on without it."""
    name = name_of_layers(job, settings)
    if not name or job.force:
        return
    kept = RegistryWriter(client, name)
    try:
        manifest = await kept.manifest()
        if manifest is None:
            return
        folder.mkdir()
        (folder / _CONFIG).write_bytes(await fetch_image(kept, client, manifest, folder))
        (folder / _MANIFEST).write_bytes(manifest.text)
        reporter.log("Fetched the layers of an earlier build.")
    except (BuildFailed, Unavailable) as error:
        shutil.rmtree(folder, ignore_errors=True)
        reporter.log(f"The layers of an earlier build are not used: {error.message}")


@dataclass(frozen=True)
class Step:
    """An image as it was after an instruction, as a part of the whole image.

    Attributes:
        history: how many entries of the whole's history it has.
        layers: how many of its layers.
        config: what the instructions had set by then: variables, user and so on.
    """

    history: int
    layers: int
    config: Content

    @classmethod
    def of(cls, part: Content, whole: Content) -> Step | None:
        """Return an image as a step on the way to another one; None if it is none."""
        history, layers = part["history"], part["rootfs"]["diff_ids"]
        on_the_way = history == whole["history"][: len(history)] and layers == whole["rootfs"]["diff_ids"][: len(layers)]
        return cls(len(history), len(layers), part["config"]) if on_the_way and len(history) < len(whole["history"]) else None


def images_of_steps(folder: Path, into: Path) -> Iterator[str]:
    """Write one step after the other as an image that buildah can pull, the longest first, and yield where it is.

    Args:
        folder: what was fetched.
        into: a folder for the images; the same for all.

    Raises:
        BuildFailed: what was kept makes no sense.
    """
    if not (folder / _MANIFEST).exists():
        return
    whole, manifest = json_in((folder / _CONFIG).read_bytes()), Manifest((folder / _MANIFEST).read_bytes(), "")
    into.mkdir()
    for blob in manifest.layers:
        path = into / file_of(blob)
        if not path.exists():
            path.symlink_to(folder / file_of(blob))
    for step in _steps_in(whole):
        config = json.dumps(_config_of(step, whole)).encode()
        write_image(_docker_manifest(Blob.of(config), manifest.layers[: step.layers]), into, config)
        yield f"dir:{into}"


def _steps_in(whole: Content) -> list[Step]:
    try:
        steps = [Step(int(one["history"]), int(one["layers"]), dict(one["config"])) for one in whole[STEPS]]
    except (LookupError, TypeError, ValueError) as error:
        raise unusable("its steps cannot be read") from error
    return sorted(steps, key=lambda step: -step.history)


def _config_of(step: Step, whole: Content) -> dict[str, Any]:
    try:
        rest = {name: whole[name] for name in ("architecture", "os")}
        history, layers = whole["history"][: step.history], whole["rootfs"]["diff_ids"][: step.layers]
        return {
            **rest,
            "created": history[-1]["created"],
            "config": step.config,
            "rootfs": {"type": "layers", "diff_ids": layers},
            "history": history,
        }
    except (LookupError, TypeError) as error:
        raise unusable("its steps cannot be read") from error


def _docker_manifest(config: Blob, layers: Sequence[Blob]) -> Manifest:
    """Return the manifest that buildah's own images have: it takes no layer of an image of another kind."""
    described = [{"mediaType": f"{_DOCKER}.image.rootfs.diff.tar.gzip", "digest": blob.digest, "size": blob.size} for blob in layers]
    made = {
        "schemaVersion": 2,
        "mediaType": _DOCKER_MANIFEST,
        "config": {"mediaType": f"{_DOCKER}.container.image.v1+json", "digest": config.digest, "size": config.size},
        "layers": described,
    }
    return Manifest(json.dumps(made).encode(), _DOCKER_MANIFEST)


def steps_in(file: Path) -> list[dict[str, Any]]:
    """Return the steps that `build` has left; raises `BuildFailed` if these are none, or too many."""
    if file.is_symlink() or not file.is_file() or file.stat().st_size > MAX_CONFIG_BYTES // 2:
        raise unusable("its steps cannot be read")
    try:
        steps: list[dict[str, Any]] = json.loads(file.read_text())
    except (ValueError, RecursionError) as error:
        raise unusable("its steps cannot be read") from error
    return steps


def config_with_steps(config: Content, steps: Sequence[Content]) -> bytes:
    """Return an image's configuration with its steps, and without the labels by which images of commits are known."""
    inner = {name: value for name, value in (config.get("config") or {}).items() if name != "Labels"}
    return json.dumps({**config, "config": inner, STEPS: list(steps)}).encode()


def kept_manifest(whole: Manifest, config: Blob) -> Manifest:
    """Return the manifest of what is kept: an image's layers, and a configuration with steps."""
    content = whole.content
    described = {**content["config"], "digest": config.digest, "size": config.size}
    return Manifest(json.dumps({**content, "config": described}).encode(), whole.media_type)
