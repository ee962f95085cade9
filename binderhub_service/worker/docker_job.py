"""What the service and a build process share in docker mode: how images are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..clients.engine import EngineAddress
from .image_settings import ImageSettings


@dataclass(frozen=True, kw_only=True)
class DockerSettings(ImageSettings):
    """How a container engine makes images.

    Attributes:
        push: whether `image_prefix` names a registry that images are pushed to.
        docker_config: Docker's configuration directory of the user that runs this hub.
        logins: a file with registry logins that are not in Docker's configuration; it may be missing.
        mark: tells what builds have in the engine from what others have there, see `traces`.
        state: a directory for repo2docker itself, the builders of limited builds, and locks.
        uv: the uv program, which installs repo2docker.
        repo2docker: a repo2docker program to use instead of installing `repo2docker_version`; empty for none.
        cpu_limit: how many processors a build may use; 0 for all.
        buildkit_image: what limited builds run in (repo2docker 2025 and newer).
        build_proxies: what build steps reach the internet through, as in ``proxies`` of Docker's configuration.
    """

    engine: EngineAddress
    push: bool
    docker_config: str
    logins: str
    instance_id: str
    state: str
    uv: str
    repo2docker: str = ""
    cpu_limit: float = 0.0
    buildkit_image: str = "moby/buildkit:buildx-stable-1"
    build_proxies: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Take the engine's address as JSON has it, too."""
        super().__post_init__()
        if isinstance(self.engine, Mapping):
            object.__setattr__(self, "engine", EngineAddress(**self.engine))
