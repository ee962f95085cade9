"""Fixtures of the ports' suites: stores."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from binderhub_service.store import Store

POSTGRESQL_VARIABLE = "BINDER_TEST_POSTGRESQL"


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'store.sqlite'}"
    url = os.environ.get(POSTGRESQL_VARIABLE)
    if not url:
        pytest.skip(f"no database: {POSTGRESQL_VARIABLE} holds no URL")
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE")
        connection.exec_driver_sql("CREATE SCHEMA public")
    engine.dispose()
    return url


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    """An open, empty store of each kind."""
    store = Store(store_url)
    await store.open()
    yield store
    await store.close()
