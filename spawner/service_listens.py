"""Where the service of a hub listens, on this machine or another: is that possible?"""

from __future__ import annotations

import socket
from urllib.parse import quote, urlsplit

from binderhub_service.common.authority import bracketed

from .misconfigured import Misconfigured

_PORTS = 65536
_IN_ADDRESSES = "%/:?#[]@!$&'()*+,;=~"


def url_of_service(ip: str, port: int | None) -> str:
    """Return the URL, without a path, of a service that listens at an address of this machine; without a port, at a free one.

    Raises:
        Misconfigured: it cannot listen there.
    """
    _check_address(ip, port)
    return f"http://{bracketed(ip)}:{port or _free_port()}"


def _check_address(ip: str, port: int | None) -> None:
    """Raise `Misconfigured` unless a service can listen there; if another process does, which may be the service itself, the service says so."""
    if port is not None and not 0 < port < _PORTS:
        raise Misconfigured(f"configure(service_port={port}): a port is a number from 1 to {_PORTS - 1}.")
    try:
        with socket.socket(socket.AF_INET6 if ":" in ip else socket.AF_INET) as probe:
            probe.bind((ip or "no address", 0))
    except (OSError, TypeError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise Misconfigured(f"configure(service_ip={ip!r}): the service cannot listen there: {why}. Name an address of this machine.") from error


def check_elsewhere(url: str, token: str) -> str:
    """Return the URL of a service that something else starts, without a slash at its end.

    Raises:
        Misconfigured: it is none, or there is no token by which the hub knows the service.
    """
    try:
        parts = urlsplit(url)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and url == quote(url, safe=_IN_ADDRESSES)
    except ValueError:
        is_address = False
    if not is_address:
        raise Misconfigured(f"configure(service_url={url!r}): give the address at which the hub reaches the service, e.g. http://binder:8585.")
    if not token:
        raise Misconfigured("A service at service_url needs the API token that it comes with: give the same one to it, and here in service_token.")
    return url.rstrip("/")


def _free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
