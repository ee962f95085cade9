"""The chart's Role is all that building needs, and builds end with what the chart made for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from binderhub_service.errors import Unavailable
from tests.harness.following import followed, up_to
from tests.kubernetes.builds.conftest import outside, stand_in  # noqa: F401  fixtures
from tests.kubernetes.builds.pod_builds import Outside, PodBuilds
from tests.kubernetes.builds.test_rights import kubeconfig_with
from tests.kubernetes.chart.helm import REASON, by_name, packed, template
from tests.kubernetes.kubectl import kubectl

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
OWNER = "binder-builds"


@pytest.fixture
def role(tmp_path: Path) -> list[dict[str, list[str]]]:
    """The rules of the chart's Role."""
    made = by_name(template(packed(tmp_path), {"registry": {"prefix": "registry.example.org/x"}}))
    rules: list[dict[str, list[str]]] = made["Role", OWNER]["rules"]
    return rules


@pytest.fixture
def pod_builds(namespace: str, stand_in: str, outside: Outside, role: list[dict[str, list[str]]], tmp_path: Path) -> PodBuilds:  # noqa: F811
    """Builders that may what the chart's Role says."""
    return PodBuilds(namespace, stand_in, outside, kubeconfig_with(role, namespace, tmp_path))


async def test_with_the_charts_role_images_are_built_and_builds_go_with_their_owner(pod_builds: PodBuilds) -> None:
    kubectl("create", "configmap", OWNER, f"--namespace={pod_builds.namespace}")
    builder = pod_builds.builder(owner=OWNER)
    build, endless = pod_builds.ask(lines=["one"]), pod_builds.ask(lines=["here"], seconds=60)
    _, error = await followed(builder, build)
    assert error is None
    await up_to(builder, endless, "here")
    kubectl("delete", "configmap", OWNER, f"--namespace={pod_builds.namespace}")
    for one in (build, endless):
        await asyncio.to_thread(pod_builds.wait_until_nothing_is_left, one)
    await pod_builds.close()


async def test_without_its_owner_nothing_is_built(pod_builds: PodBuilds) -> None:
    builder = pod_builds.builder(owner=OWNER)
    _, error = await followed(builder, pod_builds.ask())
    assert isinstance(error, Unavailable)
    assert error.code == "cluster_refused"
    assert pod_builds.pods() == []
    await pod_builds.close()
