"""The common rules of addresses and refs, with this service's own errors, and what links say."""

from __future__ import annotations

from urllib.parse import unquote

from ..common import addresses, refs
from ..common.refusal import Refused
from ..errors import InvalidRequest

SHA, SHORT_SHA = refs.SHA, refs.SHORT_SHA
is_address = addresses.is_address


def checked_address(repo: str) -> str:
    """Return the canonical form of a pasted address.

    Raises:
        InvalidRequest: it cannot be used, or holds a credential.
    """
    try:
        return addresses.checked_address(repo)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused


def check_ref(ref: str) -> None:
    """Check that a ref could be the name of a branch, a tag or a commit; empty is fine.

    Raises:
        InvalidRequest: it could not.
    """
    try:
        refs.check_ref(ref)
    except Refused as refused:
        raise InvalidRequest.of(refused) from refused


def ref_from_spec(text: str) -> str:
    """Return the ref that the end of a link names; empty for the default branch."""
    ref = unquote(text.rstrip("/"))
    return "" if ref == "HEAD" else ref


def spec_parts(spec: str) -> tuple[str, str, str]:
    """Return the first two parts of a link's spec without escapes, and the rest as it is; empty where there is none."""
    first, _, rest = spec.partition("/")
    second, _, rest = rest.partition("/")
    return unquote(first), unquote(second), rest


def path_on(host: str, repo: str) -> str | None:
    """Return the path that an address has at a host, by http, https or ssh as ``git``; None if it is of another host.

    A text that is no address is returned as it is, without white space and slashes at its end.
    """
    text = repo.strip().rstrip("/")
    for beginning in (f"git@{host}:", f"git@{host}/", f"ssh://git@{host}:", f"ssh://git@{host}/"):
        if text.lower().startswith(beginning):
            return text[len(beginning) :]
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    place, _, path = rest.partition("/")
    return path if scheme.lower() in {"http", "https"} and place.lower().removeprefix("www.") == host else None
