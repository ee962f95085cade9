"""Where browsers reach the build service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit


def public_service(binder_url: str, settings: Mapping[str, Any]) -> str:
    """Return a path, or an address where the hub gives services hosts of their own; it ends with a slash.

    Args:
        binder_url: the address at which the hub reaches the service, with the same path.
        settings: those of the hub's request handlers; empty where no request is at hand.
    """
    path = urlsplit(binder_url).path.rstrip("/") + "/"
    if not (host := settings.get("subdomain_host")):
        return path
    public = urlsplit(host)
    domain = settings["subdomain_hook"](path.rstrip("/").rpartition("/")[2], public.hostname, kind="service")
    return f"{public.scheme}://{domain}{f':{public.port}' if public.port else ''}{path}"


def page_of(service: str, build: Mapping[str, Any]) -> str:
    """Return where a build's page with its whole log is, below the public address of the service; empty if there is no build yet."""
    build_id = build.get("id")
    return f"{service}builds/{quote(build_id, safe='')}" if build_id else ""
