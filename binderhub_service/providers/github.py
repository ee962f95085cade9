"""Repositories on GitHub by ``owner/repository``; resolved by git itself, so no API quota is spent on branches, tags and full SHAs."""

from __future__ import annotations

import os
import re
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

from traitlets import Unicode, default

from ..common.link_specs import address_and_ref, begins_as_address
from ..errors import InvalidRequest, NotFound
from ..models import Request, Source
from .addresses import SHORT_SHA, check_ref, checked_address, path_on, ref_from_spec, spec_parts
from .base import Display, Provider
from .github_api import GitHubApi
from .ls_remote import LsRemote

_NAME = r"[A-Za-z0-9._-]+"
_SHORT = re.compile(rf"^(?P<owner>{_NAME})/(?P<repository>{_NAME})$")


class GitHubProvider(Provider):
    """Repositories of one GitHub."""

    name: ClassVar[str] = "gh"
    event_name: ClassVar[str] = "GitHub"
    spec_form: ClassVar[str] = "user/repo/ref"
    rank: ClassVar[int] = 10

    url = Unicode(
        "https://github.com",
        help="""The GitHub that ``owner/repository`` and links with ``/gh/`` mean.

        Default: ``https://github.com``. Example, for GitHub Enterprise: ``https://github.example.org``.
        """,
    ).tag(config=True)
    api_url = Unicode(
        help="""The API of that GitHub.

        It is asked for abbreviated SHAs and for gists, of which Git servers say nothing. Default: ``https://api.github.com``, or
        ``/api/v3`` below `url`.
        """,
    ).tag(config=True)
    access_token = Unicode(
        help="""A token for GitHub's API, which answers more questions an hour with it.

        It needs no scopes. Repositories that only it can read are not cloned with it. Default: the environment's ``GITHUB_ACCESS_TOKEN``, or none.
        """,
    ).tag(config=True)
    client_id = Unicode(
        help="""The identifier of an OAuth application at GitHub, for its API; used with `client_secret`, instead of a token.

        Default: the environment's ``GITHUB_CLIENT_ID``, or none.
        """,
    ).tag(config=True)
    client_secret = Unicode(
        help="""The secret of that OAuth application.

        Default: the environment's ``GITHUB_CLIENT_SECRET``, or none.
        """,
    ).tag(config=True)

    @default("api_url")
    def _api_url_default(self) -> str:
        url = self.url.rstrip("/")
        return "https://api.github.com" if url == "https://github.com" else f"{url}/api/v3"

    @default("access_token")
    def _access_token_default(self) -> str:
        return os.environ.get("GITHUB_ACCESS_TOKEN", "")

    @default("client_id")
    def _client_id_default(self) -> str:
        return os.environ.get("GITHUB_CLIENT_ID", "")

    @default("client_secret")
    def _client_secret_default(self) -> str:
        return os.environ.get("GITHUB_CLIENT_SECRET", "")

    def __init__(self, git: LsRemote | None = None, **settings: Any) -> None:
        super().__init__(git, **settings)
        self._base_url = self.url.rstrip("/")
        self._host = urlsplit(self._base_url).netloc.lower()
        self.api = GitHubApi(self.api_url, token=self.access_token, client=(self.client_id, self.client_secret))

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
        if begins_as_address(spec):
            address, ref = address_and_ref(spec)
            return Request(repo=address, ref=ref_from_spec(ref), provider=self.name)
        owner, repository, ref = spec_parts(spec)
        if not owner or not repository:
            raise InvalidRequest("The link names no repository.", hint="A link ends with gh/<owner>/<repository>/<ref>.")
        return Request(repo=f"{owner}/{repository}", ref=ref_from_spec(ref), provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return ``owner/repository/ref``."""
        path = self.canonical_repo(request).removeprefix(f"{self._base_url}/")
        return f"{path}/{quote(request.ref or 'HEAD')}"

    async def resolve(self, request: Request) -> Source:
        """Ask the Git server for the commit, and GitHub's API about an abbreviated one; a full SHA is taken as given."""
        address = self.canonical_repo(request)
        owner, repository = address.rsplit("/", 2)[1:]
        try:
            commit = await self.git.commit_of(address, request.ref)
        except NotFound as error:
            if error.code != "ref_not_found" or not SHORT_SHA.match(request.ref.lower()):
                raise
            commit = await self.api.commit(owner, repository, request.ref.lower())
        return Source(provider=self.name, repo=address, url=address, slug=f"{owner}-{repository}", ref=request.ref or "HEAD", commit=commit)

    def ref_url(self, source: Source) -> str:
        """Return the page of the repository's files at the commit."""
        return f"{source.repo}/tree/{source.commit}"

    def display(self) -> Display:
        """Say how forms ask for a repository."""
        return Display(
            name="GitHub",
            repo_label="GitHub repository or its address",
            repo_placeholder=f"owner/repository, or {self._base_url}/owner/repository",
            spec_pattern="[^/]+/[^/]+/.+",
            repo_pattern=f"^(https?://{self._host}/)?(?<repo>.*[^/])/?",
        )

    def _match(self, repo: str) -> re.Match[str] | None:
        match = _SHORT.match(path_on(self._host, repo) or "")
        return match if match and not {match["owner"], match["repository"].removesuffix(".git")} & {"", ".", ".."} else None
