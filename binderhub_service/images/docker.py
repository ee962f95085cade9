"""Images in a container engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from .. import names
from ..clients.credentials import Login
from ..clients.engine import Engine, EngineError
from ..clients.reference import is_full_name
from ..common import labels
from ..common.redact import redact
from ..errors import BuildFailed
from ..models import FindDigest, Image, Source
from .base import Images, StoredImage, in_use, left_behind
from .build_artifacts import remove_leftovers

_CONFLICT = 409
_NAMELESS = ":<none>"


class DockerImages(Images):
    """Images that one engine keeps; servers are launched from them by the same engine.

    Args:
        prefix: comes before every name, e.g. ``binder-``.
        settings: the build settings that differ from the defaults, as text.
        mark: tells this hub's builds from those of others that use the engine, see `traces.mark_of`; empty if it builds nothing.
    """

    def __init__(self, engine: Engine, prefix: str, settings: str = "", instance_id: str = "") -> None:
        self._engine = engine
        self._prefix = prefix
        self._settings = settings
        self._instance_id = instance_id

    def name_for(self, source: Source) -> str:
        """Return BinderHub's name for the image; a given image's own id."""
        return f"sha256:{source.commit}" if source.is_given else names.image_name(source, self._prefix, self._settings)

    async def exists(self, name: str) -> Image | None:
        """Ask the engine."""
        found = await asyncio.to_thread(self._engine.inspect_image, name)
        return Image(name, environment=_labels(found.get("Config") or {}).get(labels.ENVIRONMENT, "")) if found else None

    def finder(self) -> FindDigest:
        """Return what finds an image's id in the engine; nothing is pulled."""
        return self._id_of

    async def _id_of(self, name: str) -> str | None:
        found = await asyncio.to_thread(self._engine.inspect_image, name)
        return str(found["Id"]) if found else None

    async def all(self) -> list[StoredImage]:
        """Return the images that were made here; what images share belongs to none."""
        return await asyncio.to_thread(self._all)

    async def holds(self, name: str) -> bool:
        """Ask the engine for this image."""
        if not name.startswith(self._prefix) or not is_full_name(name):
            return False
        found = await asyncio.to_thread(self._engine.inspect_image, name)
        return found is not None and name in (found.get("RepoTags") or ()) and labels.COMMIT in _labels(found.get("Config") or {})

    async def users(self, name: str) -> tuple[str, ...]:
        """Return who has a container made from an image, as ``user/server``."""
        return await asyncio.to_thread(self._users, name)

    async def tidy(self, build_ids: Collection[str]) -> None:
        """Remove what builds that are gone have left."""
        if self._instance_id:
            await asyncio.to_thread(remove_leftovers, self._engine, self._instance_id, left_behind(build_ids))
        if not build_ids:  # builds of one repository share these names
            await asyncio.to_thread(self._remove_passing)

    async def delete(self, name: str) -> None:
        """Remove the image, and its environment's unless another image uses it."""
        await asyncio.to_thread(self._delete, name)

    async def publish(self, name: str, target: str, login: Login | None) -> None:
        """Push by the engine, which has the image under the other name meanwhile."""
        await asyncio.to_thread(self._publish, name, target, login)

    def _remove_passing(self) -> None:
        for repository in names.passing_repositories(self._prefix):
            for name in self._engine.names(repository):
                with contextlib.suppress(EngineError):
                    self._engine.remove_image(name)

    def _publish(self, name: str, target: str, login: Login | None) -> None:
        if self._engine.inspect_image(target) is not None:  # what is built from it here must not become another image
            raise BuildFailed(f"The engine has an image {target} already.", code="push_denied", hint="Choose another name or tag.")
        self._engine.tag(name, target)
        try:
            problem = next((str(line["error"]) for line in self._engine.push(target, login) if line.get("error")), "")
        finally:
            self._engine.remove_image(target)
        if problem:
            raise BuildFailed(redact(problem), code="push_failed", hint="Check the name of the image, and the login.")

    def _all(self) -> list[StoredImage]:
        return [
            StoredImage(
                name=name,
                bytes=max(0, (image.get("Size") or 0) - max(0, image.get("SharedSize") or 0)),
                made=datetime.fromtimestamp(image.get("Created") or 0, UTC),
                used_by=self._users(name),
            )
            for name, image in self._named()
        ]

    def _named(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        for image in self._engine.images(labels.COMMIT):
            for name in image.get("RepoTags") or ():
                if name.startswith(self._prefix) and not name.endswith(_NAMELESS):
                    yield name, image

    def _is_named(self, image: Mapping[str, Any]) -> bool:
        names_of_it = image.get("RepoTags") or ()
        return labels.COMMIT in _labels(image) and any(name.startswith(self._prefix) and not name.endswith(_NAMELESS) for name in names_of_it)

    def _users(self, name: str) -> tuple[str, ...]:
        image = self._engine.inspect_image(name)
        made_from_it = self._engine.containers(ancestor=name) if image else []
        return tuple(sorted(_user(container) for container in made_from_it if container.get("ImageID") == (image or {}).get("Id")))

    def _delete(self, name: str) -> None:
        found = self._engine.inspect_image(name)
        if found is None:
            return
        if self._users(name):
            raise in_use(name)
        self._remove(name)
        key = _labels(found.get("Config") or {}).get(labels.ENVIRONMENT)
        if key and not any(map(self._is_named, self._engine.labelled(labels.ENVIRONMENT, key))):
            self._remove(names.environment_name(self._prefix, key))

    def _remove(self, name: str) -> None:
        try:
            self._engine.remove_image(name)
        except EngineError as error:
            if error.answer == _CONFLICT:
                raise in_use(name) from error
            raise


def _labels(content: Mapping[str, Any]) -> Mapping[str, str]:
    return content.get("Labels") or {}


def _user(container: Mapping[str, Any]) -> str:
    """Return ``user/server`` as the spawner wrote it on the container; the container's name if somebody else made it."""
    written = _labels(container)
    if labels.USER in written:
        return f"{written[labels.USER]}/{written.get(labels.SERVER, '')}"
    return str((container.get("Names") or [container["Id"]])[0]).removeprefix("/")
