"""What is kept for the clients of older services."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
