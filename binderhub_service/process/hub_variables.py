"""What the hub tells a service that it starts, in variables (JupyterHub's docs/source/reference/services.md)."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

_URL = "JUPYTERHUB_SERVICE_URL"
_PREFIX = "JUPYTERHUB_SERVICE_PREFIX"


def is_started_by_hub() -> bool:
    """Say whether a hub waits for this process to answer."""
    return _URL in os.environ


def address_of_service() -> tuple[str, int]:
    """Return the address and the port to listen at; without a hub, 127.0.0.1 and 8585. The address is empty for all, IPv4 and IPv6: ``http://:8585``."""
    given = urlsplit(os.environ.get(_URL, "http://127.0.0.1:8585"))
    everywhere = given.netloc.startswith(":")
    return given.hostname or ("" if everywhere else "127.0.0.1"), given.port or 80


def prefix_of_service() -> str:
    """Return the path that the service lives at, which begins and ends with a slash."""
    return os.environ.get(_PREFIX) or "/"
