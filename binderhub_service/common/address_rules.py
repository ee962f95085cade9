"""Which hosts may be asked on behalf of people; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

_HOST = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_NAT64 = IPv6Network("64:ff9b::/96")
ASK_FOR_PUBLIC = "Use a repository on a public server, or ask your administrator to let this host be used."
_LAST_32_BITS = 0xFFFFFFFF


@dataclass(frozen=True)
class AddressRules:
    """Rules about the addresses of hosts.

    Attributes:
        public_only: whether addresses that are not public are closed: private, loopback, link-local (and with it a cloud's metadata), multicast
            and reserved ones, in IPv4 and IPv6 (the registries of IANA, by `ipaddress`).
        exceptions: what is open nonetheless: hosts by name, and addresses or networks, e.g. ``git.example.org`` and ``10.1.0.0/16``.

    Raises:
        ValueError: an exception is neither a host nor a network.
    """

    public_only: bool = False
    exceptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take a list for the exceptions, as JSON has it, and check them."""
        object.__setattr__(self, "exceptions", tuple(self.exceptions))
        for text in self._names:
            if not _HOST.fullmatch(text) or text.rpartition(".")[2].isdigit():
                raise ValueError(f"{text!r} is neither the name of a host, such as git.example.org, nor a network, such as 10.1.0.0/16")

    def allow(self, host: str, address: str) -> bool:
        """Say whether a host may be asked at one of its addresses.

        Args:
            host: its name, as it was asked for.
            address: an IPv4 or IPv6 address.
        """
        found = _meant(ip_address(address))
        if not self.public_only or host.lower().rstrip(".") in self._names or any(found in network for network in self._networks):
            return True
        return found.is_global and not found.is_multicast

    @cached_property
    def _networks(self) -> list[IPv4Network | IPv6Network]:
        return [network for text in self.exceptions if (network := _network(text))]

    @cached_property
    def _names(self) -> set[str]:
        return {text.lower().rstrip(".") for text in self.exceptions if _network(text) is None}


def not_public(host: str) -> str:
    """Return the part of a sentence that says why a host is closed; its address is not named."""
    return f"the host {host} is not on the public internet, and only such hosts may be used"


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text.strip("[]"), strict=False)
    except ValueError:
        return None


def _meant(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that packets to an IPv6 address end at, where that is so (RFC 4291, 3056, 4380, 6052)."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & _LAST_32_BITS)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
