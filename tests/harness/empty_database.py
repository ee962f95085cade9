"""Databases of SQLite as the first start of a service leaves them; to bring the schema up to date takes most of the time of opening a new one."""

from __future__ import annotations

import asyncio
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from binderhub_service.store.store import Store


def write_empty_database(path: Path) -> str:
    """Write a database without a row at a path, unless there is one; return its address."""
    if not path.exists():
        path.write_bytes(_empty_database())
    return f"sqlite:///{path}"


@cache
def _empty_database() -> bytes:
    """Return the file of an empty database, made once by a store; a loop may run meanwhile."""
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as thread:
        path = Path(folder) / "s"
        thread.submit(asyncio.run, _make(f"sqlite:///{path}")).result()
        return path.read_bytes()


async def _make(url: str) -> None:
    store = Store(url)
    await store.open()
    await store.close()
