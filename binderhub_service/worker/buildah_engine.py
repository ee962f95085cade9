"""buildah as an engine of repo2docker (``--engine=buildah``): builds in a chroot, without a daemon and without privileges.

Runs inside repo2docker. What buildah keeps where, and which registries speak plain http, say the variables that buildah
itself knows (``CONTAINERS_STORAGE_CONF``, ``CONTAINERS_REGISTRIES_CONF``). Memory is limited by whatever runs it; ``cache_from`` and
``container_limits`` are ignored.
"""

from __future__ import annotations

import json
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

from repo2docker.engine import BuildError, ContainerEngine, Image
from repo2docker.utils import execute_cmd

from .buildah_command import build_command


class BuildahEngine(ContainerEngine):
    """Builds images with buildah and keeps them in its storage."""

    string_output = True

    def build(
        self,
        *,
        tag: str = "",
        path: str = "",
        fileobj: IO[bytes] | None = None,
        dockerfile: str = "",
        buildargs: Mapping[str, str] | None = None,
        labels: Mapping[str, str] | None = None,
        platform: str | None = None,
        push: bool = False,
        **more: object,
    ) -> Iterator[str]:
        """Build an image of a folder, or of a tar file with the folder's content, and yield what buildah says.

        Raises:
            BuildError: it could not be built; or it should have been pushed, which is somebody else's work.
        """
        if push:
            raise BuildError("The engine buildah does not push.")
        given = {"platform": platform or "", "dockerfile": dockerfile}
        if fileobj is None:
            yield from _run(build_command(path, tag, buildargs or {}, labels or {}, **given))
            return
        with tempfile.TemporaryDirectory() as folder:
            with tarfile.open(fileobj=fileobj) as archive:
                archive.extraction_filter = getattr(tarfile, "tar_filter", None)  # nothing leaves the folder, links stay links
                archive.extractall(folder)  # noqa: S202  # filtered
            yield from _run(build_command(folder, tag, buildargs or {}, labels or {}, **given))

    def images(self) -> list[Image]:
        """Return no images: repo2docker asks in order to decide whether to build, and that is decided already."""
        return []

    def inspect_image(self, image: str) -> Image | None:
        """Return the configuration of an image, or None if no image has this name."""
        command = ("buildah", "inspect", "--type=image", image)
        asked = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # a list, no shell
        if asked.returncode:
            return None
        config: dict[str, Any] = json.loads(asked.stdout)["Docker"]["config"]
        return Image(tags=[image], config={"WorkingDir": "", **config})


def _run(command: list[str]) -> Iterator[str]:
    try:
        yield from execute_cmd(command, capture=True)
    except subprocess.CalledProcessError as error:
        raise BuildError(f"buildah ended with exit status {error.returncode}.") from None
