"""The real service on a PostgreSQL that falls silent, and two of them on one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from tests.fake_hub import FakeHub
from tests.faults.service import PREFIX, Service
from tests.harness.waiting import until
from tests.postgresql import PostgreSQL, new_server


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server of these tests' own."""
    yield from new_server()


@pytest.fixture
def on_database(service: Service, server: PostgreSQL) -> Service:
    """The service with that database, which may take two seconds for an answer."""
    use(service, server)
    return service


def use(service: Service, server: PostgreSQL) -> None:
    """Let a service use a database."""
    service.settings["BinderService"] = {"state_dir": str(service.state), "database_url": server.url, "database_timeout_seconds": 2}


@asynccontextmanager
async def client_of(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": "token token-of-alice"}
    async with httpx.AsyncClient(base_url=f"{service.address}{PREFIX}", headers=headers, timeout=60) as client:
        yield client


async def health_of_store(client: httpx.AsyncClient) -> dict[str, Any]:
    """Return what the health page says about the database."""
    checks = (await client.get("health")).json()["checks"]
    return next(check for check in checks if check["service"] == "store")


async def test_a_silent_database_is_503_and_in_the_health_page_until_it_answers_again(on_database: Service, server: PostgreSQL) -> None:
    await on_database.start()
    async with client_of(on_database) as client:
        assert (await client.get("api/builds")).status_code == 200
        server.freeze()
        try:
            begun = time.monotonic()
            replies = await asyncio.gather(*(client.get(f"api/builds?limit={number}") for number in range(1, 9)))
            assert time.monotonic() - begun < 15
            assert {reply.status_code for reply in replies} == {503}
            assert {reply.json()["error"]["code"] for reply in replies} == {"store_unavailable"}
            assert all("database did not answer" in reply.json()["error"]["message"] for reply in replies)
            assert (await client.get("versions")).status_code == 200, "what needs no database answers"
            told = await health_of_store(client)
            assert not told["ok"]
            assert "database did not answer" in told["message"]
        finally:
            server.thaw()
        async with asyncio.timeout(20):
            while (await client.get("api/builds")).status_code != 200 or not (await health_of_store(client))["ok"]:
                await asyncio.sleep(0.2)
    await until(lambda: "database answers again" in on_database.log(), "a line of the log")
    await on_database.stop()


async def test_a_service_can_be_stopped_while_its_database_is_silent(on_database: Service, server: PostgreSQL) -> None:
    await on_database.start()
    server.freeze()
    try:
        await on_database.stop()
    finally:
        server.thaw()


async def test_a_second_service_on_the_database_waits_and_the_first_ends_when_the_second_has_it(
    on_database: Service, server: PostgreSQL, fake_hub: FakeHub, tmp_path: Path
) -> None:
    second = Service(tmp_path / "second", fake_hub.api_url)
    use(second, server)
    await on_database.start()
    try:
        second.spawn()
        await until(lambda: "Another service uses the same database" in second.log(), "that the second one waits")
        async with client_of(second) as client:
            reply = await client.get("api/builds")
            assert (reply.status_code, reply.json()["error"]["code"]) == (503, "service_starting")
            assert "Another service uses the same database" in reply.json()["error"]["message"]
        on_database.pause()
        end_sessions(server)
        await second.answers()
        on_database.resume()
        await until(lambda: not on_database.is_running(), "the end of the first")
        assert "Another service has taken the database over" in on_database.log()
    finally:
        second.kill()


def end_sessions(server: PostgreSQL) -> None:
    """Cut everybody off, as a restart of the database does."""
    engine = sa.create_engine(server.url)
    with engine.connect() as connection:
        connection.exec_driver_sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL")
    engine.dispose()
