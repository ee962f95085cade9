"""Fixtures of the tests with faults: real builds, and the real service in a process that can be killed."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.contract.conftest import build_directory, package_index, uv_cache
from tests.fake_hub import FakeHub
from tests.faults.service import Service
from tests.harness.processes import assert_none_left, end_all

__all__ = ["build_directory", "package_index", "uv_cache"]  # fixtures


@pytest.fixture
async def fake_hub() -> AsyncIterator[FakeHub]:
    """A hub that knows alice, bob and an administrator, by the tokens ``token-of-NAME``."""
    hub = FakeHub()
    hub.add("alice")
    hub.add("bob")
    hub.add("root-admin", "admin-ui", admin=True)
    async with hub.running():
        yield hub


@pytest.fixture
def service(fake_hub: FakeHub, tmp_path: Path, build_directory: object) -> Iterator[Service]:
    """The service as a process, not started yet; it and its builds end with the test.

    `build_directory` is here for the environment in which uv finds the tests' own package index.
    """
    service = Service(tmp_path / "service", fake_hub.api_url)
    yield service
    service.kill()
    end_all(service.directory)
    assert_none_left(service.directory)
    sys.stdout.write(service.log())
