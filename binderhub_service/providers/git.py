"""Any Git server, by address."""

from __future__ import annotations

from typing import ClassVar
from urllib.parse import quote

from ..common.link_specs import address_and_ref
from ..errors import InvalidRequest
from ..models import Request, Source
from .addresses import check_ref, checked_address, is_address, ref_from_spec
from .base import Display, Provider


class GitProvider(Provider):
    """Repositories by address: http, https, ssh and git."""

    name: ClassVar[str] = "git"
    event_name: ClassVar[str] = "Git"
    spec_form: ClassVar[str] = "escaped-address/ref"
    rank: ClassVar[int] = 30
    is_generic: ClassVar[bool] = True

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is an address that git can ask."""
        return is_address(repo)

    def canonical_repo(self, request: Request) -> str:
        """Return the address without white space, trailing slashes and ``user@host:path`` shorthand."""
        check_ref(request.ref)
        return checked_address(request.repo)

    def request_from_spec(self, spec: str) -> Request:
        """Read ``<url-escaped repository>/<ref>``; without a ref, the default branch is meant."""
        repo, ref = address_and_ref(spec)
        if not repo:
            raise InvalidRequest("The link names no repository.", hint="A link ends with git/<url-escaped repository>/<ref>.")
        if repo.endswith(":"):  # what stands in front of the first slash of an address
            hint = "Escape its slashes, too: git/https%3A%2F%2Fgit.example.org%2Fowner%2Frepository/<ref>."
            raise InvalidRequest("The repository's address in the link is not escaped.", hint=hint)
        return Request(repo=repo, ref=ref_from_spec(ref), provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return ``<url-escaped repository>/<ref>``."""
        return f"{quote(self.canonical_repo(request), safe='')}/{quote(request.ref or 'HEAD')}"

    async def resolve(self, request: Request) -> Source:
        """Ask the Git server for the commit; a full SHA is taken as given."""
        address = self.canonical_repo(request)
        commit = await self.git.commit_of(address, request.ref)
        return Source(provider=self.name, repo=address, url=address, slug=address, ref=request.ref or "HEAD", commit=commit)

    def ref_url(self, source: Source) -> str:
        """Return the repository's address: there is no other that every Git server knows."""
        return source.url

    def display(self) -> Display:
        """Say how forms ask for a repository."""
        return Display(
            name="Git repository",
            repo_label="Address of a Git repository",
            repo_placeholder="e.g. https://git.example.org/group/repository",
            spec_pattern="[^/]+/.+",
            is_repo_escaped=True,
        )
