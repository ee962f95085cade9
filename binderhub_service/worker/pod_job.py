"""What the service and the steps of a build pod share: paths, names, and what the steps need to know.

A build is one pod with four containers of one image, one after the other, each of which is
``python3 -m binderhub_service.worker.pod STEP``::

    fetch   has the logins of Git servers and registries: checks out the commit, fetches private base images, and plans what there is to do
    build   has no login: runs what the repository says, and leaves an image as a directory
    push    has the logins of registries: pushes that image
    try     has no login: looks whether a server starts from the image, if that was not done before it was pushed

Each writes one JSON object a line to its output, ``{"n": 1, "kind": "log", "data": {...}}`` with n = 1, 2, ..., and how it
ended to `TERMINATION_MESSAGE`: how many reports it wrote, and ``{"error": {...}}`` or, if ``try`` has something to do, ``{"untried": {...}}``,
an `Untried`; its exit status is 0 or 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .image_settings import ImageSettings

GZIP, ZSTD = "gzip", "zstd"
STEPS = ("fetch", "build", "push", "try")
MODULE = "binderhub_service.worker.pod"
WORK = Path("/work")
"""What `fetch` leaves; the other steps can only read it."""
IMAGE = Path("/image")
"""What `build` leaves; `push` can only read it, and does not believe it."""
JOB = Path("/job/job.json")
LOGINS = Path("/registry/logins.json")
GIT_CREDENTIALS = Path("/git/git-credentials")
BASE_LOGINS = Path("/bases/base-logins.json")
STORAGE = Path("/var/lib/containers")
TERMINATION_MESSAGE = Path("/dev/termination-log")
TERMINATION_BYTES = 4096
PATIENCE_SECONDS = (0.2, 1.0, 5.0, 15.0)
"""How long steps wait for a registry, or a way to it, that is away for a moment."""
USER_ID = 1000
"""Who the steps `fetch` and `push` run as; `build` and `try` run as root in their containers."""


@dataclass(frozen=True)
class Untried:
    """What was pushed before it was tried.

    Attributes:
        environment: the key of the shared environment that gets its name once a server starts from it; empty if the image is built as a whole.
    """

    environment: str = ""


@dataclass(frozen=True, kw_only=True)
class PodSettings(ImageSettings):
    """What the steps of a build pod need to know; no secret is in it.

    Attributes:
        image_prefix: comes before every image's name: the registry and what else, e.g. ``registry.example.org/project/binder-``.
        plain_http_registries: registries (host and port) that speak no TLS.
        registry_endpoint: the address at which the images' registry is asked, where that is not the one in `image_prefix`; else empty.
        storage_driver: how buildah keeps layers; where a node does not allow ``overlay``, ``vfs`` takes its place.
        repo2docker_version: what the builder image holds.
        registry_mirrors: where base images of a registry are asked for first, by the registry's host: hosts and paths.
        layer_compression: how layers are packed, ``gzip`` or ``zstd``.
        engine_host: a Docker daemon that builds instead, e.g. ``tcp://engine:2375``; empty to build in the pod.
    """

    plain_http_registries: tuple[str, ...] = ()
    registry_endpoint: str = ""
    storage_driver: str = "overlay"
    registry_mirrors: Mapping[str, Sequence[str]] = field(default_factory=dict)
    layer_compression: str = GZIP
    engine_host: str = ""

    def endpoints(self) -> dict[str, str]:
        """Return the addresses of registries that are not asked by the name that images have, by that name."""
        return {self.image_prefix.partition("/")[0]: self.registry_endpoint} if self.registry_endpoint else {}
