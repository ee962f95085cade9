"""Gists on GitHub by ``user/gist``; the API says whether a gist is secret, which git does not."""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import quote, urlsplit

from traitlets import Bool, Unicode

from ..common.pasted import GIST_ID
from ..errors import InvalidRequest, NotAllowed, NotFound
from ..models import Request, Source
from .addresses import SHA, check_ref, checked_address, path_on, ref_from_spec, spec_parts
from .base import Display
from .github import GitHubProvider

_GIST = re.compile(r"^(?P<user>[A-Za-z0-9._-]+)/(?P<gist>[0-9A-Za-z]+)(?:\.git)?$")
_USER = re.compile(r"[A-Za-z0-9._-]{1,100}")
_NEWEST = {"", "HEAD", "main", "master"}


class GistProvider(GitHubProvider):
    """Gists; the settings of `GitHubProvider` hold for them, too."""

    name: ClassVar[str] = "gist"
    event_name: ClassVar[str] = "Gist"
    spec_form: ClassVar[str] = "user/gist_id"
    rank: ClassVar[int] = 20
    renamed_heads: ClassVar[frozenset[str]] = frozenset()

    gist_url = Unicode(
        "https://gist.github.com",
        help="""Where gists are.

        Default: ``https://gist.github.com``. Example, for GitHub Enterprise: ``https://gist.github.example.org``.
        """,
    ).tag(config=True)
    allow_secret_gist = Bool(
        False,
        help="""Whether secret gists may be used.

        Everybody who knows the address of a secret gist can read it; what is built from it can be seen by more people. Default: false.
        """,
    ).tag(config=True)

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is the address of a gist; ``user/gist`` alone would be a repository's as well."""
        return "://" in repo and self._match(repo) is not None

    def is_short(self, repo: str) -> bool:
        """Say whether an address names a gist without its user."""
        return "://" in repo and self._alone(repo) is not None

    async def full_address(self, repo: str) -> str:
        """Ask GitHub for the gist's user; those of nobody are told as anonymous, as GitHub does."""
        match = self._alone(repo)
        if match is None:
            return repo
        found = await self.api.gist(match["gist"])
        if found is None:
            raise _not_there(f"{self._gists}/{match['gist']}")
        owner = found.get("owner")
        login = owner.get("login") if isinstance(owner, dict) else "anonymous"
        if not isinstance(login, str) or not _USER.fullmatch(login):
            raise self.api.trouble("did not name the gist's user")
        return f"{self._gists}/{login}/{match['gist']}"

    def canonical_repo(self, request: Request) -> str:
        """Return ``https://gist.github.com/user/gist``."""
        check_ref(request.ref)
        match = self._match(request.repo)
        if match is None:
            checked_address(request.repo)  # says what else may be wrong with it
            raise InvalidRequest("This is not the address of a gist.", code="unsupported_address", hint=f"Give {self._gists}/user/gist_id.")
        return f"{self._gists}/{match['user']}/{match['gist']}"

    def request_from_spec(self, spec: str) -> Request:
        """Read ``user/gist`` or ``user/gist/ref``."""
        user, gist, ref = spec_parts(spec)
        if not user or not gist:
            raise InvalidRequest("The link names no gist.", hint="A link ends with gist/<user>/<gist_id>.")
        return Request(repo=f"{user}/{gist}", ref=ref_from_spec(ref), provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return ``user/gist/ref``."""
        return f"{self.canonical_repo(request).removeprefix(f'{self._gists}/')}/{quote(request.ref or 'HEAD')}"

    async def resolve(self, request: Request) -> Source:
        """Ask GitHub for the gist's revisions; ``main``, ``master`` and ``HEAD`` all mean the newest."""
        address = self.canonical_repo(request)
        gist_id = address.rpartition("/")[2]
        commit = await self._commit(address, gist_id, request.ref)
        return Source(provider=self.name, repo=address, url=f"{address}.git", slug=gist_id, ref=request.ref or "HEAD", commit=commit)

    async def _commit(self, address: str, gist_id: str, ref: str) -> str:
        found = await self.api.gist(gist_id)
        if found is None:
            raise _not_there(address)
        history = found.get("history")
        if not isinstance(history, list) or not all(isinstance(revision, dict) for revision in history):
            raise self.api.trouble("did not list the gist's revisions")
        if not found.get("public") and not self.allow_secret_gist:
            raise NotAllowed(
                f"The gist {address} is secret.", code="secret_gist", hint="Make it public, or ask an administrator to allow secret gists."
            )
        versions = [self.api.commit_in(revision.get("version")) for revision in history]
        if ref in _NEWEST and versions:
            return versions[0]
        sha = ref.lower()
        matching = [version for version in versions if sha and version.startswith(sha)]
        if len(matching) == 1:
            return matching[0]
        if SHA.match(sha) and await self.api.gist(gist_id, sha) is not None:  # older than what GitHub lists
            return sha
        raise NotFound(f"The gist {address} has no revision {ref!r}.", code="ref_not_found", hint="Leave the ref empty for the newest one.")

    def ref_url(self, source: Source) -> str:
        """Return the page of the gist at the revision."""
        return f"{source.repo}/{source.commit}"

    def display(self) -> Display:
        """Say how forms ask for a gist."""
        return Display(
            name="GitHub Gist",
            repo_label="User and identifier of a gist, or its address",
            repo_placeholder=f"user/gist_id, or {self._gists}/user/gist_id",
            spec_pattern="[^/]+/[^/]+(/[^/]+)?",
            repo_pattern=f"^(https?://{urlsplit(self._gists).netloc}/)?(?<repo>.*[^/])/?",
        )

    @property
    def _gists(self) -> str:
        return self.gist_url.rstrip("/")

    def _alone(self, repo: str) -> re.Match[str] | None:
        return GIST_ID.fullmatch(path_on(urlsplit(self._gists).netloc.lower(), repo) or "")

    def _match(self, repo: str) -> re.Match[str] | None:
        match = _GIST.match(path_on(urlsplit(self._gists).netloc.lower(), repo) or "")
        return match if match and match["user"] not in {".", ".."} else None


def _not_there(address: str) -> NotFound:
    return NotFound(f"The gist {address} does not exist.", code="repository_not_found", hint="Check the spelling of its address.")
