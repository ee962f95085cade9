"""What builds have in an engine while they go on, named so that nobody takes it for finished, nor one hub's for another's."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..clients.engine import Engine, EngineError

log = logging.getLogger("binderhub_service")
_FILE = "engine-mark"
_OF_ENVIRONMENT = "-environment"


def instance_id_of(state: Path) -> str:
    """Return what tells the builds of this state directory from those of all others that use the same engine; made up once.

    It is kept in the directory: hubs in containers may all have theirs at the same path.
    """
    file = state / _FILE
    if not file.exists():
        aside = file.with_name(_FILE + ".new")
        aside.write_text(secrets.token_hex(4))
        aside.replace(file)
    return file.read_text()


@dataclass(frozen=True)
class BuildArtifacts:
    """What one build has in an engine.

    Attributes:
        mark: as `mark_of` gives it.
    """

    instance_id: str
    build_id: str

    @property
    def image(self) -> str:
        """The name that an image has while nobody may start servers from it."""
        return f"{_images_of(self.instance_id)}:{self.build_id}"

    @property
    def environment(self) -> str:
        """The name of the environment below that image, while no other build may use it."""
        return f"{self.image}{_OF_ENVIRONMENT}"

    @property
    def container(self) -> str:
        """The name of the one container that a build makes itself."""
        return f"{_containers_of(self.instance_id)}{self.build_id}"

    def clear(self, engine: Engine) -> None:
        """Remove the container and what is unfinished, if it is there; raises `BinderError`."""
        engine.remove_container(self.container)
        engine.remove_image(self.image)
        engine.remove_image(self.environment)


def remove_leftovers(engine: Engine, instance_id: str, may_go: Callable[[str], bool]) -> None:
    """Clear the traces of all builds whose ids may go; raises `Unavailable` if the engine could not be asked."""
    prefix = _containers_of(instance_id)
    containers = [name.removeprefix("/") for found in engine.containers(name=prefix) for name in found.get("Names") or ()]
    build_ids = {name.removeprefix(prefix) for name in containers if name.startswith(prefix)}
    build_ids |= {name.rpartition(":")[2].removesuffix(_OF_ENVIRONMENT) for name in engine.names(_images_of(instance_id))}
    for build_id in sorted(filter(may_go, build_ids)):
        try:
            BuildArtifacts(instance_id, build_id).clear(engine)
        except EngineError as error:
            log.warning("What build %s left in the engine could not be removed: %s", build_id, error.message)


def _images_of(instance_id: str) -> str:
    return f"binder-unfinished-{instance_id}"


def _containers_of(instance_id: str) -> str:
    return f"binder-build-{instance_id}-"
