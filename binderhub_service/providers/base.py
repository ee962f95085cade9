"""The port of all providers, and the settings that all of them have."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from traitlets import Dict, TraitError, Unicode, validate
from traitlets import List as ListTrait
from traitlets.config import Configurable

from ..clients.contents import Contents
from ..errors import InvalidRequest
from ..models import FindDigest, Request, Source
from .ls_remote import LsRemote
from .rules import SpecRules

_HEADS = {"HEAD", "main", "master"}


@dataclass(frozen=True)
class Display:
    """How forms and BinderHub's clients show a provider.

    Attributes:
        name: what people call it, e.g. ``GitLab``.
        repo_label: what a form calls the field for the repository.
        repo_placeholder: what stands in that field while it is empty.
        spec_pattern: a regular expression that every spec matches as a whole.
        repo_pattern: a regular expression (JavaScript's) that finds ``repo`` in a pasted address; empty for none.
        is_repo_escaped: whether the repository is percent-escaped in a spec.
        has_ref: whether a spec has a ref behind the repository.
    """

    name: str
    repo_label: str
    repo_placeholder: str
    spec_pattern: str
    repo_pattern: str = ""
    is_repo_escaped: bool = False
    has_ref: bool = True

    def as_dict(self, provider: str) -> dict[str, Any]:
        """Return it as ``api/repoproviders`` and the pages' ``repoProviders`` write it."""
        shown: dict[str, Any] = {"displayName": self.name, "id": provider, "spec": {"validateRegex": self.spec_pattern}}
        if self.repo_pattern:
            shown["detect"] = {"regex": self.repo_pattern}
        shown["repo"] = {"label": self.repo_label, "placeholder": self.repo_placeholder, "urlEncode": self.is_repo_escaped}
        shown["ref"] = {"enabled": True, "default": "HEAD"} if self.has_ref else {"enabled": False}
        return shown


class Provider(Configurable):
    """Knows one kind of place that repositories live in.

    Attributes:
        name: how links and requests name it: the part behind ``/v2/``.
        event_name: how launch events name it; one of the names in ``launch.json``.
        spec_form: the form of a spec, its parts between slashes.
        rank: where it stands in lists; small numbers come first.
        is_generic: whether it understands addresses of others, too; asked after all that do not.
        takes_text: whether a request may have, in place of an address, a text that is built.
        renamed_heads: refs that, where they are not there, probably mean the default branch.
        contents: where files are kept that people give instead of a repository.
        find_digest: asks where images are kept which one has a name now; None where images are no container images.

    Args:
        git: asks Git servers.
        settings: traits, or ``parent``.
    """

    name: ClassVar[str]
    event_name: ClassVar[str]
    spec_form: ClassVar[str]
    rank: ClassVar[int] = 50
    is_generic: ClassVar[bool] = False
    takes_text: ClassVar[bool] = False
    renamed_heads: ClassVar[frozenset[str]] = frozenset({"main", "master"})

    contents: Contents
    find_digest: FindDigest | None = None

    allowed_specs = ListTrait(
        Unicode(),
        help="""Regular expressions of the repositories that may be used; one of them has to match.

        Each is matched, whatever the case, from the beginning of what stands behind ``v2/<provider>/`` in a link, e.g. ``owner/repository/ref``.
        A repository is checked by every provider that knows its address, however it was asked for. Default: none, which allows everything.
        Example: ``["^my-organisation/"]``.
        """,
    ).tag(config=True)
    banned_specs = ListTrait(
        Unicode(),
        help="""Regular expressions of the repositories that may not be used, whatever `allowed_specs` says.

        Written and checked as those. Default: none. Example: ``["^owner/repository(/|$)"]``.
        """,
    ).tag(config=True)
    high_quota_specs = ListTrait(
        Unicode(),
        help="""Regular expressions of the repositories that may have `LaunchQuota.per_repo_quota_higher` servers at a time.

        Written as `allowed_specs`. Default: none. Example: ``["^my-organisation/course-"]``.
        """,
    ).tag(config=True)
    spec_config = ListTrait(
        Dict(),
        help="""Settings of single repositories.

        A list of ``{"pattern": regular expression, "config": {"quota": servers at a time}}``; a later one wins over an earlier one, and all of
        them over `high_quota_specs`. Default: none. Example: ``[{"pattern": "^owner/repository/", "config": {"quota": 500}}]``.
        """,
    ).tag(config=True)

    def __init__(self, git: LsRemote | None = None, **settings: Any) -> None:
        super().__init__(**settings)
        self.git = git or LsRemote()

    @validate("allowed_specs", "banned_specs", "high_quota_specs", "spec_config")
    def _check_rules(self, proposal: Any) -> Any:
        is_config = proposal["trait"].name == "spec_config"
        try:
            SpecRules.read(**{"config" if is_config else "banned": proposal["value"]})
        except ValueError as error:
            raise TraitError(f"{type(self).__name__}.{proposal['trait'].name}: {error}") from error
        return proposal["value"]

    @cached_property
    def rules(self) -> SpecRules:
        """Which repositories the operator allows, bans and gives more places."""
        return SpecRules.read(allowed=self.allowed_specs, banned=self.banned_specs, high_quota=self.high_quota_specs, config=self.spec_config)

    @property
    def is_offered(self) -> bool:
        """Whether forms and lists show it."""
        return True

    @abstractmethod
    def understands(self, repo: str) -> bool:
        """Say whether an address, as pasted, is one of this provider's; asks nobody."""

    def is_short(self, repo: str) -> bool:
        """Say whether an address leaves out a part that only the place knows; asks nobody."""
        return False

    async def full_address(self, repo: str) -> str:
        """Return a short address with the part that it leaves out; any other as it is.

        Raises:
            NotFound, TooMany, Unavailable: as `resolve`, of the repository.
        """
        return repo

    @abstractmethod
    def canonical_repo(self, request: Request) -> str:
        """Return the one address that all spellings of the request's repository share; asks nobody.

        Raises:
            InvalidRequest: the address or the ref cannot be used, or holds a credential.
        """

    @abstractmethod
    def request_from_spec(self, spec: str) -> Request:
        """Return the request that the text behind ``/v2/<name>/`` means.

        Args:
            spec: the raw text, percent-escapes preserved.

        Raises:
            InvalidRequest: it is not of the provider's form.
        """

    def check_complete(self, spec: str) -> None:
        """Check that a spec has all its parts, as BinderHub wants it; `request_from_spec` takes a missing ref for the default branch.

        Args:
            spec: as `request_from_spec`, without slashes at its end.

        Raises:
            InvalidRequest: one is missing; in BinderHub's words.
        """
        given, wanted = spec.split("/"), self.spec_form.count("/") + 1
        if len(given) >= wanted and all(given[:wanted]):
            return
        is_only_ref_missing = self.spec_form.endswith("/ref") and len(given) == wanted - 1 and all(given) and given[-1] not in _HEADS
        tip = f' Did you mean "{spec}/HEAD"?' if is_only_ref_missing else ""
        raise InvalidRequest(f'Spec is not of the form "{self.spec_form}", provided: "{spec}".{tip}')

    @abstractmethod
    def spec_of(self, request: Request) -> str:
        """Return the one spec that all spellings of a request share; asks nobody.

        Raises:
            InvalidRequest: as `canonical_repo`.
        """

    @abstractmethod
    async def resolve(self, request: Request) -> Source:
        """Find the commit that a request means right now.

        Raises:
            InvalidRequest: as `canonical_repo`.
            NotFound: the repository or the ref is not there (``repository_not_found``, ``ref_not_found``).
            TooMany: the place answers no more questions for a while.
            Unavailable: the place could not be asked; nothing is known.
        """

    async def names_among(self, request: Request, names: Sequence[str]) -> frozenset[str]:
        """Return which of some short names are branches or tags of the request's repository.

        Raises:
            InvalidRequest, NotFound, TooMany, Unavailable: as `resolve`, of the repository.
        """
        return await self.git.names_among(self.canonical_repo(request), names)

    def resolved_spec(self, source: Source) -> str:
        """Return the spec that means this very commit for ever."""
        return self.spec_of(Request(repo=source.repo, ref=source.commit))

    @abstractmethod
    def ref_url(self, source: Source) -> str:
        """Return the address at which people see the commit."""

    @abstractmethod
    def display(self) -> Display:
        """Say how forms ask for a repository."""
