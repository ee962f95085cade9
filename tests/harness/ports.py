"""Ports for what tests start, and start again."""

from __future__ import annotations

import secrets
import socket

# Below those that the system gives to connections: a connection of anybody's would keep a server that begins again from its port.
FIRST, COUNT = 10_000, 10_000


def free_ports(count: int, address: str = "127.0.0.1") -> list[int]:
    """Return that many different ports of an address that nobody listens on now."""
    found: set[int] = set()
    while len(found) < count:
        port = FIRST + secrets.randbelow(COUNT)
        if is_free(port, address):
            found.add(port)
    return list(found)


def is_free(port: int, address: str) -> bool:
    """Say whether a server could listen on a port now."""
    with socket.socket() as probe:
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True


def has_ipv6() -> bool:
    """Say whether servers of this machine may listen at its own IPv6 address."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
