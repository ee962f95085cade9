"""Whose certificates the service trusts when it asks others."""

from __future__ import annotations

import ssl
from functools import cache

import httpx


@cache
def trusted() -> ssl.SSLContext:
    """Return a context that trusts whom ``SSL_CERT_FILE`` or ``SSL_CERT_DIR`` names; without them this machine's authorities and those of certifi."""
    context = httpx.create_ssl_context()
    context.load_default_certs()
    return context
