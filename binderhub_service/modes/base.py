"""The seam between modes and everything else."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from traitlets.config import Configurable

from ..builders import Builder
from ..images import Images
from ..images.uv_cache import UvCache
from ..worker.job import ProcessLimits
from ..working_copies import WorkingCopies

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Record = TypeVar("Record", bound="DataclassInstance")
SECONDS_ON_THIS_MACHINE = 90 * 24 * 3600.0
"""How long images are kept whose disk is the service's to look after."""


class Mode(Configurable):
    """The settings of one mode, and the parts that it is made of.

    Attributes:
        git_credentials: logins of Git servers that builds have, as Git's credential store keeps them; most modes leave that to the
            configuration of the user that git runs as.
    """

    git_credentials: str = ""

    def record(self, kind: type[Record], **given: Any) -> Record:
        """Return a record of settings: its fields have the values of the settings of their names, unless they are given."""
        named = {one.name: getattr(self, one.name) for one in fields(kind) if self.has_trait(one.name)}
        return kind(**{**named, **given})

    @abstractmethod
    def make(self, state: Path, limits: ProcessLimits) -> tuple[Images, Builder]:
        """Return the image store and the builder.

        Args:
            state: the directory for whatever they keep on this machine.
            limits: what a build may use of it.
        """

    def image_seconds(self) -> float:
        """Return how long an image that nobody asks for is kept where the operator says nothing; 0 for ever."""
        return 0

    def uv_cache(self, state: Path) -> UvCache | None:
        """Return the cache of uv that builds have in the state directory; None if they have none there."""
        return None

    def working_copies(self, state: Path) -> WorkingCopies | None:
        """Return people's files in the state directory; None if they are elsewhere."""
        return None

    def builder_info(self) -> dict[str, str]:
        """Return what ``versions`` says about the builder, in BinderHub's words."""
        return {}
