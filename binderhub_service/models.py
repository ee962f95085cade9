"""The records that all folders use; frozen, and free of any framework."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import Any

_LONGEST_NAME = 200
_KEPT_KEYS = 10_000


# The provider of images that are there already.
GIVEN_IMAGE = "image"
# The provider of environments that the operator has prepared.
PREPARED = "prepared"
# Returns the digest (``sha256:...``) that an image's name means now, None if there is no such image; raises `Unavailable`.
FindDigest = Callable[[str], Awaitable[str | None]]


def now() -> datetime:
    """Return the time, with its zone."""
    return datetime.now(UTC)


def iso(time: datetime | None) -> str | None:
    """Return a time as the wire writes it: UTC, ISO-8601, milliseconds and ``Z``."""
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z") if time else None


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


class Kind(StrEnum):
    """What an event tells."""

    PHASE = "phase"
    LOG = "log"
    QUEUE = "queue"
    END = "end"


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


@dataclass(frozen=True)
class Event:
    """A numbered event of a build.

    Attributes:
        number: 1..n within its build.
        kind: see `Kind`.
        data: JSON text, serialised once, sent to every follower as it is.
    """

    number: int
    kind: Kind
    data: str

    @cached_property
    def payload(self) -> dict[str, Any]:
        """`data`, parsed."""
        parsed: dict[str, Any] = json.loads(self.data)
        return parsed

    @cached_property
    def frame(self) -> bytes:
        """The event as a server-sent event, ready for the socket."""
        return f"id: {self.number}\nevent: {self.kind}\ndata: {self.data}\n\n".encode()


class Batch(list[Event]):
    """Events that follow each other, not to be changed; followers at the same place share it."""

    @cached_property
    def frames(self) -> bytes:
        """All events as server-sent events, joined once for every follower."""
        return b"".join([event.frame for event in self])


@dataclass(frozen=True)
class Report:
    """What a builder tells: one step of a build, and its position in the builder's own reports.

    Attributes:
        kind: `Kind.PHASE` or `Kind.LOG`.
        data: ``{"phase": ...}`` or ``{"text": ...}``; ``{"made": True}`` from a builder whose image servers can be started from, and that
            still looks whether that works.
        cursor: given back to `Builder.run` to go on right after this report, by a later process, too.
    """

    kind: Kind
    data: Mapping[str, Any]
    cursor: str = ""


@dataclass(frozen=True)
class Account:
    """An account of the hub, or one of its services.

    Attributes:
        name: the user's name now, or ``service:NAME`` for a hub service.
        created: when the hub made the account, in UTC; None for a service, and if the hub does not tell.
    """

    name: str
    created: datetime | None = None

    @property
    def key(self) -> str:
        """What tells the account from all others, also from those that had the name before; at most 255 characters, as the store has place for.

        The name alone where there is no time. No user's name has a slash, so no name is another account's key.
        """
        return self.name if self.created is None else _account_key(self.name, self.created)


@lru_cache(_KEPT_KEYS)
def _account_key(name: str, created: datetime) -> str:
    short = name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()
    return f"{short}/{created.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


@dataclass(frozen=True)
class Caller:
    """Somebody who asks the service for something, as the hub knows them.

    Attributes:
        name: the user's name, or ``service:NAME`` for a hub service.
        admin: whether they may do everything.
        scopes: the scopes of the token they came with.
        created: when their account was made; None for a service, and if the hub does not tell.
    """

    name: str
    admin: bool = False
    scopes: frozenset[str] = field(default_factory=frozenset)
    created: datetime | None = None

    @property
    def account(self) -> Account:
        """Whose builds they may read."""
        return Account(self.name, self.created)


@dataclass(frozen=True)
class Template:
    """What a server is to be made of, under a name: kept for the clients of binder-build and binder-registry.

    Attributes:
        image: what servers are launched from.
        command: what to start in it; empty for the image's own.
        memory: how much a server may have, in the unit of the client's that wrote it; 0 if none is named.
        cpu_shares: its share of the processors; 0 if none is named.
        redirect_uri, container_ip, bind_port: kept for the client, and used by nobody here; empty or 0 if none is named.
    """

    name: str
    image: str
    created: datetime
    modified: datetime
    command: str = ""
    memory: int = 0
    cpu_shares: int = 0
    redirect_uri: str = ""
    container_ip: str = ""
    bind_port: int = 0


@dataclass(frozen=True)
class Control:
    """What an administrator has switched while the service runs.

    Attributes:
        kind: what it does, a value of `ControlKind`.
        pattern: what it is about; empty where the kind needs none.
        text: the reason that people see, or what is announced; may be empty.
        set_by: the administrator's name.
        set_at: in UTC.
    """

    kind: str
    pattern: str
    text: str
    set_by: str
    set_at: datetime


@dataclass(frozen=True)
class PreparedEnvironment:
    """An environment that is built ahead and kept, for people to pick by its name.

    Attributes:
        name: what links and requests call it.
        description: what people read beside the name; may be empty.
        repo, ref: what it is made from; an empty ref is the default branch.
        profile: the operator's profile that its servers have; empty for none of its own.
        set_by: the administrator's name; empty for an entry of the configuration.
        set_at: in UTC.
        image: the image that servers are made from; empty before the first is there.
        commit: what that image was made from.
        refreshed: when the image was last found to be of the newest commit, or made; in UTC.
        problem: why the last refresh failed, in a sentence; empty if it did not.
    """

    name: str
    repo: str
    set_at: datetime
    ref: str = ""
    description: str = ""
    profile: str = ""
    set_by: str = ""
    image: str = ""
    commit: str = ""
    refreshed: datetime | None = None
    problem: str = ""

    @property
    def request(self) -> Request:
        """What a refresh asks for."""
        return Request(self.repo, self.ref)

    @property
    def is_configured(self) -> bool:
        """Whether it stands in the configuration, so that nothing else changes it."""
        return not self.set_by


@dataclass(frozen=True)
class ImageJob:
    """An image that is built and pushed elsewhere, as boatyard's clients ask for it; no login is in it.

    Attributes:
        image_name: the name that it is pushed by.
        owner: the key of the account that asked.
        has_login: whether the requester brought a login to push with.
        build_id: the service's own build; empty before it begins.
        status: in boatyard's words.
        problem: what went wrong, in a sentence; empty if nothing did.
    """

    id: str
    image_name: str
    owner: str
    created: datetime
    has_login: bool = False
    build_id: str = ""
    status: str = ""
    problem: str = ""
    ended: bool = False


@dataclass(frozen=True)
class NamedBuild:
    """What binder-build knows under a name: the newest build of a repository, and how it ended.

    Attributes:
        repository: the address as it was sent.
        build_id: the service's own build; empty if none could be begun.
        phase, status: as binder-build calls them, once it is `settled`.
        error: what went wrong last; stays when a later build succeeds.
        settled: whether the end of the build is noted, and its template written.
    """

    name: str
    display_name: str
    repository: str
    started: datetime
    build_id: str = ""
    phase: str = "fetching"
    status: str = "running"
    error: str = ""
    settled: bool = False
