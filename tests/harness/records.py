"""Records and doubles for tests of everything between the ports."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from binderhub_service.builds.access import BUILD_SCOPE, CANCEL_SCOPE, READ_SCOPE
from binderhub_service.errors import NotFound
from binderhub_service.models import Build, Caller, Event, Image, Kind, Phase, Request, Source, State
from binderhub_service.providers import Provider
from binderhub_service.providers.base import Display

MAY_BUILD = frozenset({BUILD_SCOPE})
ALICE = Caller("alice", scopes=MAY_BUILD)
BOB = Caller("bob", scopes=MAY_BUILD)
CAROL = Caller("carol", scopes=MAY_BUILD)
READER = Caller("reader", scopes=frozenset({READ_SCOPE}))
CANCELLER = Caller("canceller", scopes=frozenset({READ_SCOPE, CANCEL_SCOPE}))
ADMIN = Caller("root-admin", admin=True)
DAY = datetime(2026, 3, 1, 12, tzinfo=UTC)


def commit(number: int = 1) -> str:
    """Return a commit's SHA that is different for different numbers."""
    return f"{number:040x}"


def source(number: int = 1, repo: str = "https://git.example.org/o/r", ref: str = "main") -> Source:
    """Return what a request for `repo` meant."""
    return Source(provider="git", repo=repo, url=repo, slug=repo, ref=ref, commit=commit(number))


def build(number: int = 1, *, state: State = State.QUEUED, owner: str = "alice", image: str = "", **more: Any) -> Build:
    """Return a build whose id sorts by `number`."""
    values: dict[str, Any] = {
        "id": f"b{number:08d}",
        "source": source(number),
        "image": Image(image or f"image-{number}"),
        "state": state,
        "phase": Phase.QUEUED,
        "owner": owner,
        "created": DAY + timedelta(seconds=number),
    }
    return Build(**values | more)


def lines(first: int, last: int) -> list[Event]:
    """Return log events numbered `first` to `last`."""
    return [Event(number, Kind.LOG, f'{{"text": "line {number}"}}') for number in range(first, last + 1)]


class TableProvider(Provider):
    """Knows the commits in `refs`; counts how often it was asked.

    Attributes:
        gate: waited for before every answer, if there is one.
    """

    name: ClassVar[str] = "git"
    event_name: ClassVar[str] = "Git"
    spec_form: ClassVar[str] = "repository/ref"

    def __init__(self, **refs: str) -> None:
        super().__init__()
        self.refs = {"main": commit(1), "": commit(1), **refs}
        self.asked: list[Request] = []
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    def understands(self, repo: str) -> bool:
        """Take everything."""
        return True

    def canonical_repo(self, request: Request) -> str:
        """Return it as it is."""
        return request.repo

    def request_from_spec(self, spec: str) -> Request:
        """Read ``repository/ref`` without escapes."""
        repo, _, ref = spec.partition("/")
        return Request(repo, ref)

    def spec_of(self, request: Request) -> str:
        """Return ``repository/ref`` without escapes."""
        return f"{request.repo}/{request.ref or 'HEAD'}"

    def ref_url(self, source: Source) -> str:
        """Return the repository's address."""
        return source.repo

    def display(self) -> Display:
        """Say how forms ask for a repository."""
        return Display(name="Table", repo_label="Repository", repo_placeholder="e.g. o/r", spec_pattern=".+")

    async def names_among(self, request: Request, names: Sequence[str]) -> frozenset[str]:
        """Look the names up."""
        return frozenset(self.refs.keys() & set(names))

    async def resolve(self, request: Request) -> Source:
        """Look the ref up."""
        self.asked.append(request)
        if self.gate:
            await self.gate.wait()
        if self.error:
            raise self.error
        if request.ref not in self.refs:
            raise NotFound(f"There is no {request.ref}.", code="ref_not_found")
        return Source("git", request.repo, request.repo, request.repo, request.ref or "HEAD", self.refs[request.ref])


async def whole(batches: AsyncGenerator[Sequence[Event]]) -> list[Event]:
    """Return all events of batches that end."""
    return [event async for batch in batches for event in batch]
