"""A commit's content as one thin layer on top of an environment's image, without a build."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ...clients.engine import Engine
from ...common import labels
from ...errors import BuildFailed
from ...images.build_artifacts import BuildArtifacts


def put_on_top(
    engine: Engine, artifacts: BuildArtifacts, environment_image: str, work: Path, start: str | None, user_id: int, written: Mapping[str, str]
) -> None:
    """Make the build's unfinished image of an environment's image and the content in `work`.

    Nothing runs for it: the content is unpacked in a container that is never started.

    Args:
        start: the path of a script that must be executable in the image, as repo2docker makes it.
        user_id: who owns the content in the image.
        written: the image's labels.
    """
    found = engine.inspect_image(environment_image)
    if found is None:
        raise BuildFailed("The environment's image is gone.", code="environment_missing", hint="Ask again; it is made anew.")
    container = artifacts.container
    engine.remove_container(container)
    with tempfile.TemporaryFile(dir=work) as archive:
        pack(work / "content", archive, start, user_id)
        archive.seek(0)
        runs = found["Config"].get("Cmd") or found["Config"].get("Entrypoint")
        engine.create_container(
            container, {"Image": environment_image, "Labels": {labels.BUILD: artifacts.build_id}} | ({} if runs else {"Cmd": ["true"]})
        )
        engine.put_archive(container, content_folder(found["Config"]), archive)
    engine.commit(container, artifacts.image, "the repository's content", written)
    engine.remove_container(container)


def content_folder(config: Mapping[str, Any]) -> str:
    """Return where repo2docker puts the content in an image."""
    variables = dict(line.partition("=")[::2] for line in config.get("Env") or ())
    return variables.get("REPO_DIR") or str(config.get("WorkingDir") or "") or variables.get("HOME", "/")


def pack(content: Path, archive: IO[bytes], start: str | None, user_id: int, folder: str = "") -> None:
    """Write the content as a tar file in which all belongs to one user.

    Args:
        start: the path of a script that must be executable.
        folder: where the content is in the tar file.
    """

    def owned(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = user_id
        entry.uname = entry.gname = ""
        if start and entry.name == f"{inside}{start}":
            entry.mode |= 0o111
        return entry

    inside = f"{folder.strip('/')}/" if folder.strip("/") else ""
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for child in sorted(content.iterdir()):
            tar.add(child, f"{inside}{child.name}", filter=owned)
