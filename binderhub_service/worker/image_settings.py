"""What shapes the images that repo2docker makes, wherever it runs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

DEFAULT_REPO2DOCKER = "2026.4.0"
_SHAPING = ("base_image", "appendix", "build_arguments", "user_name", "user_id", "repo2docker_arguments", "repo2docker_version")


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """How images are made; what is in `_SHAPING` shapes them. Lists, as traits and JSON have them, become tuples.

    Attributes:
        image_prefix: comes before every image's name.
        memory_limit_bytes: what a build may use; 0 for any amount.
        reuse_environments: whether commits with the same environment share one.
        layer_cache: whether a build takes layers of the last one of its repository and ref from the registry.
        singleuser_seconds: how long ``jupyterhub-singleuser --version`` may take in a new image.
    """

    image_prefix: str
    repo2docker_version: str = DEFAULT_REPO2DOCKER
    repo2docker_arguments: tuple[str, ...] = ()
    base_image: str = ""
    appendix: str = ""
    build_arguments: Mapping[str, str] = field(default_factory=dict)
    user_name: str = "jovyan"
    user_id: int = 1000
    memory_limit_bytes: int = 0
    reuse_environments: bool = True
    layer_cache: bool = False
    singleuser_seconds: float = 60.0

    def __post_init__(self) -> None:
        """Make tuples of lists."""
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, list):
                object.__setattr__(self, one.name, tuple(value))

    def name_text(self) -> str:
        """Return what differs from the defaults, as text; empty if nothing does, and then names are BinderHub's."""
        defaults = {one.name: one.default for one in fields(self)} | {"build_arguments": {}}
        changed = {name: value for name in _SHAPING if (value := getattr(self, name)) != defaults[name]}
        return json.dumps(changed, sort_keys=True) if changed else ""

    def environment_text(self) -> str:
        """Return all that shapes environments, as text; part of every environment's key."""
        return json.dumps({name: getattr(self, name) for name in _SHAPING}, sort_keys=True)
