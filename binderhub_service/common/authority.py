"""Host and port as URLs have them."""

from __future__ import annotations


def bracketed(host: str) -> str:
    """Return a host's name or address as URLs have it: an IPv6 address is in brackets."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
