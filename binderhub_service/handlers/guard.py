"""Addresses of requests that are refused before anybody is asked who they are: unreadable ones, and those with a credential."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl, unquote_to_bytes

from tornado.httputil import HTTPServerRequest
from tornado.routing import Matcher

from ..common.credentials import refuse_credentials
from ..common.refusal import CONTROL, Refused
from ..errors import BinderError, InvalidRequest
from .base import ServiceHandler
from .pages import PageHandler

_KEPT_ADDRESSES = 1000
_LONGEST_KEPT_CHARACTERS = 2000


class RefusedAddress(Matcher):
    """Matches requests whose address no handler may see."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return the arguments of `RefusedAddressHandler`; None for an address that is fine."""
        is_short = len(request.path) + len(request.query) <= _LONGEST_KEPT_CHARACTERS
        try:
            (_check_kept if is_short else _check)(request.path, request.query)
        except InvalidRequest as refused:
            return {"target_kwargs": {"refused": refused}}
        return None


class RefusedAddressHandler(PageHandler):
    """Says why; as JSON below ``api/``, else as a page."""

    public = True

    def initialize(self, refused: InvalidRequest) -> None:
        """Take why."""
        self._refused = refused

    async def prepare(self) -> None:
        """Refuse every method alike."""
        self.check_network()
        raise self._refused

    def render_error(self, error: BinderError) -> None:
        """Write the error in the form that the address asks for."""
        if self.request.path.startswith(f"{self.prefix}api/"):
            ServiceHandler.render_error(self, error)
        else:
            super().render_error(error)


def _check(path: str, query: str) -> None:
    if refused := refusal_of(path, query):
        raise refused


_check_kept = lru_cache(_KEPT_ADDRESSES)(_check)  # what is refused is not kept, and so no credential


def refusal_of(path: str, query: str) -> InvalidRequest | None:
    """Return why a request's address is refused; None if it is not.

    Args:
        path, query: as they were sent, with their percent-escapes.
    """
    try:
        plain = unquote_to_bytes(path).decode()
        values = parse_qsl(query, keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        return InvalidRequest("The address is not valid UTF-8.", hint="Copy it again.")
    if CONTROL.search(plain):
        return InvalidRequest("The address has control characters in it.", hint="Copy it again.")
    split_password = any("@" in name for name, _ in values)
    try:
        refuse_credentials(path, *(value for _, value in values), *([f"{path}?{query}"] if split_password else []))
    except Refused as refused:
        return InvalidRequest.of(refused)
    return None


def guard_routes() -> list[tuple[Any, ...]]:
    """Return the routes of this module; they come first."""
    return [(RefusedAddress(), RefusedAddressHandler)]
