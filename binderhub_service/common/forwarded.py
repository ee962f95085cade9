"""Whose request is it, if it came through proxies, is it from a network that is kept out, and was it sent to us by our name; pure.

Facts: every proxy appends the address that it was asked from to ``X-Forwarded-For``. A page of a site whose name leads to the site first and
to this machine later (DNS rebinding) is of the same origin as this service, and names its own site in ``Host``; it cannot name an address there.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from urllib.parse import urlsplit

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network
_OF_ONE_CLIENT = 64  # the prefix of what an access provider gives to one client, who chooses any address in it


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
            address = parsed(entry.strip())
        except ValueError:
            break
        believed = str(address)
        if not any(address in network for network in trusted):
            break
    return believed


def label_of(address: str, networks: Mapping[Network, str]) -> str | None:
    """Return the label of the first network that an address is in; None if it is in none, or is no address."""
    if not networks:
        return None
    try:
        known = parsed(address)
    except ValueError:
        return None
    return next((label for network, label in networks.items() if known in network), None)


def client_of(address: str) -> str:
    """Return what is the same for all addresses that one client can choose from: an address of version 4, or the network of one of version 6."""
    try:
        known = parsed(address)
    except ValueError:
        return address
    return str(known) if known.version == 4 else str(IPv6Network((known, _OF_ONE_CLIENT), strict=False))


def is_ours(host: str, names: Collection[str]) -> bool:
    """Say whether a request's ``Host`` is an address or one of our names.

    Args:
        names: names of hosts in small letters; none if every name is ours.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").removesuffix(".")
        return not names or name in names or bool(ip_address(name))
    except ValueError:
        return False


def parsed(address: str) -> Address:
    """Return an address; one of version 4 that is written as one of version 6 (``::ffff:192.0.2.1``) is what it is. Raises `ValueError`."""
    known = ip_address(address)
    return known.ipv4_mapped or known if isinstance(known, IPv6Address) else known
