"""Files from web servers, over the way that address rules leave open (see `relay`): every redirect is checked as its first address was."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import time
import urllib.request
from collections.abc import Callable
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from ..common.address_rules import ASK_FOR_PUBLIC, AddressRules, not_public
from ..common.refusal import CONTROL
from ..errors import NotAllowed, NotFound, Unavailable
from .relay import connection_to

_SILENCE_SECONDS = 30.0
_WHOLE_SECONDS = 300.0
_CHUNK_BYTES = 256 * 1024
_NOT_THERE = {401, 403, 404, 410}
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9.:_-]")


def download(url: str, rules: AddressRules, take: Callable[[bytes], None]) -> None:
    """Get what is at an address, and hand it on in chunks; blocks.

    Args:
        take: is called with each chunk; what it raises ends the download.

    Raises:
        NotAllowed: a host on the way there is not open (``address_not_allowed``).
        NotFound: there is nothing for everybody (``archive_not_found``).
        Unavailable: the server could not be asked, or gave half an answer (``archive_unavailable``).
    """
    until = time.monotonic() + _WHOLE_SECONDS
    host = urlsplit(url).hostname or url
    try:
        with _opener(rules).open(urllib.request.Request(url, headers={"User-Agent": "binderhub-service"}), timeout=_SILENCE_SECONDS) as answer:  # noqa: S310  # http and https only
            while chunk := answer.read(_CHUNK_BYTES):
                take(chunk)
                if time.monotonic() > until:
                    raise _trouble(f"{host} takes too long to send the file")
            if getattr(answer, "length", 0):
                raise _trouble(f"{host} sent half of the file")
    except HTTPError as error:
        error.close()
        if error.code in _NOT_THERE:
            raise NotFound(
                f"{host} has no such file for everybody: it answered {error.code}.", code="archive_not_found", hint="Check the address."
            ) from error
        raise _trouble(f"{host} answered {error.code}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _trouble(f"{host} could not be reached, or did not answer as a web server does") from error


def _trouble(what: str) -> Unavailable:
    return Unavailable(f"{what}.", code="archive_unavailable", hint="Check the address, and try again in a moment.")


def _opener(rules: AddressRules) -> urllib.request.OpenerDirector:
    """Return what follows redirects to web addresses, and knows no other protocol, no file and no proxy of its own."""
    opener = urllib.request.OpenerDirector()
    for handler in (_Web(rules), _Redirects(), urllib.request.HTTPErrorProcessor(), urllib.request.HTTPDefaultErrorHandler()):
        opener.add_handler(handler)
    return opener


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = 5

    def http_error_302(self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except ValueError:  # of an address that is none
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme not in {"http", "https"} or CONTROL.search(newurl):
            raise HTTPError(req.full_url, 404, msg, headers, fp)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Web(urllib.request.AbstractHTTPHandler):
    """Asks over connections that the rules allow."""

    http_request = https_request = urllib.request.AbstractHTTPHandler.do_request_

    def __init__(self, rules: AddressRules) -> None:
        super().__init__()
        self._rules = rules

    def http_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, http.client.HTTPConnection)

    def https_open(self, request: urllib.request.Request) -> Any:
        return self._open(request, http.client.HTTPSConnection)

    def _open(self, request: urllib.request.Request, kind: type[http.client.HTTPConnection]) -> Any:
        rules = self._rules

        class Connection(kind):  # type: ignore[valid-type, misc]
            def connect(self) -> None:
                self.sock = _connected(rules, self.host, self.port)
                if kind is http.client.HTTPSConnection:
                    self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)

        return self.do_open(Connection, request)


def _connected(rules: AddressRules, host: str, port: int) -> socket.socket:
    try:
        connection = connection_to(rules, host, port)
    except PermissionError as error:
        sentence = f"The file may not be fetched: {not_public(_NOT_IN_NAMES.sub('?', host))}."
        raise NotAllowed(sentence, code="address_not_allowed", hint=ASK_FOR_PUBLIC) from error
    connection.settimeout(_SILENCE_SECONDS)
    return connection
