"""Fixtures for every test: the Git server and the hub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.git_server import GitServer


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A real smart-HTTP Git server on loopback for the whole run; give repositories names of their own."""
    with GitServer(tmp_path_factory.mktemp("git")).running() as server:
        yield server
