"""Base images that want a login: fetched by the step that has it, for the step that builds, which has none."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from ...clients.credentials import Credentials
from ...clients.reference import Reference
from ...clients.registry import RegistryClient
from ...clients.registry_writer import RegistryWriter
from ...errors import BuildFailed
from ..pod_job import PodSettings
from ..reporter import Reporter
from .build_errors import no_base_image
from .dockerfile import dockerfile_in
from .image_folder import fetch_image, write_image

BASES = "bases"
"""The folder with the images, in what `fetch` leaves."""
_NAME = "name"
_MAX_DOCKERFILE_BYTES = 1_000_000
_FROM = re.compile(r"^[ \t]{0,40}FROM[ \t]{1,40}(?:--platform=\S{1,100}[ \t]{1,40})?(\S{1,500})", re.IGNORECASE | re.MULTILINE)


async def fetch_base_images(
    content: Path, settings: PodSettings, client: RegistryClient, credentials: Credentials, reporter: Reporter, folder: Path
) -> None:
    """Fetch the base images whose registries have a login here; the others are pulled when they are needed.

    Args:
        client: asks registries with `credentials`.

    Raises:
        BuildFailed: one of them is not to be had.
        Unavailable: a registry could not be asked, or the login is wrong.
    """
    if not credentials.given:
        return
    wanted = [settings.base_image] if settings.base_image else []
    for number, name in enumerate(dict.fromkeys([*wanted, *_names_in(content)])):
        if credentials.login_for(Reference.parse(name).registry):
            reporter.log(f"Pulling the base image {name}")
            place = folder / str(number)
            place.mkdir(parents=True)
            await _fetch(RegistryWriter(client, name), client, name, place)
            (place / _NAME).write_text(name)


async def _fetch(image: RegistryWriter, client: RegistryClient, name: str, place: Path) -> None:
    try:
        manifest = await image.manifest()
        if manifest is None:
            raise no_base_image(name)
        write_image(manifest, place, await fetch_image(image, client, manifest, place))
    except BuildFailed as error:
        raise no_base_image(name) from error


def _names_in(content: Path) -> list[str]:
    """Return the names of images that a repository's Dockerfile begins with, as far as they need no argument."""
    file = dockerfile_in(content)
    if file is None or file.is_symlink() or file.parent.is_symlink() or not file.is_file():
        return []
    with file.open(errors="replace") as opened:
        text = opened.read(_MAX_DOCKERFILE_BYTES)
    return [name for name in _FROM.findall(text) if "$" not in name]


def fetched_images(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield where buildah can pull each image that was fetched, and its name."""
    for place in sorted(folder.glob("*")):
        yield f"dir:{place}", (place / _NAME).read_text()
