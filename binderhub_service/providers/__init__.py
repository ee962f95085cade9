"""Which commit is that? One file per kind of place that repositories live in, asked in order, most specific first."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InvalidRequest
from ..models import Request
from .base import Provider

__all__ = ["Provider", "provider_for"]


def provider_for(request: Request, providers: Sequence[Provider]) -> Provider:
    """Return the provider that a request names, or the first that understands its repository.

    Raises:
        InvalidRequest: there is no such provider, or none understands the address.
    """
    if request.provider:
        for provider in providers:
            if provider.name == request.provider:
                return provider
        raise InvalidRequest(
            f"There is no provider {request.provider!r}.",
            code="unknown_provider",
            hint=f"Known providers are {', '.join(provider.name for provider in providers)}.",
        )
    for provider in providers:
        if provider.understands(request.repo):
            return provider
    raise InvalidRequest(
        "This is not the address of a repository that can be used here.",
        code="unsupported_address",
        hint="Give an address such as https://github.com/owner/repository; http, https, ssh and git addresses work.",
    )
