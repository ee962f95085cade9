"""What an address of BinderHub's ``/build`` asks for, and refusals in BinderHub's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import BinderError, InvalidRequest, NotAllowed
from ...models import Request
from ...providers import Provider, check_permitted
from .protocol import Told


class RefusedAsBinderHub(BinderError):
    """A refusal in BinderHub's words, for which it sends no status."""

    def __init__(self, message: str, end: str = "\n") -> None:
        super().__init__(message)
        self.event: Told = {"phase": "failed", "message": message + end}


@dataclass(frozen=True)
class AskedSpec:
    """A provider's spec, and the request that it means.

    Attributes:
        spec: as it was sent: its escapes belong to the provider.
        providers: all that there are; each may have rules about the repository.
    """

    provider: Provider
    spec: str
    request: Request
    providers: Sequence[Provider]

    def __str__(self) -> str:
        """Return it as BinderHub writes it, e.g. ``gh:owner/repository/main``."""
        return f"{self.provider.name}:{self.spec}"

    def at_head(self) -> AskedSpec:
        """Return the same with the default branch for a ref; raises as `asked_of`."""
        return asked_of(self.providers, self.provider.name, f"{self.spec.removesuffix(self.request.ref)}HEAD")


def asked_of(providers: Sequence[Provider], prefix: str, spec: str) -> AskedSpec:
    """Return what is asked for.

    Raises:
        RefusedAsBinderHub: no provider has this name, it cannot read the spec, or the operator does not let this repository be used.
    """
    provider = next((provider for provider in providers if provider.name == prefix), None)
    if provider is None:
        raise RefusedAsBinderHub(f"No provider found for prefix {prefix}")
    try:
        provider.check_complete(spec)
        read = provider.request_from_spec(spec)
        request = Request(read.repo, read.ref, provider.name)
        check_permitted(request, providers, spec)
    except NotAllowed as error:
        raise RefusedAsBinderHub(error.message, end="") from error
    except InvalidRequest as error:
        raise RefusedAsBinderHub(error.message) from error
    return AskedSpec(provider, spec, request, providers)
