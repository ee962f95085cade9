"""What every handler shares: who is asking, how errors look, which headers are always there."""

from __future__ import annotations

import hmac
import json
import logging
from collections.abc import Mapping
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tornado import web

from ..common.forwarded import is_ours, label_of
from ..errors import INTERNAL_ERROR, BinderError, InvalidRequest, NotAllowed, NotFound, TooMany, Unavailable
from ..hub_auth import HubOAuthenticated, UserNotAllowed
from ..models import Account, Build, Caller, iso
from .visitors import is_visitor, visitor

if TYPE_CHECKING:
    from ..context import AppContext

log = logging.getLogger("binderhub_service")
_SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}
_ADMIN_SCOPE = "admin-ui"  # part of the hub's admin role, and of every token of an administrator that may all they may

# Who asks by a command on the service's machine.
_OPERATOR: Mapping[str, Any] = {"kind": "service", "name": "service:command-line", "admin": True, "scopes": [_ADMIN_SCOPE]}


def error_from(exception: BaseException | None) -> BinderError:
    """Return the error to show for an exception that reached a handler's edge; unknown ones stay unknown.

    There is none where Tornado ends a handler that was cancelled; that happens when the service stops.
    """
    if exception is None:
        return Unavailable("The service is stopping.", hint="Ask again in a moment; what was accepted goes on.")
    if isinstance(exception, BinderError):
        return exception
    if isinstance(exception, web.MissingArgumentError):
        return InvalidRequest(f"The argument {exception.arg_name} is missing.")
    if isinstance(exception, web.HTTPError):
        return _error_from_http(exception)
    return INTERNAL_ERROR


def _error_from_http(exception: web.HTTPError) -> BinderError:
    known = {
        403: NotAllowed("You are not signed in, or may not do this.", hint="Sign in to the hub, or send a token with access to this service."),
        404: NotFound("There is nothing at this address."),
        502: Unavailable("The hub could not be asked who you are.", code="hub_unavailable", hint="Try again in a moment."),
    }
    if exception.status_code in known:
        return known[exception.status_code]
    error = BinderError(exception.reason or HTTPStatus(exception.status_code).phrase, code="http_error")
    error.status = exception.status_code
    return error


_READABLE = "Link, Location, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"


def allow_origins(handler: web.RequestHandler, hub_origin: str, others: str = "") -> None:
    """Let pages of other origins read the answer; they come with a token or as nobody, and never with a cookie.

    Args:
        hub_origin: the hub's own where that is another one; else empty.
        others: what the operator allows besides: one origin, ``*``, or empty.
    """
    origin = handler.request.headers.get("Origin")
    if hub_origin:
        handler.set_header("Vary", "Origin")
    if allowed := hub_origin if hub_origin and origin == hub_origin else others:
        handler.set_header("Access-Control-Allow-Origin", allowed)
        handler.set_header("Access-Control-Expose-Headers", _READABLE)


class ServiceHandler(HubOAuthenticated, web.RequestHandler):
    """A handler that knows the service's parts and who is asking.

    Subclasses set `public` where no login is needed, and `starts_by_get` where a GET starts something.
    """

    public = False
    starts_by_get = False
    _account: Account

    @property
    def context(self) -> AppContext:
        """The service's parts, made in `app`."""
        context: AppContext = self.settings["context"]
        return context

    @property
    def prefix(self) -> str:
        """The path that this service lives at, with slashes on both ends."""
        return self.context.prefix

    def set_default_headers(self) -> None:
        """Forbid framing, so that nobody's click can be stolen, sniffing, and the sending on of addresses."""
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.set_header("Referrer-Policy", "same-origin")
        self.set_header("Cache-Control", "no-store")
        allow_origins(self, self.context.hub_origin, self.allowed_origin)

    @property
    def allowed_origin(self) -> str:
        """Which pages of other sites may read the answer; empty for none."""
        return ""

    async def prepare(self) -> None:
        """Find out who is asking without blocking the loop, before any method runs."""
        if self.settings.get("is_private"):  # who can open the socket is the service's own user
            self.current_user, self._account = _OPERATOR, Account(_OPERATOR["name"])
            return
        self.check_network()
        if self.public or self.request.method == "OPTIONS":  # which answers nothing but what the hub's own pages may ask
            return
        self.current_user = visitor(self)  # set, since getting it would block the loop
        if not self.current_user:
            await self._ask_who()
        self.require_login()
        if self.current_user:
            self._account = await self.account_of(self.current_user, self.hub_auth.get_token(self))

    def check_network(self) -> None:
        """Raise `NotAllowed` if a request comes from a network that the operator keeps out, or would change something under a foreign name."""
        label = label_of(self.request.remote_ip or "", self.context.banned)
        if label is not None:
            raise NotAllowed(f"Requests from {label} are not allowed")
        changes = self.starts_by_get or self.request.method not in _SAFE_METHODS
        if changes and not is_ours(self.request.host, self.context.hosts):
            raise NotAllowed("Nothing is started or changed under this name of the hub.", hint="An administrator adds its name to Server.hosts.")

    async def account_of(self, user: Mapping[str, Any], token: str) -> Account:
        """Return the account of somebody whom the hub knows by a token, or of a visitor."""
        if user.get("kind") == "service":
            return Account(f"service:{user['name']}")
        if user is self.current_user and is_visitor(self):
            return Account(user["name"])
        return await self.context.accounts.of(token, user["name"])

    async def _ask_who(self) -> None:
        user = await self.hub_auth.get_user(self, sync=False)
        try:
            self.current_user = self.check_hub_user(user) if user else None
        except UserNotAllowed as error:
            self.current_user = None
            raise NotAllowed("Your account may not use this service.", hint="Ask an administrator of the hub for access to it.") from error

    @property
    def page_host(self) -> str:
        """Host and port of the page that asks; a browser tells them where the page may be another site's."""
        origin = self.request.headers.get("Origin")
        return self.request.host if origin is None else origin.partition("://")[2]  # "null" of a page that has none

    def get_current_user(self) -> Any:
        """Know nobody unless `prepare` has asked the hub: its own way blocks the loop, and every request's log line takes it."""
        return None

    def require_login(self) -> None:
        """Raise 403 unless somebody with access to this service is asking."""
        if not self.current_user:
            raise web.HTTPError(403)
        if self.request.method not in _SAFE_METHODS:
            self.check_xsrf_cookie()

    @cached_property
    def caller(self) -> Caller:
        """Who is asking; an administrator only with a token that was not narrowed to less."""
        user: Mapping[str, Any] = self.current_user
        scopes = frozenset(user.get("scopes", ()))
        is_admin = bool(user.get("admin")) and _ADMIN_SCOPE in scopes
        return Caller(name=self._account.name, admin=is_admin, scopes=scopes, created=self._account.created)

    def log_exception(self, typ: Any, value: BaseException | None, tb: Any) -> None:
        """Log only what nobody expected; the rest is an answer, and its address may hold what must not be logged."""
        if not isinstance(value, BinderError | UserNotAllowed | web.HTTPError):
            super().log_exception(typ, value, tb)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Turn whatever went wrong into one answer."""
        error = error_from(kwargs.get("exc_info", (None, None, None))[1])
        self.set_status(error.status if error is not INTERNAL_ERROR else 500)
        if isinstance(error, TooMany):
            self.set_header("Retry-After", str(error.retry_after_seconds))
        self.render_error(error)

    def render_error(self, error: BinderError) -> None:
        """Write the error as JSON; pages write a page."""
        self.finish_json({"error": error.as_dict()})

    def compute_etag(self) -> None:
        """Compute none: answers are not kept by anybody."""

    def finish_json(self, value: object) -> None:
        """Finish the answer with `value` as JSON."""
        self.finish_json_text(json.dumps(value))

    def finish_json_text(self, text: str) -> None:
        """Finish the answer with a text that is JSON."""
        self.set_header("Content-Type", "application/json")
        self.finish(text)


class ApiHandler(ServiceHandler):
    """A handler that takes and gives JSON."""

    @property
    def allowed_origin(self) -> str:
        """What the operator allows: programs in pages may ask where people's pages may not be read."""
        return self.context.cors_allow_origin

    @property
    def has_token(self) -> bool:
        """Whether a token in a header says who is asking, which is proof enough; else it is the login cookie."""
        return bool(getattr(self, "_token_authenticated", False))

    def check_xsrf_cookie(self) -> None:
        """Check only requests that come with the login cookie."""
        if not self.has_token:
            super().check_xsrf_cookie()

    def require_xsrf_token(self) -> None:
        """Raise 403 unless a request with the login cookie has the XSRF token of a page of ours, whatever its method is.

        The hub's own check lets a GET pass from browsers that do not say how it came about, as over plain http.
        """
        given = self.get_argument("_xsrf", "") or self.request.headers.get("X-Xsrftoken", "")
        if not self.has_token and not hmac.compare_digest(given.encode(), self.xsrf_token):
            raise web.HTTPError(403)

    def options(self, *_: str) -> None:
        """Answer a browser that asks what a page of another origin may ask; without ``Access-Control-Allow-Origin`` it is nothing."""
        self.set_header("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS")
        self.set_header("Access-Control-Allow-Headers", "Authorization, Cache-Control, Content-Type, Last-Event-ID, X-XSRFToken")
        self.set_header("Access-Control-Max-Age", "600")
        self.finish()

    def json_body(self, allowed: Mapping[str, type]) -> dict[str, Any]:
        """Return the request's body, a JSON object with some of the `allowed` keys.

        Raises:
            InvalidRequest: it is not JSON, not an object, or has an unknown key or a value of another type.
        """
        try:
            body = json.loads(self.request.body or b"{}")
        except (ValueError, RecursionError) as error:
            raise InvalidRequest("The body is not valid JSON.", hint='Send an object such as {"repo": "https://github.com/o/r"}.') from error
        if not isinstance(body, dict):
            raise InvalidRequest("The body is not a JSON object.")
        given = {key: value for key, value in body.items() if value is not None}
        for key, value in given.items():
            if key not in allowed:
                raise InvalidRequest(f"The key {key!r} is not known.", hint=f"Known keys are {', '.join(allowed)}.")
            if not isinstance(value, allowed[key]):
                raise InvalidRequest(f"The value of {key!r} has the wrong type.")
        return given


def check_is_admin(handler: ApiHandler, what_is: str) -> None:
    """Raise `NotAllowed` unless an administrator of the hub is asking.

    Args:
        what_is: what administrators alone look after, e.g. ``Images are``.
    """
    if not handler.caller.admin:
        raise NotAllowed(f"{what_is} looked after by administrators of the hub.", hint="Come with an administrator's token.")


def build_json(build: Build, queue: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return a build as the wire writes it."""
    return {
        "id": build.id,
        "provider": build.source.provider,
        "repo": build.source.repo,
        "ref": build.source.ref,
        "commit": build.source.commit,
        "image": build.image.reference,
        "environment": build.image.environment or None,
        "state": build.state,
        "phase": build.phase,
        "queue": queue,
        "error": build.error,
        "owner": build.owner,
        "created": iso(build.created),
        "started": iso(build.started),
        "finished": iso(build.finished),
        "last_event": build.last_event,
        **({"notice": build.notice} if build.notice else {}),
    }
