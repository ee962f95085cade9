"""The port of all providers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from ..models import Request, Source


class Provider(ABC):
    """Knows one kind of place that repositories live in.

    Attributes:
        name: how links and requests name it: the part behind ``/v2/``.
    """

    name: ClassVar[str]

    @abstractmethod
    def understands(self, repo: str) -> bool:
        """Say whether an address, as pasted, is one of this provider's; asks nobody."""

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

    @abstractmethod
    async def resolve(self, request: Request) -> Source:
        """Find the commit that a request means right now.

        Raises:
            InvalidRequest: as `canonical_repo`.
            NotFound: the repository or the ref is not there (``repository_not_found``, ``ref_not_found``).
            Unavailable: the place could not be asked; nothing is known.
        """
