"""Projects on GitLab by ``group/subgroup/project``; resolved by git itself, and by the API where a SHA is abbreviated."""

from __future__ import annotations

import os
import re
from typing import Any, ClassVar
from urllib.parse import quote, urlsplit

import httpx
from traitlets import Unicode, default

from ..common.link_specs import address_and_ref, begins_as_address, project_and_ref
from ..errors import InvalidRequest, NotFound
from ..models import Request, Source
from .addresses import SHORT_SHA, check_ref, checked_address, path_on, ref_from_spec
from .base import Display, Provider
from .ls_remote import LsRemote
from .web_api import WebApi

_PATH = re.compile(r"^[A-Za-z0-9_.][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_.][A-Za-z0-9_.+-]*)+$")


class GitLabProvider(Provider):
    """Projects of one GitLab, in groups as deep as they come."""

    name: ClassVar[str] = "gl"
    event_name: ClassVar[str] = "GitLab"
    spec_form: ClassVar[str] = "escaped-namespace/ref"
    rank: ClassVar[int] = 40

    url = Unicode(
        "https://gitlab.com",
        help="""The GitLab that links with ``/gl/`` mean.

        Default: ``https://gitlab.com``. Example: ``https://gitlab.example.org``.
        """,
    ).tag(config=True)
    private_token = Unicode(
        help="""A personal access token for GitLab's API, sent as ``PRIVATE-TOKEN``.

        The API is asked for abbreviated SHAs. Projects that only the token can read are not cloned with it. Default: the environment's
        ``GITLAB_PRIVATE_TOKEN``, or none.
        """,
    ).tag(config=True)
    access_token = Unicode(
        help="""An OAuth token for GitLab's API; as `private_token`.

        Default: the environment's ``GITLAB_ACCESS_TOKEN``, or none.
        """,
    ).tag(config=True)

    @default("private_token")
    def _private_token_default(self) -> str:
        return os.environ.get("GITLAB_PRIVATE_TOKEN", "")

    @default("access_token")
    def _access_token_default(self) -> str:
        return os.environ.get("GITLAB_ACCESS_TOKEN", "")

    def __init__(self, git: LsRemote | None = None, **settings: Any) -> None:
        super().__init__(git, **settings)
        self._base_url = self.url.rstrip("/")
        self._host = urlsplit(self._base_url).netloc.lower()
        headers = {"PRIVATE-TOKEN": self.private_token, "Authorization": f"Bearer {self.access_token}" if self.access_token else ""}
        self._api = WebApi(f"{self._base_url}/api/v4", {name: value for name, value in headers.items() if value})

    def understands(self, repo: str) -> bool:
        """Say whether `repo` is an address on this GitLab."""
        return ("://" in repo or "@" in repo) and bool(self._path(repo))

    def canonical_repo(self, request: Request) -> str:
        """Return ``https://gitlab.com/group/project``."""
        check_ref(request.ref)
        path = self._path(request.repo)
        if not path:
            checked_address(request.repo)  # says what else may be wrong with it
            raise InvalidRequest(
                f"This is not the address of a project on {self._host}.",
                code="unsupported_address",
                hint=f"Give {self._base_url}/group/project.",
            )
        return f"{self._base_url}/{path}"

    def request_from_spec(self, spec: str) -> Request:
        """Read ``<url-escaped namespace and project>/<ref>``."""
        path, ref = address_and_ref(spec) if begins_as_address(spec) else project_and_ref(spec)
        if not path:
            raise InvalidRequest("The link names no project.", hint="A link ends with gl/<url-escaped group/project>/<ref>.")
        return Request(repo=path, ref=ref_from_spec(ref), provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return ``<url-escaped namespace and project>/<ref>``."""
        path = self.canonical_repo(request).removeprefix(f"{self._base_url}/")
        return f"{quote(path, safe='')}/{quote(request.ref or 'HEAD')}"

    async def resolve(self, request: Request) -> Source:
        """Ask the Git server for the commit, and GitLab's API about an abbreviated one; a full SHA is taken as given."""
        address = self.canonical_repo(request)
        path = address.removeprefix(f"{self._base_url}/")
        try:
            commit = await self.git.commit_of(f"{address}.git", request.ref)
        except NotFound as error:
            if error.code != "ref_not_found" or not SHORT_SHA.match(request.ref.lower()):
                raise
            commit = await self._abbreviated(path, request.ref.lower())
        return Source(provider=self.name, repo=address, url=f"{address}.git", slug=slug_of(path), ref=request.ref or "HEAD", commit=commit)

    async def _abbreviated(self, path: str, ref: str) -> str:
        response = await self._api.get(f"/projects/{quote(path, safe='')}/repository/commits/{quote(ref, safe='')}")
        if response.status_code == httpx.codes.NOT_FOUND:
            raise NotFound(f"The project {path} has no commit {ref!r}.", code="ref_not_found", hint="Check the spelling.")
        if response.status_code != httpx.codes.OK:
            raise self._api.trouble(f"answered {response.status_code}")
        return self._api.commit_in(self._api.json_of(response).get("id"))

    def ref_url(self, source: Source) -> str:
        """Return the page of the project's files at the commit."""
        return f"{source.repo}/tree/{source.commit}"

    def display(self) -> Display:
        """Say how forms ask for a project."""
        return Display(
            name="GitLab",
            repo_label="GitLab project or its address",
            repo_placeholder=f"group/project, or {self._base_url}/group/project",
            spec_pattern="[^/]+/.+",
            repo_pattern=f"^(https?://{self._host}/)?(?<repo>.*[^/])/?",
            is_repo_escaped=True,
        )

    def _path(self, repo: str) -> str:
        """Return the groups and the project that a text names on this GitLab; empty if it names none there."""
        path = (path_on(self._host, repo) or "").removesuffix(".git")
        is_path = bool(_PATH.match(path)) and not {".", ".."} & set(path.split("/"))
        return path if is_path else ""


def slug_of(path: str) -> str:
    """Return the path as image names use it: as BinderHub forms it, so that ``a-b/c`` and ``a/b-c`` differ."""
    return path.replace("-", "_-").replace("/", "-")
