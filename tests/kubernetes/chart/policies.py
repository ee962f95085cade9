"""What network policies come to, for pods and addresses, by the rules of Kubernetes' API; no network is asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

Policy = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """A pod, or an address outside of the cluster, which has no namespace.

    Attributes:
        ports: the numbers of ports that rules may name.
    """

    address: str
    namespace: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)


def reaches(policies: Iterable[Policy], start: Place, end: Place, port: int, protocol: str = "TCP") -> bool:
    """Say whether a connection is let out of where it starts and into where it ends."""
    policies = list(policies)
    way_out = _lets(policies, "Egress", start, end, end, port, protocol)
    return way_out and _lets(policies, "Ingress", end, start, end, port, protocol)


def _lets(policies: list[Policy], direction: str, here: Place, other: Place, end: Place, port: int, protocol: str) -> bool:
    """Say whether the policies of one side let a connection through: all do where none is about it."""
    about_it = [one for one in policies if direction in _directions(one) and _is_about(one, here)]
    peers = "to" if direction == "Egress" else "from"
    rules = [(one["metadata"]["namespace"], rule) for one in about_it for rule in one["spec"].get(direction.lower()) or ()]
    return not about_it or any(_is_port(rule.get("ports"), end, port, protocol) and _is_peer(rule.get(peers), of, other) for of, rule in rules)


def _directions(policy: Policy) -> list[str]:
    found: list[str] = policy["spec"]["policyTypes"]
    return found


def _is_about(policy: Policy, place: Place) -> bool:
    return bool(place.namespace) and policy["metadata"]["namespace"] == place.namespace and _selects(policy["spec"]["podSelector"], place.labels)


def _is_port(ports: list[Mapping[str, Any]] | None, end: Place, port: int, protocol: str) -> bool:
    def number(named: int | str) -> int | None:
        return named if isinstance(named, int) else end.ports.get(named)

    return not ports or any(one.get("protocol", "TCP") == protocol and ("port" not in one or number(one["port"]) == port) for one in ports)


def _is_peer(peers: list[Mapping[str, Any]] | None, namespace: str, place: Place) -> bool:
    return not peers or any(_matches(peer, namespace, place) for peer in peers)


def _matches(peer: Mapping[str, Any], namespace: str, place: Place) -> bool:
    if "ipBlock" in peer:
        address, block = ip_address(place.address), peer["ipBlock"]
        return address in ip_network(block["cidr"]) and not any(address in ip_network(one) for one in block.get("except", ()))
    if not place.namespace:
        return False
    if "namespaceSelector" in peer:
        in_place = _selects(peer["namespaceSelector"], {"kubernetes.io/metadata.name": place.namespace})
    else:
        in_place = place.namespace == namespace
    return in_place and _selects(peer.get("podSelector", {}), place.labels)


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert selector.keys() <= {"matchLabels"}, "expressions are not read"
    wanted: Mapping[str, str] = selector.get("matchLabels", {})
    return all(labels.get(name) == value for name, value in wanted.items())
