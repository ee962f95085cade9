"""Fixtures for the spawner's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.spawner.fakes import FakeService


@pytest_asyncio.fixture(loop_scope="function")
async def service() -> AsyncIterator[FakeService]:
    """A running build service that the test drives."""
    fake = FakeService()
    await fake.start()
    yield fake
    await fake.stop()
