"""Fixtures of the ports' suites: stores, and real builds."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from binderhub_service.errors import Unavailable
from binderhub_service.store.caching import CachingStore
from binderhub_service.store.store import Store
from tests.harness.build_directory import BuildDirectory
from tests.harness.index_server import PackageIndex


@pytest.fixture(params=[Store, CachingStore], ids=lambda kind: kind.__name__)
async def store(request: pytest.FixtureRequest, store_url: str) -> AsyncIterator[Store]:
    """An open, empty store of each kind."""
    store = request.param(store_url)
    await store.open()
    yield store
    with contextlib.suppress(Unavailable):  # the test has closed it
        await store.close()


@pytest.fixture(scope="session")
def package_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageIndex]:
    """A package index with nothing but the package `base`."""
    index = PackageIndex(tmp_path_factory.mktemp("index"))
    index.add("base")
    with index.running():
        yield index


@pytest.fixture(scope="session")
def uv_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for uv of the run's own."""
    return tmp_path_factory.mktemp("uv-cache")


@pytest.fixture
def build_directory(tmp_path: Path, package_index: PackageIndex, uv_cache: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuildDirectory]:
    """Real builds that take their packages from `package_index`; no process of theirs outlives the test."""
    for name, value in {
        "UV_DEFAULT_INDEX": package_index.url,
        "UV_CACHE_DIR": str(uv_cache),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_HTTP_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS", "UV_NO_INDEX", "UV_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    build_directory = BuildDirectory(tmp_path / "state")
    yield build_directory
    build_directory.close()
