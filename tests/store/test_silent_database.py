"""A PostgreSQL that accepts connections and never answers, and two stores on one database."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import sqlalchemy as sa

from binderhub_service.errors import Unavailable
from binderhub_service.store.engine import Database
from binderhub_service.store.store import Store
from tests.harness.records import build
from tests.harness.waiting import until
from tests.postgresql import PostgreSQL, new_server

LIMIT_SECONDS = 2.0
CONNECT_SECONDS = 2  # of the URL in `PostgreSQL`


@pytest.fixture(scope="module")
def server() -> Iterator[PostgreSQL]:
    """A server that goes on when a test is over."""
    yield from new_server()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = Store(url, limit_seconds=LIMIT_SECONDS)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def refusal(store: Store) -> str:
    """Return why a database cannot be asked; empty if it can."""
    try:
        await store.get("b00000001")
    except Unavailable as error:
        return error.message
    return ""


async def answers(store: Store) -> None:
    """Wait until a database answers."""
    async with asyncio.timeout(15):
        while await refusal(store):
            await asyncio.sleep(0.1)


def sessions(server: PostgreSQL) -> int:
    """Return how many sessions hold an advisory lock."""
    engine = sa.create_engine(server.url)
    with engine.connect() as connection:
        held: int = connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted").scalar_one()
    engine.dispose()
    return held


async def test_every_call_of_a_silent_server_fails_in_time_and_the_store_recovers(server: PostgreSQL) -> None:
    async with opened(server.url) as store:
        await store.create(build(1))
        server.freeze()
        try:
            begun = time.monotonic()
            reasons = await asyncio.gather(*(refusal(store) for _ in range(20)))
            assert time.monotonic() - begun < LIMIT_SECONDS + CONNECT_SECONDS + 2
            assert all(reasons)
            assert any("2 seconds" in reason for reason in reasons)
            assert await refusal(store), "a new connection is not answered either"
        finally:
            server.thaw()
        await answers(store)
        assert await store.get("b00000001") == build(1)
        assert not store.lost


async def test_who_stops_waiting_leaves_no_call_behind_that_hangs(server: PostgreSQL) -> None:
    async with opened(server.url) as store:
        server.freeze()
        try:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.get("b00000001"), 0.3)
            await asyncio.sleep(LIMIT_SECONDS + CONNECT_SECONDS)
        finally:
            server.thaw()
        await answers(store)


async def test_a_silent_server_is_noticed_when_the_service_starts(server: PostgreSQL) -> None:
    store = Store(server.url, limit_seconds=LIMIT_SECONDS)
    server.freeze()
    try:
        with pytest.raises(Unavailable):
            await asyncio.wait_for(store.open(), LIMIT_SECONDS + CONNECT_SECONDS + 2)
    finally:
        server.thaw()
    await store.open()
    await store.close()


async def test_a_statement_that_takes_too_long_ends_on_the_server_as_well(server: PostgreSQL) -> None:
    async with opened(server.url) as store:
        other = sa.create_engine(server.url)
        with other.connect() as connection, connection.begin() as transaction:
            connection.exec_driver_sql("LOCK TABLE builds")
            assert await refusal(store)
            waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
            assert connection.exec_driver_sql(waiting).scalar_one() == 0
            transaction.rollback()
        other.dispose()
        await answers(store)


async def test_a_connection_that_is_cut_while_nobody_asks_is_made_anew(server: PostgreSQL) -> None:
    async with opened(server.url) as store:
        store._database.cut()
        await answers(store)
        assert not store.lost


async def test_a_second_service_on_one_database_waits_and_takes_over(server: PostgreSQL) -> None:
    second = Store(server.url, limit_seconds=LIMIT_SECONDS)
    async with opened(server.url) as first:
        with pytest.raises(Unavailable, match="Another service uses the same database") as caught:
            await second.open()
        assert caught.value.code == "service_starting"
        await first.create(build(2))
        assert sessions(server) == 1
    await second.open()
    assert await second.get("b00000002") == build(2)
    await second.close()
    assert sessions(server) == 0


async def test_who_was_without_connection_while_another_had_the_database_writes_no_more(server: PostgreSQL) -> None:
    async with opened(server.url) as first:
        await first.create(build(3))
        first._database.cut()
        await until(lambda: sessions(server) == 0, "the server has noticed")
        async with opened(server.url):
            with pytest.raises(Unavailable, match="taken the database over"):
                await first.create(build(4))
            assert first.lost
        with pytest.raises(Unavailable, match="taken the database over"):
            await first.create(build(5))
    async with opened(server.url) as third:
        assert await third.get("b00000003") == build(3)
        assert await third.get("b00000004") is None
        assert await third.get("b00000005") is None


async def test_services_in_schemas_of_their_own_share_a_database(server: PostgreSQL) -> None:
    engine = sa.create_engine(server.url)
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE SCHEMA other")
    engine.dispose()
    async with opened(server.url), opened(f"{server.url}&options=-csearch_path%3Dother") as other:
        await other.check()


def test_the_server_gives_up_a_client_that_is_gone_within_a_minute_whether_it_waits_for_it_or_sends_to_it(server: PostgreSQL) -> None:
    database = Database(server.url, LIMIT_SECONDS, lambda cursor: None)
    names = [*(f"tcp_keepalives_{name}" for name in ("idle", "interval", "count")), "tcp_user_timeout"]
    with database.engine.connect() as connection:
        idle, interval, count, unanswered = (
            int(connection.execute(sa.text("SELECT setting FROM pg_settings WHERE name = :name"), {"name": name}).scalar_one()) for name in names
        )
    database.engine.dispose()
    assert 0 < idle + interval * count <= 60
    assert 0 < unanswered <= 60_000
