"""Who asks without a login, where the operator lets everybody in."""

from __future__ import annotations

import secrets
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
