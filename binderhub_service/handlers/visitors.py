"""Who asks without a login, where the operator lets everybody in."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tornado import web

from ..builds.access import BUILD_SCOPE
from ..errors import NotAllowed

if TYPE_CHECKING:
    from ..context import AppContext

COOKIE = "binder-visitor"
_COOKIE_DAYS = 1
_KIND = "visitor"


def visitor(handler: web.RequestHandler) -> dict[str, Any] | None:
    """Return a visitor as the hub would describe a user; None where visitors are not let in, or a token says who is asking."""
    temporary = _context(handler).temporary
    if temporary is None or "Authorization" in handler.request.headers:
        return None
    client = cookie_of(handler) or handler.request.remote_ip or ""
    return {"name": temporary.visitor_name(client), "kind": _KIND, "admin": False, "scopes": [BUILD_SCOPE]}


def is_visitor(handler: web.RequestHandler) -> bool:
    """Say whether a visitor is asking."""
    user = handler.current_user
    return bool(user) and user.get("kind") == _KIND


def cookie_of(handler: web.RequestHandler) -> str:
    """Return what tells a browser from others behind the same address; empty if it has no cookie of ours yet."""
    return handler.get_cookie(COOKIE) or ""


def remember(handler: web.RequestHandler) -> None:
    """Give a browser a cookie by which its next request is known; other sites' pages cannot make it send that."""
    if is_visitor(handler) and not cookie_of(handler):
        is_https = handler.request.protocol == "https"
        handler.set_cookie(
            COOKIE,
            secrets.token_urlsafe(24),
            path=_context(handler).prefix,
            httponly=True,
            samesite="Lax",
            secure=is_https,
            expires_days=_COOKIE_DAYS,
        )


def is_opened_by_a_person(headers: Mapping[str, str]) -> bool:
    """Say whether a browser tells that a person has opened this page: by a click, or an address that they typed or had kept.

    Not so for what a page of another site loads, frames, or goes to by a script alone, nor for what is fetched in case it will be wanted. A browser
    says nothing over plain http, but to its own machine.
    """
    is_by_hand = headers.get("Sec-Fetch-User") == "?1" or headers.get("Sec-Fetch-Site") in {"none", "same-origin"}
    is_opened = headers.get("Sec-Fetch-Mode") == "navigate" and headers.get("Sec-Fetch-Dest") == "document"
    return is_opened and is_by_hand and "Sec-Purpose" not in headers


def check_own_page(handler: web.RequestHandler, page_host: str) -> None:
    """Raise `NotAllowed` if a page of another site asks, and the operator lets none: what it asks for runs code.

    Args:
        page_host: the host of the page, as `ServiceHandler.page_host` tells it.
    """
    if _context(handler).cors_allow_origin:
        return
    is_other = handler.request.headers.get("Sec-Fetch-Site", "same-origin") not in {"same-origin", "none"}
    if is_other or page_host != handler.request.host:
        raise NotAllowed("Pages of other sites may not launch here.", hint="The operator can allow them (BinderService.cors_allow_origin).")


def _context(handler: web.RequestHandler) -> AppContext:
    context: AppContext = handler.settings["context"]
    return context
