"""Docker mode: repo2docker in a container engine, images in that engine or in a registry, servers as containers."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from traitlets import Dict, Enum, Float, Unicode, default
from traitlets import Integer as IntegerTrait

from ..builders import Builder
from ..builders.docker import DockerBuilder
from ..clients.credentials import docker_config_directory
from ..clients.engine import Engine, EngineAddress
from ..clients.registry import RegistryClient
from ..errors import Unavailable
from ..images import Images
from ..images.build_artifacts import instance_id_of
from ..images.docker import DockerImages
from ..images.registry import RegistryImages
from ..process.programs import find_uv
from ..worker.docker_job import DockerSettings
from ..worker.image_settings import DEFAULT_REPO2DOCKER
from ..worker.job import ProcessLimits
from ..worker.push_check import check_may_push
from .base import SECONDS_ON_THIS_MACHINE
from .repo2docker import Repo2dockerMode

_PROXIES = {"HTTP_PROXY": "httpProxy", "HTTPS_PROXY": "httpsProxy", "NO_PROXY": "noProxy", "FTP_PROXY": "ftpProxy", "ALL_PROXY": "allProxy"}


class DockerMode(Repo2dockerMode):
    """Makes container images with repo2docker in a container engine."""

    engine_host = Unicode(
        help="""The container engine, as Docker's own programs take it in ``DOCKER_HOST``.

        With TLS, ``DOCKER_TLS_VERIFY`` and ``DOCKER_CERT_PATH`` are heeded. Default: ``DOCKER_HOST``, else ``unix:///var/run/docker.sock``.
        Example: ``tcp://engine.example.org:2376``.
        """,
    ).tag(config=True)
    repo2docker_version = Unicode(
        DEFAULT_REPO2DOCKER,
        help=f"""The version of repo2docker that is installed, in an environment of its own, when the first image is built.

        Versions from 2025 on need Docker's buildx; 2024.7.0 does not. Another version means other image names.
        Default: ``{DEFAULT_REPO2DOCKER}``.
        """,
    ).tag(config=True)
    repo2docker = Unicode(
        "",
        help="""A repo2docker program to run instead of installing one.

        Default: none. Example: ``/opt/repo2docker/bin/jupyter-repo2docker``.
        """,
    ).tag(config=True)
    build_proxies = Dict(
        key_trait=Enum(list(_PROXIES)),
        value_trait=Unicode(),
        help="""Proxies that every step of a build sees, by the names of environment variables.

        They change neither images nor their names. Every repository can read them: no passwords. Without this setting, ``proxies`` in
        Docker's own configuration is heeded. Default: none. Example: ``{"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "localhost"}``.
        """,
    ).tag(config=True)
    memory_limit_bytes = IntegerTrait(
        0,
        min=0,
        help="""How much memory a build may use; 0 for any amount.

        With repo2docker 2025 and newer, limited builds run in a BuildKit container of their own, which all of them share with its limit.
        Default: 0. Example: ``4 * 1024**3``.
        """,
    ).tag(config=True)
    cpu_limit = Float(0, min=0, help="""How many processors a build may use; 0 for all. See `memory_limit_bytes`. Default: 0.""").tag(config=True)
    buildkit_image = Unicode(
        "moby/buildkit:buildx-stable-1",
        help="""The image that limited builds run in. Default: ``moby/buildkit:buildx-stable-1``.""",
    ).tag(config=True)

    @default("engine_host")
    def _engine_host_default(self) -> str:
        return os.environ.get("DOCKER_HOST") or EngineAddress().host

    def make(self, state: Path, limits: ProcessLimits) -> tuple[Images, Builder]:
        """Return the engine's images or a registry's, and repo2docker as builder."""
        if self.layer_cache and not self.registry:
            raise Unavailable("DockerMode.layer_cache needs DockerMode.registry: that is where layers are kept.", code="service_starting")
        state.mkdir(parents=True, exist_ok=True)
        settings = self.settings(state, os.environ)
        docker_config = Path(settings.docker_config)
        credentials = self.credentials(docker_config)
        credentials.write(Path(settings.logins))
        engine = Engine(settings.engine)
        local = DockerImages(engine, settings.image_prefix, settings.name_text(), settings.instance_id)
        if not self.registry:
            return local, DockerBuilder(state, engine, settings, limits)
        client = RegistryClient(credentials, self.plain_http_registries)
        images = RegistryImages(client, settings.image_prefix, settings.name_text(), local, self.registry_answer_seconds)
        return images, DockerBuilder(state, engine, settings, limits, images.forget, partial(check_may_push, client, credentials))

    def image_seconds(self) -> float:
        """Return how long images are kept in the engine; a registry's are the registry's affair."""
        return 0 if self.registry else SECONDS_ON_THIS_MACHINE

    def builder_info(self) -> dict[str, str]:
        """Return the version of repo2docker that is installed, or the program that is used instead."""
        return {"repo2docker-version": self.repo2docker or self.repo2docker_version}

    def settings(self, state: Path, environment: Mapping[str, str]) -> DockerSettings:
        """Return what the builder needs to know; no secret is in it."""
        certificates = environment.get("DOCKER_CERT_PATH", "") if environment.get("DOCKER_TLS_VERIFY") else ""
        return self.record(
            DockerSettings,
            image_prefix=self.whole_prefix(),
            engine=EngineAddress(self.engine_host, certificates),
            push=bool(self.registry),
            docker_config=str(docker_config_directory(environment)),
            logins=str(state / "registry-logins.json"),
            instance_id=instance_id_of(state),
            state=str(state / "repo2docker"),
            uv="" if self.repo2docker else _uv(),
            build_proxies={_PROXIES[name]: value for name, value in self.build_proxies.items()},
        )


def _uv() -> str:
    """Return the uv program; raises `Unavailable` if there is none."""
    try:
        return find_uv()
    except Unavailable as error:
        sentence = "Docker mode installs repo2docker with uv; install uv, or set DockerMode.repo2docker to a program."
        raise Unavailable(sentence, code="service_starting") from error
