"""The chart's Role is all that building needs, and builds end with what the chart made for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from binderhub_service.errors import Unavailable
from tests.harness.following import followed, up_to
from tests.kubernetes.builds.conftest import outside, stand_in  # noqa: F401  fixtures
from tests.kubernetes.builds.docker_builds import DockerBuilds, Outside
from tests.kubernetes.builds.test_rights import kubeconfig_with
from tests.kubernetes.chart.helm import REASON, by_name, packed, template
from tests.kubernetes.kubectl import kubectl

pytestmark = pytest.mark.skipif(bool(REASON), reason=REASON)
OWNER = "binder-builds"


@pytest.fixture
def role(tmp_path: Path) -> list[dict[str, list[str]]]:
    """The rules of the chart's Role."""
    rules: list[dict[str, list[str]]] = by_name(template(packed(tmp_path)))["Role", OWNER]["rules"]
    return rules


@pytest.fixture
def docker_builds(namespace: str, stand_in: str, outside: Outside, role: list[dict[str, list[str]]], tmp_path: Path) -> DockerBuilds:  # noqa: F811
    """Builders that may what the chart's Role says."""
    return DockerBuilds(namespace, stand_in, outside, kubeconfig_with(role, namespace, tmp_path))


async def test_with_the_charts_role_images_are_built_and_builds_go_with_their_owner(docker_builds: DockerBuilds) -> None:
    kubectl("create", "configmap", OWNER, f"--namespace={docker_builds.namespace}")
    builder = docker_builds.builder(owner=OWNER)
    build, endless = docker_builds.ask(lines=["one"]), docker_builds.ask(lines=["here"], seconds=60)
    _, error = await followed(builder, build)
    assert error is None
    await up_to(builder, endless, "here")
    kubectl("delete", "configmap", OWNER, f"--namespace={docker_builds.namespace}")
    for one in (build, endless):
        await asyncio.to_thread(docker_builds.wait_until_nothing_is_left, one)
    await docker_builds.close()


async def test_without_its_owner_nothing_is_built(docker_builds: DockerBuilds) -> None:
    builder = docker_builds.builder(owner=OWNER)
    _, error = await followed(builder, docker_builds.ask())
    assert isinstance(error, Unavailable)
    assert error.code == "cluster_refused"
    assert docker_builds.pods() == []
    await docker_builds.close()
