"""A repository's own Dockerfile: built by Docker's programs with the options that repo2docker would give them, which saves starting it."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...errors import BuildFailed
from ..docker_job import DockerSettings
from .docker_build_context import DockerBuildContext

_FOLDERS = ("binder", ".binder")
_PLATFORMS = {"aarch64": "linux/arm64", "arm64": "linux/arm64"}
_USUAL_PLATFORM = "linux/amd64"


def dockerfile_in(content: Path) -> Path | None:
    """Return the Dockerfile that decides how a repository's image is made, or None if there is none; looks where repo2docker does."""
    folder = next((content / name for name in _FOLDERS if (content / name).is_dir()), content)
    dockerfile = folder / "Dockerfile"
    return dockerfile if dockerfile.exists() else None


def context_dockerfile(folder: Path) -> Path:
    """Return the Dockerfile at the root of what is built as Docker alone would; raises `BuildFailed` if there is none."""
    dockerfile = folder / "Dockerfile"
    if not dockerfile.is_file():
        raise BuildFailed("There is no Dockerfile.", code="dockerfile_missing", hint="Put a file named Dockerfile at the root of what is built.")
    return dockerfile


def build_command(
    place: DockerBuildContext,
    content: Path,
    dockerfile: Path,
    image: str,
    labels: Mapping[str, str],
    arguments: Mapping[str, str],
    *,
    with_buildx: bool,
    options: Sequence[str] = (),
) -> list[str]:
    """Return the command that makes an image of a Dockerfile.

    Args:
        arguments: what the Dockerfile is told, see `usual_arguments`.
        with_buildx: whether repo2docker builds with buildx; older versions build in the engine itself.
        options: more of buildx's options.
    """
    command = ["docker", "buildx", "build", "--progress=plain", "--load"] if with_buildx else ["docker", "build", "--force-rm", *_limits(place)]
    command += [f"--build-arg={name}={value}" for name, value in arguments.items()]
    command += [f"--label={name}={value}" for name, value in labels.items()]
    command += [f"--platform={_PLATFORMS.get(platform.machine(), _USUAL_PLATFORM)}", f"--file={dockerfile}", f"--tag={image}"]
    return [*command, *options, str(content)]


def layer_options(name: str, *, is_there: bool) -> list[str]:
    """Return buildx's options for an image that leaves its layers to other engines, and takes those of an image that a registry has.

    Args:
        name: that image's.

    The first is BuildKit's inline cache: the image says which instruction each of its layers is of (docs.docker.com/build/cache/backends/inline).
    """
    taken = [f"--cache-from=type=registry,ref={name}"] if is_there else []
    return ["--build-arg=BUILDKIT_INLINE_CACHE=1", *taken]


def usual_arguments(settings: DockerSettings) -> dict[str, str]:
    """Return what repo2docker tells a Dockerfile."""
    return {"NB_USER": settings.user_name, "NB_UID": str(settings.user_id), **settings.build_arguments}


def build_variables(*, with_buildx: bool) -> dict[str, str]:
    """Return what the command's environment says in addition."""
    return {"BUILDX_GIT_INFO": "false"} if with_buildx else {"DOCKER_BUILDKIT": "0"}


def _limits(place: DockerBuildContext) -> list[str]:
    memory = place.settings.memory_limit_bytes
    limits = [f"--memory={memory}", f"--memory-swap={memory}"] if memory else []
    return [*limits, f"--cpuset-cpus={place.processors}"] if place.processors else limits
