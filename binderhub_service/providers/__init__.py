"""Which commit is that? One file per kind of place that repositories live in; whatever file is here is a provider to choose from."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache

from ..common.addresses import check_text
from ..common.credentials import refuse_credentials
from ..common.refs import check_ref
from ..common.refusal import Refused
from ..errors import InvalidRequest, NotAllowed
from ..models import Request
from .base import Provider
from .rules import NO_RULES

__all__ = ["Provider", "check_permitted", "provider_class", "provider_for", "shipped_providers"]


@cache
def shipped_providers() -> dict[str, type[Provider]]:
    """Return the classes of all providers in this package by name, in the order of lists."""
    modules = [importlib.import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    classes = {value for module in modules for value in vars(module).values() if isinstance(value, type) and issubclass(value, Provider)}
    named = [cls for cls in classes if hasattr(cls, "name")]  # what several providers share has none
    return {cls.name: cls for cls in sorted(named, key=lambda cls: (cls.rank, cls.name))}


def provider_class(name: str) -> type[Provider]:
    """Return the class that a setting names: by its provider's name, or from elsewhere as ``package.module.Class``.

    Raises:
        ValueError: there is none.
    """
    if name in shipped_providers():
        return shipped_providers()[name]
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute) if module else None
    except (ImportError, AttributeError) as error:
        raise ValueError(f"The provider {name!r} cannot be imported: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, Provider)):
        raise ValueError(f"There is no provider {name!r}; there are {', '.join(shipped_providers())}, and classes named as package.module.Class.")
    return found


def provider_for(request: Request, providers: Sequence[Provider]) -> Provider:
    """Return the provider that a request names, or the most specific provider that understands its repository.

    Raises:
        InvalidRequest: there is no such provider, or none understands the address.
    """
    _check_texts(request)
    if request.provider:
        for provider in providers:
            if provider.name == request.provider:
                return provider
        raise InvalidRequest(
            f"There is no provider {request.provider!r}.",
            code="unknown_provider",
            hint=f"Known providers are {', '.join(provider.name for provider in providers)}.",
        )
    for provider in sorted(providers, key=lambda provider: provider.is_generic):
        if provider.understands(request.repo):
            return provider
    raise InvalidRequest(
        "This is not the address of a repository that can be used here.",
        code="unsupported_address",
        hint="Give an address such as https://github.com/owner/repository; http, https, ssh and git addresses work.",
    )


def _check_texts(request: Request) -> None:
    """Check what holds for every provider: plain text without credentials; raises `InvalidRequest`."""
    try:
        check_text(request.repo)
        refuse_credentials(request.ref, request.provider)
        check_ref(request.ref)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused


def check_permitted(request: Request, providers: Sequence[Provider], spec: str = "") -> None:
    """Check that the operator lets a repository be used, by the rules of every provider that knows its address.

    Args:
        spec: the text of the link, if there was one; it is named in the message.

    Raises:
        InvalidRequest: as `provider_for` and `Provider.canonical_repo`.
        NotAllowed: it may not be used; in BinderHub's words.
    """
    ruling = [provider for provider in providers if provider.rules != NO_RULES]
    if not ruling:
        return
    asked = provider_for(request, providers)
    address = asked.canonical_repo(request)
    for provider in ruling:
        if provider is asked or provider.understands(address):
            known = provider.spec_of(request if provider is asked else Request(address, request.ref))
            if not provider.rules.permits(known, raw=spec if provider is asked else ""):
                raise NotAllowed(f"Sorry, {spec or known} is not allowed to launch. Please contact admins for more info!", code="spec_not_allowed")
