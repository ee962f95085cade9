"""Which addresses are public, and what an operator excepts."""

from __future__ import annotations

import pytest

from binderhub_service.common.address_rules import AddressRules

CLOSED = {
    "private": ("10.0.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1", "fc00::1", "fd12:3456::1"),
    "loopback": ("127.0.0.1", "127.8.9.10", "::1"),
    "link-local": ("169.254.169.254", "fe80::1", "fe80::1%eth0"),
    "shared by carriers": ("100.64.0.1",),
    "multicast": ("224.0.0.1", "239.255.255.250", "ff02::1", "ff0e::1"),
    "reserved": ("0.0.0.0", "240.0.0.1", "255.255.255.255", "::", "192.0.2.1", "2001:db8::1"),
    "IPv4 in IPv6": ("::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::1", "2002:a9fe:a9fe::"),
}
PUBLIC = ("93.184.215.14", "140.82.121.3", "2606:50c0:8000::154", "::ffff:140.82.121.3", "64:ff9b::8c52:7903")
ADDRESSES = [(kind, address) for kind, addresses in CLOSED.items() for address in addresses]


@pytest.mark.parametrize(("kind", "address"), ADDRESSES)
def test_an_address_that_is_not_public_is_closed(kind: str, address: str) -> None:
    assert not AddressRules(public_only=True).allow("git.example.org", address), kind
    assert AddressRules().allow("git.example.org", address), "nothing is closed unless it was asked for"


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_open(address: str) -> None:
    assert AddressRules(public_only=True).allow("git.example.org", address)


def test_a_host_is_excepted_by_its_name_alone() -> None:
    rules = AddressRules(public_only=True, exceptions=("Git.Example.org",))
    assert rules.allow("git.example.org", "10.0.0.1")
    assert rules.allow("GIT.example.ORG.", "10.0.0.1")
    assert not rules.allow("example.org", "10.0.0.1")
    assert not rules.allow("git.example.org.attacker.example", "10.0.0.1")


@pytest.mark.parametrize(
    ("exception", "open_", "closed"),
    [("10.1.0.0/16", "10.1.2.3", "10.2.0.1"), ("10.1.2.3", "10.1.2.3", "10.1.2.4"), ("fd00::/8", "fd00::1", "fe80::1")],
)
def test_a_network_is_excepted_whatever_the_name(exception: str, open_: str, closed: str) -> None:
    rules = AddressRules(public_only=True, exceptions=(exception,))
    assert rules.allow("anything.example", open_)
    assert not rules.allow("anything.example", closed)


@pytest.mark.parametrize("text", ["10.1.0.0/33", "10.1.0.300", "https://git.example.org", "git.example.org:443", "", "-x", "a b"])
def test_what_is_neither_a_host_nor_a_network_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is neither the name of a host"):
        AddressRules(exceptions=(text,))
