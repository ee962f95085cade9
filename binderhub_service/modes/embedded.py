"""Embedded mode: uv environments and local processes; Python and git are enough."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version
from pathlib import Path

from traitlets import Bool, Enum, Unicode, default
from traitlets import List as ListTrait

from ..builders import Builder
from ..builders.process import ProcessBuilder
from ..common.private import let_through
from ..images import Images
from ..images.environments import EnvironmentImages
from ..images.layout import PUBLISHED
from ..images.server_packages import server_packages
from ..images.uv_cache import UvCache
from ..process.programs import find_uv
from ..process.state_lock import state_errors_converted
from ..worker.environment_job import FIRST_INDEX, EnvironmentSettings
from ..worker.job import ProcessLimits
from ..working_copies import WorkingCopies
from .base import SECONDS_ON_THIS_MACHINE, Mode


class EmbeddedMode(Mode):
    """Makes an environment per repository on this machine."""

    base_requirements = ListTrait(
        Unicode(),
        help="""Requirements that are part of every environment.

        They must bring ``jupyterhub-singleuser`` in a version that fits the hub. Another list means other images, so everything
        is built anew. Default: jupyterhub in this process's version, jupyterlab, pip. Example: ``["jupyterhub==6.1.1", "jupyterlab", "voila"]``.
        """,
    ).tag(config=True)
    python = Unicode(
        f"{sys.version_info.major}.{sys.version_info.minor}",
        help="""The Python version of environments whose repository asks for none.

        uv must find it on this machine or be able to download it. Default: this process's own. Example: ``3.12``.
        """,
    ).tag(config=True)

    index_strategy = Enum(
        (FIRST_INDEX, "unsafe-best-match"),
        default_value=FIRST_INDEX,
        help="""From which of several package indexes the versions of a package come.

        ``first-index`` takes a package from the first index that has it, so that nobody can put a package of the same name in another one;
        ``unsafe-best-match`` takes the best version of all indexes, as pip does. Another strategy means other images, so everything is built
        anew. Default: ``first-index``. Example: ``unsafe-best-match``.
        """,
    ).tag(config=True)

    other_accounts = Bool(
        False,
        help="""Whether servers run as other accounts of this machine than the service.

        Then they are let through the folders of images, which they can neither list nor write to; who knows a repository and a commit can read its
        image. `configure()` sets it where the hub runs as root. Default: false.
        """,
    ).tag(config=True)

    @default("base_requirements")
    def _base_requirements_default(self) -> list[str]:
        return [f"jupyterhub=={version('jupyterhub')}", "jupyterlab", "pip"]

    def make(self, state: Path, limits: ProcessLimits) -> tuple[Images, Builder]:
        """Return directories for images and detached processes as builder."""
        if self.other_accounts:
            with state_errors_converted(state):
                let_through([state, *(state / folder for folder in PUBLISHED)])
        settings = EnvironmentSettings(tuple(self.base_requirements), self.python, find_uv(), self.index_strategy, server_packages(state))
        return EnvironmentImages(state, settings.as_text()), ProcessBuilder(state, settings, limits)

    def image_seconds(self) -> float:
        """Return how long environments are kept, whose disk is the state directory's."""
        return SECONDS_ON_THIS_MACHINE

    def uv_cache(self, state: Path) -> UvCache | None:
        """Return it, unless the operator has put it elsewhere."""
        return None if os.environ.get("UV_CACHE_DIR") else UvCache(state)

    def working_copies(self, state: Path) -> WorkingCopies | None:
        """Return them, unless servers run as other accounts, which have them in their homes."""
        return None if self.other_accounts else WorkingCopies(state)
