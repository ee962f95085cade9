"""Who reaches whom by the chart's policies, and zero-to-jupyterhub's beside them, as the stand-in has these: what is needed, and nothing else.

No network is asked: that of the tests' cluster heeds no policy.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builders.kubernetes import KubernetesSettings
from binderhub_service.builders.kubernetes.manifest import trial_manifest
from tests.chart.test_chart import IN_HUB
from tests.kubernetes.chart.helm import REASON, Objects, Values, by_name, packed, template
from tests.kubernetes.chart.policies import Place, Policy, reaches

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
RELEASE = "binder"
PUBLIC = {"outside": Place("93.184.215.14"), "outside, IPv6": Place("2606:2800:21f::1"), "outside by NAT64": Place("64:ff9b::5db8:d70e")}
CLOSED = {
    "private": Place("10.20.0.1"),  # among others the API server
    "private, IPv6": Place("fd12::1"),
    "private by NAT64": Place("64:ff9b::a14:1"),
    "metadata": Place("169.254.169.254"),
    "metadata, IPv6": Place("fd00:ec2::254"),
    "metadata by NAT64": Place("64:ff9b::a9fe:a9fe"),
}
NAMES = {"DNS": Place("10.244.0.53", "kube-system", {"k8s-app": "kube-dns"}), "DNS of the node": Place("169.254.20.10")}
OTHERS = {
    "Prometheus": Place("10.244.0.60", "monitoring", {"app.kubernetes.io/name": "prometheus"}),
    "somebody": Place("10.244.0.61", RELEASE, {"app": "other"}),
    "somebody elsewhere": Place("10.244.0.62", "elsewhere", {"component": "hub", "release": RELEASE}),
}
MONITORED = {"monitoring": {"serviceMonitor": {"enabled": True}}}
REGISTRY = {"registry": {"inCluster": {"enabled": True}}}
PORTS = [(53, "UDP"), (53, "TCP"), (80, "TCP"), (443, "TCP"), (6443, "TCP")]
ANY = {(name, *port) for name in PUBLIC for port in PORTS if port[0] != 53}
DNS = {(name, 53, protocol) for name in NAMES for protocol in ("UDP", "TCP")}
# A chart does not know the API server's address, but its ports. What is not public is closed to people's requests by UrlGuard.
AS_API_SERVER = {(name, port, "TCP") for name in (*CLOSED, *NAMES, *OTHERS) for port in (443, 6443)}


@pytest.fixture(scope="module")
def chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return packed(tmp_path_factory.mktemp("chart"))


def places(made: Objects, service: str) -> dict[str, Place]:
    """Return all pods of a release, labelled as the chart and the code label them, and what is around them."""

    def pod(number: int, deployment: str) -> Place:
        of = made["Deployment", deployment]["spec"]["template"]
        ports = {port["name"]: port["containerPort"] for container in of["spec"]["containers"] for port in container.get("ports", ())}
        return Place(f"10.244.0.{number}", RELEASE, of["metadata"]["labels"], ports)

    build = trial_manifest(KubernetesSettings(builder_image="b:1", instance=RELEASE))["metadata"]["labels"]
    server = {"component": "singleuser-server", "app": "jupyterhub", "release": RELEASE, "hub.jupyter.org/network-access-hub": "true"}
    return {
        "hub": pod(2, "hub"),
        "proxy": pod(3, "proxy"),
        "service": pod(4, service),
        "registry": pod(5, "binder-image-registry"),
        "build": Place("10.244.0.6", RELEASE, build),
        "another build": Place("10.244.0.7", RELEASE, build),
        "server": Place("10.244.0.8", RELEASE, server),
        **{**PUBLIC, **CLOSED, **NAMES, **OTHERS},
    }


def policies(made: Objects) -> list[Policy]:
    found: list[dict[str, Any]] = [thing for (kind, _), thing in made.items() if kind == "NetworkPolicy"]
    return [{**one, "metadata": {"namespace": RELEASE, **one["metadata"]}} for one in found]


@pytest.mark.parametrize(
    ("values", "service", "callers"),
    [
        (MONITORED, "binder-service", {"hub", "proxy", "Prometheus"}),
        ({}, "binder-service", {"hub", "proxy"}),
        ({**IN_HUB, **MONITORED}, "hub", {"hub", "proxy", "Prometheus"}),
        (
            {"networkPolicy": {"serviceIngress": [{"from": [{"podSelector": {"matchLabels": {"app": "other"}}}]}]}},
            "binder-service",
            {"hub", "proxy", "somebody"},
        ),
    ],
    ids=["monitored", "plain", "in the hub's pod", "with a rule of an operator's"],
)
def test_what_is_needed_is_open_and_nothing_else(chart: Path, values: Values, service: str, callers: set[str]) -> None:
    made = by_name(template(chart, {**values, **REGISTRY}))
    rules, there = policies(made), places(made, service)

    def who_reaches(name: str, port: int) -> set[str]:
        return {start for start in there if start != name and reaches(rules, there[start], there[name], port)}

    def reached_by(name: str) -> set[tuple[str, int, str]]:
        around = {**PUBLIC, **CLOSED, **NAMES, **OTHERS}
        return {(end, *port) for end in around for port in PORTS if reaches(rules, there[name], there[end], *port)}

    assert who_reaches("service", 8585) | {"hub"} == callers
    assert who_reaches("hub", 8081) | {"service"} == {"proxy", "service", "server"}
    assert who_reaches("build", 8080) == set()
    # Nodes pull from it, whose addresses a chart does not know: its login keeps the others out. zero-to-jupyterhub closes the proxy's way out.
    assert who_reaches("registry", 5000) == there.keys() - {"registry", "proxy"}
    inside = ("hub", "proxy", "service", "another build", "server")
    assert [end for end in inside for port in (8000, 8001, 8081, 8585) if reaches(rules, there["build"], there[end], port)] == []
    assert {place for place in reached_by("build") if place[0] in PUBLIC and place[1] != 53} == ANY
    assert {place for place in reached_by("build") if place[0] not in PUBLIC} == DNS
    assert reached_by("registry") == set()
    if service == "binder-service":
        assert "service" in who_reaches("hub", 8081)
        assert {place for place in reached_by("service") if place[0] not in PUBLIC} == DNS | AS_API_SERVER
        assert {place for place in reached_by("service") if place[0] in PUBLIC} >= ANY
