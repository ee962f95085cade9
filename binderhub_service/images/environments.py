"""Images as directories: a checkout of the commit and the uv environment it runs in.

A finished image or environment is a link to a directory that was made aside and keeps its path for ever, so environments
need not be movable, half-made ones are never seen, and a forced rebuild leaves running servers what they run from::

    environments/KEY  -> .made/KEY.BUILD     bin/python ...
    images/NAME       -> .made/NAME.BUILD    image.json  content/
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from .. import names
from ..models import Image, Source
from .base import Images

MADE = ".made"
MANIFEST = "image.json"


class EnvironmentImages(Images):
    """Images in a directory of this machine.

    Args:
        root: the directory that holds ``images`` and ``environments``.
        settings: everything but the source that shapes images, as text; part of every name.
    """

    def __init__(self, root: Path, settings: str) -> None:
        self._images = root / "images"
        self._environments = root / "environments"
        self._settings = settings

    def name_for(self, source: Source) -> str:
        """Return slug, commit and the settings' digest in one path segment."""
        return names.directory_name(source, self._settings)

    async def exists(self, name: str) -> Image | None:
        """Return the image if its checkout and its environment are there."""
        return self._read(self._images / name)

    async def delete(self, name: str) -> None:
        """Remove the image and its environment, unless another image uses that environment."""
        await asyncio.to_thread(self._delete, name)

    def _read(self, link: Path) -> Image | None:
        try:
            manifest = json.loads((link / MANIFEST).read_text())
        except FileNotFoundError:
            return None
        environment = Path(manifest["environment"])
        there = (environment / "bin" / "python").exists() and Path(manifest["content"]).is_dir()
        return Image(name=link.name, environment=manifest["key"]) if there else None

    def _delete(self, name: str) -> None:
        link = self._images / name
        image = self._read(link)
        _remove_link(link)
        if image and image.environment not in set(self._used_environments()):
            _remove_link(self._environments / image.environment)

    def _used_environments(self) -> Iterator[str]:
        for link in self._images.iterdir():
            image = self._read(link) if link.is_symlink() else None
            if image:
                yield image.environment


def _remove_link(link: Path) -> None:
    """Remove a link and what it leads to, the link first: what is half gone is never seen."""
    if link.is_symlink():
        target = link.resolve()
        link.unlink()
        shutil.rmtree(target, ignore_errors=True)
