"""Which source does a request mean, and what is said where another one than that is given?"""

from __future__ import annotations

from dataclasses import replace

from ..errors import NotFound, Unavailable
from ..models import Build, PreparedEnvironment, Request, Source
from .resolver import Resolver


async def exact_source(request: Request, person: str, resolver: Resolver, *, fresh: bool) -> Source:
    """Return the source of the ref that is named; raises as `Resolver.resolve`."""
    source = await resolver.resolve(request, person, fresh=fresh)
    return replace(source, first_of=request.first_of) if request.first_of else source


async def meant_source(request: Request, person: str, resolver: Resolver, *, fresh: bool, as_named: bool) -> tuple[Source, str]:
    """Return the source that a request means, and a notice if it is not the one of the ref that is named.

    The default branch is taken where ``master`` or ``main`` is not there: so repositories rename their default branch.

    Args:
        as_named: whether only the ref that is named will do.

    Raises:
        NotAllowed, TooMany, InvalidRequest, NotFound, Unavailable: as `Resolver.resolve`.
    """
    try:
        return await exact_source(request, person, resolver, fresh=fresh), ""
    except NotFound as error:
        if as_named or error.code != "ref_not_found" or not resolver.is_renamed_head(request):
            raise
        try:
            source = await exact_source(replace(request, ref=""), person, resolver, fresh=fresh)
        except NotFound:
            raise error from None
        return replace(source, ref=request.ref), f"{error.message} So this is its default branch; the link or the name is an old one."


def instead_of_an_answer(error: NotFound | Unavailable, build: Build) -> str:
    """Return what a person hears who gets what they had last, because a Git server gives no answer."""
    return f"{error.message} So this is what you had last, commit {build.source.commit[:7]}."


def instead_of_a_refresh(environment: PreparedEnvironment) -> str:
    """Return what a person hears who picks an environment that could not be refreshed; empty where it could."""
    if not environment.problem:
        return ""
    return f"This environment could not be refreshed, so it is as it was, at commit {environment.commit[:7]}. What went wrong: {environment.problem}"
