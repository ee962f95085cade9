"""Fixtures for the tests of builders."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.fake_cluster import FakeCluster


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    """A cluster that answers as it is told."""
    async with FakeCluster().running() as fake:
        yield fake
