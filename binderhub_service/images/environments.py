"""Images as directories: a checkout of the commit and the uv environment it runs in.

A finished image or environment is a link to a directory that was made aside and keeps its path for ever, so environments
need not be movable, half-made ones are never seen, and a forced rebuild leaves running servers what they run from::

    environments/KEY  -> .made/KEY.BUILD     bin/python ...
    images/NAME       -> .made/NAME.BUILD    image.json  content/
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from cachetools import LRUCache

from .. import names
from ..common.json_object import json_object
from ..errors import Unavailable
from ..models import Image, Source
from .base import Images, StoredImage, in_use, left_behind
from .layout import MADE, MANIFEST
from .locks import locked
from .trees import remove_tree

_SHAPE = {"key": str, "environment": str, "content": str, "environment_bytes": int, "content_bytes": int}
_KEPT_MANIFESTS = 2000
_KEY = re.compile(r"\w[\w.-]*")  # it becomes a path


class EnvironmentImages(Images):
    """Images in a directory of this machine.

    Args:
        root: the directory that holds ``images`` and ``environments``.
        settings: everything but the source that shapes images, as text; part of every name.
    """

    def __init__(self, root: Path, settings: str) -> None:
        root = root.resolve()  # paths are compared, and a path over a link is another path
        self._images = root / "images"
        self._environments = root / "environments"
        self._images_path = str(self._images)
        self._settings = settings
        self._manifests: LRUCache[str, tuple[tuple[int, ...], dict[str, Any]]] = LRUCache(_KEPT_MANIFESTS)

    def name_for(self, source: Source) -> str:
        """Return slug, commit and the settings' digest in one path segment."""
        return names.directory_name(source, self._settings)

    async def exists(self, name: str) -> Image | None:
        """Return the image if its checkout and its environment are there."""
        manifest = self._manifest(name)
        if manifest is None:
            return None
        there = os.path.exists(f"{manifest['environment']}/bin/python") and os.path.isdir(manifest["content"])  # noqa: PTH110, PTH112  # asked often
        return Image(name=name, environment=manifest["key"]) if there else None

    async def all(self) -> list[StoredImage]:
        """Return all images; an environment's size is divided among the images that share it."""
        return await asyncio.to_thread(self._all)

    async def holds(self, name: str) -> bool:
        """Return whether there is a link of this name with a manifest."""
        link = self._images / name
        return name == link.name and os.path.islink(link) and _manifest(link) is not None  # noqa: PTH114  # says no to what no path can be

    async def delete(self, name: str) -> None:
        """Remove the image and, unless another image uses it, its environment."""
        await asyncio.to_thread(self._delete, name)

    async def withdraw(self, name: str) -> None:
        """Let no server start from the image any more; what a server runs from stays until `tidy`."""
        await asyncio.to_thread(self._withdraw, name)

    async def tidy(self, build_ids: Collection[str]) -> None:
        """Remove directories that no link leads to and no server runs from."""
        await asyncio.to_thread(self._tidy, build_ids)

    def _manifest(self, name: str) -> dict[str, Any] | None:
        """Return what `_manifest` returns; a file that has not changed since it was read is not read again."""
        try:
            found = os.stat(f"{self._images_path}/{name}/{MANIFEST}")  # noqa: PTH116  # asked often
        except OSError:
            return _manifest(self._images / name)
        version = (found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size)
        known = self._manifests.get(name)
        if known and known[0] == version:
            return known[1]
        manifest = _manifest(self._images / name)
        if manifest is not None:
            self._manifests[name] = (version, manifest)
        return manifest

    def _links(self) -> Iterator[tuple[Path, dict[str, Any]]]:
        for link in self._images.glob("*"):
            manifest = _manifest(link) if link.is_symlink() else None
            if manifest is not None:
                yield link, manifest

    def _all(self) -> list[StoredImage]:
        links = list(self._links())
        sharers = Counter(manifest["environment"] for _, manifest in links)
        users = _users_by_directory(self._environments / MADE)
        return [
            StoredImage(
                name=link.name,
                bytes=manifest["content_bytes"] + manifest["environment_bytes"] // sharers[manifest["environment"]],
                made=datetime.fromtimestamp((link / MANIFEST).stat().st_mtime, UTC),
                used_by=tuple(sorted(users.get(manifest["environment"], ()))),
            )
            for link, manifest in links
        ]

    def _delete(self, name: str) -> None:
        link = self._images / name
        manifest = _manifest(link)
        if manifest is None:
            return
        if self._has_users(manifest):
            raise in_use(name)
        self._remove(link, manifest, remove_tree)

    def _withdraw(self, name: str) -> None:
        link = self._images / name
        manifest = _manifest(link)
        if manifest is not None:
            with contextlib.suppress(_InUse):
                self._remove(link, manifest, _leave if self._has_users(manifest) else remove_tree, _do_not_wait)

    def _has_users(self, manifest: dict[str, Any]) -> bool:
        return manifest["environment"] in _users_by_directory(self._environments / MADE)

    def _remove(self, link: Path, manifest: dict[str, Any], remove: Callable[[Path], None], on_wait: Callable[[], None] = lambda: None) -> None:
        """Remove an image and, unless another one uses it, its environment: links first, so that what is half gone is never seen.

        Args:
            remove: removes a directory.
            on_wait: called if a build is making an environment of the same name.
        """
        _remove_made(link, link.resolve(), remove)
        with locked(self._environments / MADE, manifest["key"], on_wait):
            used = {other["environment"] for _, other in self._links()}
            if manifest["environment"] not in used:
                _remove_made(self._environments / manifest["key"], Path(manifest["environment"]), remove)

    def _tidy(self, build_ids: Collection[str]) -> None:
        folders = (self._images, self._environments)
        kept = {link.resolve() for folder in folders for link in folder.glob("*") if link.is_symlink()}
        kept |= {Path(manifest["environment"]) for _, manifest in self._links()}
        kept |= {Path(directory) for directory in _users_by_directory(self._environments / MADE)}
        may_go = left_behind({*build_ids, *(_build_of(directory) for directory in kept)})  # an environment may lead into the checkout of its build
        for made in (made for folder in folders for made in (folder / MADE).glob("*") if made.is_dir()):
            if may_go(_build_of(made)):
                remove_tree(made)


def _build_of(made: Path) -> str:
    return made.name.rpartition(".")[2]


def _manifest(link: Path) -> dict[str, Any] | None:
    """Return what an image says of itself; None if it is not there or spoilt, so that it is made anew."""
    try:
        content = json_object((link / MANIFEST).read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    except OSError as error:
        raise Unavailable(f"The image {link.name} could not be looked at.", hint="Try again in a moment.") from error
    is_sensible = all(isinstance(content.get(name), kind) for name, kind in _SHAPE.items()) and _KEY.fullmatch(content["key"])
    return content if is_sensible else None


def _users_by_directory(made: Path) -> dict[str, set[str]]:
    """Return who runs servers from which environment, found by looking at the processes of this machine."""
    users: dict[str, set[str]] = {}
    for process in psutil.process_iter():
        try:
            directories = {directory for word in process.cmdline() if (directory := _directory_below(made, word))}
            name = _server_of(process) if directories else ""
        except (psutil.Error, OSError):  # gone
            continue
        for directory in directories if name else ():
            users.setdefault(directory, set()).add(name)
    return users


def _server_of(process: psutil.Process) -> str:
    """Return which server a process belongs to; of another account's, which builds do not have, no more than whose it is. Empty if to none."""
    try:
        variables = process.environ()
    except psutil.AccessDenied:
        return f"{process.username()}/"
    return f"{variables['JUPYTERHUB_USER']}/{variables.get('JUPYTERHUB_SERVER_NAME', '')}" if "JUPYTERHUB_USER" in variables else ""


def _directory_below(made: Path, word: str) -> str | None:
    """Return the directory in `made` that a path leads into, or None if it does not."""
    path = Path(word)
    return str(made / path.relative_to(made).parts[0]) if path != made and path.is_relative_to(made) else None


def _remove_made(link: Path, made: Path, remove: Callable[[Path], None]) -> None:
    if link.is_symlink() and link.resolve() == made:
        link.unlink()
    remove(made)


def _leave(_: Path) -> None:
    """Remove nothing: `tidy` will, when no server runs from it."""


class _InUse(Exception):
    """A build is making an environment."""


def _do_not_wait() -> None:
    raise _InUse
