"""Repositories on GitHub by ``owner/repository``; resolved by git itself, so no API quota is spent."""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import unquote, urlsplit

from ..errors import InvalidRequest
from ..models import Request, Source
from .base import Provider
from .git import GitProvider, check_ref, checked_address

_NAME = r"[A-Za-z0-9._-]+"
_SHORT = re.compile(rf"^(?P<owner>{_NAME})/(?P<repository>{_NAME})$")


class GitHubProvider(Provider):
    """Repositories of one GitHub.

    Args:
        git: what asks the server for commits.
        base_url: the GitHub's own address; another one for GitHub Enterprise.
    """

    name: ClassVar[str] = "gh"

    def __init__(self, git: GitProvider, base_url: str = "https://github.com") -> None:
        self._git = git
        self._base_url = base_url.rstrip("/")
        self._host = urlsplit(self._base_url).netloc.lower()

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is ``owner/repository`` or an address on this GitHub."""
        return self._match(repo) is not None

    def canonical_repo(self, request: Request) -> str:
        """Return ``https://github.com/owner/repository``, whatever spelling was pasted."""
        check_ref(request.ref)
        match = self._match(request.repo)
        if match is None:
            checked_address(request.repo)  # says what else may be wrong with it
            raise InvalidRequest(
                f"This is not the address of a repository on {self._host}.",
                code="unsupported_address",
                hint=f"Give owner/repository, or {self._base_url}/owner/repository.",
            )
        return f"{self._base_url}/{match['owner']}/{match['repository'].removesuffix('.git')}"

    def request_from_spec(self, spec: str) -> Request:
        """Read ``owner/repository/ref``; the ref may hold slashes, and may be missing."""
        owner, _, rest = spec.partition("/")
        repository, _, ref = rest.partition("/")
        if not owner or not repository:
            raise InvalidRequest("The link names no repository.", hint="A link ends with gh/<owner>/<repository>/<ref>.")
        ref = unquote(ref.rstrip("/"))
        return Request(repo=f"{unquote(owner)}/{unquote(repository)}", ref="" if ref == "HEAD" else ref, provider=self.name)

    async def resolve(self, request: Request) -> Source:
        """Ask the Git server for the commit; a full SHA is taken as given."""
        address = self.canonical_repo(request)
        commit = await self._git.commit_of(address, request.ref)
        owner, repository = address.rsplit("/", 2)[1:]
        return Source(provider=self.name, repo=address, url=address, slug=f"{owner}-{repository}", ref=request.ref or "HEAD", commit=commit)

    def _match(self, repo: str) -> re.Match[str] | None:
        text = repo.strip().rstrip("/")
        ssh = re.match(rf"^(?:ssh://)?git@{re.escape(self._host)}[:/](?P<path>.+)$", text)
        if ssh:
            text = ssh["path"]
        elif "://" in text:
            scheme, _, rest = text.partition("://")
            host, _, path = rest.partition("/")
            if scheme.lower() not in {"http", "https"} or host.lower().removeprefix("www.") != self._host:
                return None
            text = path
        match = _SHORT.match(text)
        return match if match and not {match["owner"], match["repository"].removesuffix(".git")} & {"", ".", ".."} else None
