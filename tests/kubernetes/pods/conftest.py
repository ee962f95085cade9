"""Fixtures of the tests of what runs inside build pods."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.images import builder_image, built
from tests.kubernetes.kubectl import fresh_namespace
from tests.kubernetes.pods.builder_pods import BuilderPods


@pytest.fixture(scope="session")
def builds_namespace(cluster: None) -> Iterator[str]:
    """A namespace for all builds of these tests."""
    with fresh_namespace() as name:
        yield name


@pytest.fixture
def builder_pods(builds_namespace: str) -> BuilderPods:
    """Real builds by real repo2docker."""
    return BuilderPods(builds_namespace, builder_image())


@pytest.fixture
def stand_in_builds(builds_namespace: str) -> BuilderPods:
    """Real builds by something that stands in for repo2docker."""
    return BuilderPods(builds_namespace, built("binder-builder-stand-in", Path(__file__).parent / "stand_in", BASE=builder_image()))
