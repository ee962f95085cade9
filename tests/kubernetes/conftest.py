"""Fixtures of the tests on a real cluster; where there is none, they are skipped."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.harness.git_server import GitServer
from tests.kubernetes.images import debian
from tests.kubernetes.kubectl import fresh_namespace, reason_to_skip, run


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """Skip everything here where there is no cluster, and fail it at once, saying why, where a cluster runs no pods."""
    reason = reason_to_skip()
    if reason:
        pytest.skip(reason)
    with fresh_namespace() as name:
        run(name, debian(), "probe", "true")


@pytest.fixture
def namespace() -> Iterator[str]:
    """A namespace of a test's own."""
    with fresh_namespace() as name:
        yield name


@pytest.fixture(scope="session")
def git_server(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A real smart-HTTP Git server that pods reach; give repositories names of their own."""
    with GitServer(tmp_path_factory.mktemp("git"), os.environ["KUBE_TEST_HOST"]).running() as server:
        yield server
