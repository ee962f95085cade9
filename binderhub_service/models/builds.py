"""What is asked for, what it means, what becomes of it: requests, sources, images, builds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

# The provider of images that are there already.
GIVEN_IMAGE = "image"
# The provider of environments that the operator has prepared.
PREPARED = "prepared"
# Returns the digest (``sha256:...``) that an image's name means now, None if there is no such image; raises `Unavailable`.
FindDigest = Callable[[str], Awaitable[str | None]]


class State(StrEnum):
    """Where a build is in its life; it only moves forward."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to a build in this state."""
        return self in {State.READY, State.FAILED, State.CANCELLED}


class Phase(StrEnum):
    """What a build is busy with, in the order in which it happens."""

    QUEUED = "queued"
    FETCHING = "fetching"
    BUILDING = "building"
    PUSHING = "pushing"
    DONE = "done"


@dataclass(frozen=True)
class Request:
    """What somebody asked for.

    Attributes:
        repo: the repository, as pasted (``https://host/o/r``, ``o/r``, ``git@host:o/r.git``).
        ref: branch, tag or commit; empty for the default branch.
        provider: which provider is to understand `repo` (``gh``, ``git``); empty to let the service find out.
        first_of: as in `Source`.
    """

    repo: str
    ref: str = ""
    provider: str = ""
    first_of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source:
    """Exactly what a request means: one commit.

    Attributes:
        provider: the provider that resolved it.
        repo: the repository's canonical address for people, without credentials.
        url: what `git clone` takes.
        slug: the repository's name as image names use it (BinderHub's build slug).
        ref: the ref as asked, ``HEAD`` if none was.
        commit: 40 hexadecimal digits (64 in a SHA-256 repository, and of an image's digest).
        first_of: names of files in the root, of which only the first that is there describes the environment; empty to honour all as
            repo2docker does.
    """

    provider: str
    repo: str
    url: str
    slug: str
    ref: str
    commit: str
    first_of: tuple[str, ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether it is an image that somebody else has made, `commit` being its digest: then nothing is ever built of it."""
        return self.provider == GIVEN_IMAGE


@dataclass(frozen=True)
class Image:
    """A result that servers are launched from.

    Attributes:
        name: a pure function of the source and the build settings; where it is kept decides how it looks.
        environment: the key of the environment in it, shared by all images with equal environments; empty if unknown.
        digest: of its manifest (``sha256:...``), where images have one.
    """

    name: str
    environment: str = ""
    digest: str = ""

    @property
    def reference(self) -> str:
        """What servers are launched from: the name, with the digest if there is one."""
        return f"{self.name}@{self.digest}" if self.digest and "@" not in self.name else self.name


@dataclass(frozen=True)
class Build:
    """An attempt to make an image, and what became of it.

    Attributes:
        id: sorts by creation time; safe in paths, URLs and Kubernetes names.
        error: ``code``, ``message`` and ``hint`` when it failed or was cancelled.
        last_event: the number of the newest event of its event log; 0 before the first.
        notice: a sentence for the person who asked, about this answer and not about the build; it is not stored.
    """

    id: str
    source: Source
    image: Image
    state: State
    phase: Phase
    owner: str
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    error: Mapping[str, Any] | None = None
    last_event: int = 0
    force: bool = False
    notice: str = ""
