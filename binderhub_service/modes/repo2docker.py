"""What the modes share that make container images with repo2docker."""

from __future__ import annotations

import os
from pathlib import Path

from traitlets import Bool, Dict, Float, Unicode
from traitlets import Integer as IntegerTrait
from traitlets import List as ListTrait

from ..clients.credentials import Credentials, login_from, login_from_environment
from .base import Mode


class Repo2dockerMode(Mode):
    """Makes container images with repo2docker."""

    registry = Unicode(
        "",
        help="""The registry that images are pushed to and servers pull from; empty to keep images in docker mode's engine alone.

        Kubernetes mode needs one. Default: none. Examples: ``127.0.0.1:5000``, ``ghcr.io/example``, ``docker.io/example``.
        """,
    ).tag(config=True)
    image_prefix = Unicode(
        "binder-",
        help="""What every image's name begins with, behind the registry.

        Names are formed as BinderHub forms them: with BinderHub's ``image_prefix`` split into `registry` and the rest, its images are
        found and used. Default: ``binder-``.
        """,
    ).tag(config=True)
    registry_credentials = ListTrait(
        Dict(),
        help="""Logins for registries, each with ``registry``, ``username`` and ``password``.

        They win over Docker's own configuration (``config.json`` with ``auths``, ``credHelpers``, ``credsStore``), which is read as well; a
        login in the environment variable ``CONTAINER_ENGINE_REGISTRY_CREDENTIALS`` (JSON with the same three) wins over both.
        Default: none. Example: ``[{"registry": "ghcr.io", "username": "me", "password": "..."}]``.
        """,
    ).tag(config=True)
    plain_http_registries = ListTrait(
        Unicode(),
        help="""Registries that speak no TLS, as host and port; those on loopback may always.

        Whatever pulls for servers must know them as well: an engine by ``insecure-registries``, a cluster's nodes by their container
        runtime's settings. Default: none. Example: ``["registry:5000"]``.
        """,
    ).tag(config=True)
    repo2docker_arguments = ListTrait(
        Unicode(),
        help="""More arguments for repo2docker. Another list means other image names. Default: none. Example: ``["--cache-from=base"]``.""",
    ).tag(config=True)
    base_image = Unicode(
        "",
        help="""The image that repo2docker's images begin with. Default: repo2docker's own. Example: ``docker.io/library/buildpack-deps:jammy``.""",
    ).tag(config=True)
    appendix = Unicode(
        "",
        help="""Dockerfile instructions at the end of every image that repo2docker describes itself (not of repositories' own Dockerfiles).

        Default: none. Example: ``"USER root\\nRUN apt-get update\\nUSER ${NB_USER}"``.
        """,
    ).tag(config=True)
    build_arguments = Dict(
        Unicode(),
        help="""Build arguments (``ARG`` in Dockerfiles). They stay readable in the image: no secrets. Default: none.

        Example: ``{"PIP_INDEX_URL": "https://pypi.example.org/simple"}``, for Dockerfiles with ``ARG PIP_INDEX_URL``.
        """,
    ).tag(config=True)
    user_name = Unicode("jovyan", help="""The user in images that servers run as. Default: ``jovyan``.""").tag(config=True)
    user_id = IntegerTrait(1000, min=1, help="""That user's number; 0 (root) is not possible. Default: 1000.""").tag(config=True)
    reuse_environments = Bool(
        True,
        help="""Build an environment once and put the content of further commits with the same environment on top of it.

        Where the environment depends on the rest of the repository (postBuild, a Dockerfile, local packages), the whole is built.
        Default: True.
        """,
    ).tag(config=True)
    layer_cache = Bool(
        False,
        help="""Whether a build takes the layers of the last build of the same repository and ref, for the instructions that did not change.

        They are kept in the registry as ``PREFIXlayers``. Nobody changes them but who writes to that branch of that repository; a commit that is
        asked for by its hash neither takes nor leaves any. They are fetched before a build, which costs time where nothing of them can be used. Of
        a Dockerfile of several stages, the last stage's are kept. Docker mode needs `registry` and buildx for it, see
        `DockerMode.repo2docker_version`. Default: False.
        """,
    ).tag(config=True)
    registry_answer_seconds = Float(
        5,
        min=0,
        help="""For how many seconds a registry that has said that an image is there is not asked again. Default: 5.""",
    ).tag(config=True)

    def whole_prefix(self) -> str:
        """Return what every image's name begins with, the registry included, as it is in names."""
        prefix = f"{self.registry.rstrip('/')}/{self.image_prefix}" if self.registry else self.image_prefix
        return prefix.replace("_", "-").lower()

    def credentials(self, docker_config: Path) -> Credentials:
        """Return the logins of the settings and the environment, and Docker's own behind them; raises `ValueError` without content."""
        where = f"Every entry of {type(self).__name__}.registry_credentials"
        given = [login_from(content, where) for content in self.registry_credentials]
        from_environment = login_from_environment(os.environ)
        return Credentials([*given, *([from_environment] if from_environment else [])], docker_config)
