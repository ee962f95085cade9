"""Prepared environments as a provider: so that links, launches and requests for builds name them as they name repositories."""

from __future__ import annotations

from typing import Any, ClassVar
from urllib.parse import unquote

from ..errors import InvalidRequest
from ..models import PREPARED, Request, Source
from ..providers import Provider
from ..providers.base import Display
from .prepared import NAME, PreparedEnvironments


class PreparedProvider(Provider):
    """Prepared environments by name. What one is made from `Builds` knows, which asks nobody: the image is there already.

    Args:
        environments: the list.
        settings: as `Provider`.
    """

    name: ClassVar[str] = PREPARED
    event_name: ClassVar[str] = "Git"
    spec_form: ClassVar[str] = "name"
    renamed_heads: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, environments: PreparedEnvironments, **settings: Any) -> None:
        super().__init__(**settings)
        self._environments = environments

    @property
    def is_offered(self) -> bool:
        """Whether forms show it among places of repositories; it has a list of its own."""
        return False

    def understands(self, repo: str) -> bool:
        """Understand nothing: a name is no address."""
        return False

    def canonical_repo(self, request: Request) -> str:
        """Return the name.

        Raises:
            NotFound: there is none.
            InvalidRequest: there is a ref.
        """
        if request.ref not in {"", "HEAD"}:
            raise InvalidRequest("A prepared environment has no ref.", hint="Leave it out: the operator has chosen it.")
        return self._environments.get(request.repo).name

    def request_from_spec(self, spec: str) -> Request:
        """Read a name."""
        return Request(repo=unquote(spec).strip("/"), provider=self.name)

    def spec_of(self, request: Request) -> str:
        """Return the name."""
        return self.canonical_repo(request)

    async def resolve(self, request: Request) -> Source:
        """Never asked, see the class."""
        raise NotImplementedError

    def resolved_spec(self, source: Source) -> str:
        """Return the name; no link means one commit of it for ever."""
        return next((one.name for one in self._environments.all() if one.commit == source.commit), "")

    def ref_url(self, source: Source) -> str:
        """Return the repository's address."""
        return source.repo

    def display(self) -> Display:
        """Say how forms would ask for one."""
        return Display(name="Prepared", repo_label="Name of a prepared environment", repo_placeholder="e.g. course", spec_pattern=NAME, has_ref=False)
