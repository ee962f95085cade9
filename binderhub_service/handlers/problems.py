"""Answers with which something was wrong, in the log."""

from __future__ import annotations

import logging
from urllib.parse import unquote_plus

from tornado import web
from tornado.log import access_log

_FIRST_PROBLEM = 400
_FIRST_OF_OURS = 500
# What a parameter's name has in it whose value is nobody's to read.
_SECRET = ("token", "auth", "key", "code", "state", "secret", "pass", "_xsrf")
_HIDDEN = "[secret]"


def log_problem(handler: web.RequestHandler) -> None:
    """Log an answer as the hub does, without secrets, if something was wrong with it; the proxy knows the others."""
    status, request = handler.get_status(), handler.request
    if status < _FIRST_PROBLEM:
        return
    level = logging.WARNING if status < _FIRST_OF_OURS else logging.ERROR
    account = getattr(handler, "_account", None)  # a handler that refuses before anybody has been asked knows none
    name, milliseconds = account.name if account else "", 1000 * request.request_time()
    access_log.log(
        level, "%d %s %s (%s@%s) %.2fms", status, request.method, without_secrets(request.uri or ""), name, request.remote_ip, milliseconds
    )


def without_secrets(uri: str) -> str:
    """Return a request's path and query without the values of parameters that are secret by their names."""
    path, mark, query = uri.partition("?")
    return path + mark + "&".join(_without_secret(part) for part in query.split("&"))


def _without_secret(parameter: str) -> str:
    name, mark, _ = parameter.partition("=")
    is_secret = mark and any(secret in unquote_plus(name).lower() for secret in _SECRET)
    return f"{name}={_HIDDEN}" if is_secret else parameter
