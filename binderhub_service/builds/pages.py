"""Which repository, ref and path does a pasted address mean? The repository's branches and tags tell, where the address does not."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from ..common.addresses import check_text
from ..common.credentials import refuse_credentials
from ..common.pasted import Pasted, address_in, take_apart
from ..common.paths import check_path
from ..common.refs import SHORT_SHA, check_ref, split_ref
from ..common.refusal import Refused
from ..errors import InvalidRequest, NotFound
from ..models import Request
from .resolver import Resolver

_KEPT_ADDRESSES = 500  # a badge's source may be as large as a request


async def located(request: Request, path: str, person: str, resolver: Resolver, *, shorthand: bool = False) -> tuple[Request, str]:
    """Return the request and the path that a request means whose repository may be the address of a page; the longest name of a ref wins.

    A request that names its provider is taken as it is.

    Args:
        path: what was typed; it wins.
        shorthand: whether ``o/r`` means a repository on GitHub.

    Raises:
        NotFound: the repository or the gist is not there, or has no branch and no tag that the page could be of.
        InvalidRequest, NotAllowed, TooMany, Unavailable: as `Resolver.names_among` and `Resolver.full_address`.
    """
    if request.provider:
        return request, path
    try:
        pasted, names = _read(request.repo, request.ref, path, shorthand=shorthand)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused
    repo, ref, path = await resolver.full_address(pasted.repo, person), pasted.ref, pasted.path
    if pasted.page:
        found = await resolver.names_among(Request(pasted.repo), names, person)
        ref, rest = split_ref(pasted.page, found)
        if ref not in found and not SHORT_SHA.match(ref.lower()):
            raise NotFound(
                f"The repository {pasted.repo} has no branch or tag with which {'/'.join(pasted.page)!r} begins.",
                code="ref_not_found",
                hint="Open the page once more and copy its address, or type the branch and the file into their own fields.",
            )
        path = path or rest
        try:
            ref, path = check_ref(ref), check_path(path)
        except Refused as refused:
            raise InvalidRequest.of(refused) from refused
    return replace(request, repo=repo, ref=ref), path


@lru_cache(_KEPT_ADDRESSES)  # most asks are for what was asked for before; what is refused is not kept, and so no credential
def _read(repo: str, ref: str, path: str, *, shorthand: bool) -> tuple[Pasted, list[str]]:
    """Return what was pasted and typed, checked, and all names of refs that a page's address may begin with; raises `Refused`."""
    refuse_credentials(repo)
    check_text(address_in(repo))
    pasted = take_apart(repo, ref, path, shorthand=shorthand)
    refuse_credentials(pasted.repo, pasted.ref, pasted.path, "/".join(pasted.page))
    return replace(pasted, ref=check_ref(pasted.ref), path=check_path(pasted.path)), _candidates(pasted)


def _candidates(pasted: Pasted) -> list[str]:
    """Return all names of refs that a page's address may begin with; raise `Refused` if there is none."""
    names = []
    for count in range(1, len(pasted.page) + 1):
        try:
            names.append(check_ref("/".join(pasted.page[:count])))
        except Refused:
            if count == 1:
                raise
    return names
