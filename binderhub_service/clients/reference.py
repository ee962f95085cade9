"""Names of images, taken apart the way container engines do; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .credentials import DOCKER_HUB, registry_host

_FULL_NAME = re.compile(r"(?:[A-Za-z0-9.:\[\]-]+/)?[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@dataclass(frozen=True)
class Reference:
    """An image's name in parts.

    Attributes:
        registry: host and port; ``docker.io`` where none is named.
        repository: the path in the registry, with Docker Hub's ``library/`` where it is left out.
        tag: the tag, or the digest.
    """

    registry: str
    repository: str
    tag: str

    @classmethod
    def parse(cls, name: str) -> Reference:
        """Take a name apart; a tag that is not there is ``latest``, and a digest takes its place."""
        first, slash, rest = name.partition("/")
        named = bool(slash) and ("." in first or ":" in first or first == "localhost")
        registry, path = (registry_host(first), rest) if named else (DOCKER_HUB, name)
        path, at, digest = path.partition("@")
        repository, colon, tag = path.rpartition(":")
        if not colon:
            repository, tag = path, "latest"
        if at:
            tag = digest
        if registry == DOCKER_HUB and "/" not in repository:
            repository = f"library/{repository}"
        return cls(registry, repository, tag)

    @property
    def host(self) -> str:
        """Where the registry's API is."""
        return "registry-1.docker.io" if self.registry == DOCKER_HUB else self.registry


def is_full_name(name: str) -> bool:
    """Return whether a text is an image's name with its tag, and so can be put into a path of an engine's or a registry's API."""
    return _FULL_NAME.fullmatch(name) is not None
