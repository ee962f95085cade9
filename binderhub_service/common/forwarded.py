"""Whose request is it, if it came through proxies; pure. Facts: every proxy appends the address that it was asked from to ``X-Forwarded-For``."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

Network = IPv4Network | IPv6Network


def client_address(peer: str, forwarded_for: str, trusted: Sequence[Network] = ()) -> str:
    """Return the address from which somebody asked the first proxy that is believed.

    The service is asked by the hub's proxy alone, so the last address in the header is believed. The one before is believed only if the last
    is that of a trusted proxy, and so on: what a client writes into the header itself is never reached.

    Args:
        peer: the address that the service is asked from.
        forwarded_for: the header ``X-Forwarded-For``; empty if there is none.
        trusted: networks of proxies in front of the hub's.
    """
    believed = peer
    for entry in reversed(forwarded_for.split(",") if forwarded_for else ()):
        try:
            address = ip_address(entry.strip())
        except ValueError:
            break
        believed = str(address)
        if not any(address in network for network in trusted):
            break
    return believed
