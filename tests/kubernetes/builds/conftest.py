"""Fixtures of build pods on a real cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.kubernetes.builds.pod_builds import Outside, PodBuilds
from tests.kubernetes.images import built, python_image
from tests.kubernetes.kubectl import fresh_namespace


@pytest.fixture(scope="session")
def stand_in(cluster: None) -> str:
    """The image that stands in for the builder image."""
    return built("stand-in-builder", Path(__file__).parent / "stand_in", BASE=python_image())


@pytest.fixture(scope="module")
def shared_namespace(cluster: None) -> Iterator[str]:
    """A namespace of a file's tests."""
    with fresh_namespace() as name:
        yield name


@pytest.fixture(scope="session")
def outside(cluster: None) -> Iterator[Outside]:
    """What build pods ask on this machine."""
    with Outside().running() as outside:
        yield outside


@pytest.fixture
async def pod_builds(shared_namespace: str, stand_in: str, outside: Outside) -> AsyncIterator[PodBuilds]:
    """Builders, and builds that do as they are told."""
    pod_builds = PodBuilds(shared_namespace, stand_in, outside)
    yield pod_builds
    await pod_builds.close()
