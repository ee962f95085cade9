"""A database of the first release goes on with all it holds; a database that does not answer loses nothing that was accepted."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds.builds import Builds
from binderhub_service.errors import InvalidRequest, Unavailable
from binderhub_service.images.fake import FakeImages
from binderhub_service.models import Build, Event, Image, Kind, Request, State
from binderhub_service.store import backup, schema_version
from binderhub_service.store.store import Store
from binderhub_service.store.templates import TemplateTable
from tests.harness.records import ADMIN, ALICE, TableProvider, commit, source, whole
from tests.harness.waiting import in_time, until
from tests.postgresql import PostgreSQL

REPO = "https://git.example.org/o/r"
QUOTED = '"{}"'.format
FIRST_COLUMNS = "id provider repo url slug ref commit image environment state phase owner created started finished error force last_event cursor"
# state, phase, when it began and ended, its error, how many events, the cursor; one build each, numbered from 1.
FIRST_BUILDS: list[tuple[str, str, str | None, str | None, str | None, int, str]] = [
    ("ready", "done", "2026-01-01 10:00:01.250000", "2026-01-01 10:00:31.500000", None, 5, "812"),
    ("failed", "building", "2026-01-01 10:00:02.000000", "2026-01-01 10:00:03.000000", '{"code": "x", "message": "Nö.", "hint": null}', 4, "97"),
    ("cancelled", "queued", "2026-01-01 10:00:04.000000", "2026-01-01 10:00:04.000000", '{"code": "cancelled", "message": "m", "hint": "h"}', 1, ""),
    ("running", "building", "2026-01-01 10:00:05.000000", None, None, 3, "2"),
    ("queued", "queued", None, None, None, 0, ""),
]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database of each kind."""
    url: str = f"sqlite:///{tmp_path / 'service.sqlite'}" if request.param == "sqlite" else request.getfixturevalue("postgresql_url")
    return url


def migrate(engine: sa.Engine, revision: str) -> None:
    """Run migrations up to a revision, and no further."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema_version.__file__).with_name("migrations")))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def image_name(number: int) -> str:
    """Return the name that `FakeImages` gives, so that asks find what the first release made."""
    return FakeImages().name_for(source(number, repo=REPO))


@contextmanager
def first_release(url: str) -> Iterator[sa.Engine]:
    """Make a database as the first release left it, by plain SQL: a later release's code has no part in it."""
    engine = sa.create_engine(url)
    migrate(engine, "0001")
    with engine.begin() as connection:
        for number, (state, phase, started, finished, error, last_event, cursor) in enumerate(FIRST_BUILDS, start=1):
            build_id = f"b{number:08d}"
            row = {
                "id": build_id,
                "provider": "git",
                "repo": REPO,
                "url": REPO,
                "slug": REPO,
                "ref": "main",
                "commit": commit(number),
                "image": image_name(number),
                "environment": "key" if state == "ready" else "",
                "state": state,
                "phase": phase,
                "owner": "alice",
                "created": f"2026-01-01 10:00:0{number}.000000",
                "started": started,
                "finished": finished,
                "error": error,
                "force": False,
                "last_event": last_event,
                "cursor": cursor,
            }
            insert(connection, "builds", row)
            insert(connection, "askers", {"name": "alice", "build_id": build_id, "wants": True})
            for event in range(1, last_event + 1):
                kind = "end" if finished and event == last_event else "log"
                insert(connection, "events", {"build_id": build_id, "number": event, "kind": kind, "data": f'{{"text": "line {event}"}}'})
    yield engine
    engine.dispose()


def insert(connection: sa.Connection, table: str, row: Mapping[str, object]) -> None:
    """Insert a row by plain SQL."""
    columns, values = ", ".join(map(QUOTED, row)), ", ".join(f":{name}" for name in row)
    connection.execute(sa.text(f"INSERT INTO {table} ({columns}) VALUES ({values})"), row)


def content(connection: sa.Connection, requesters: str = "requesters") -> list[list[str]]:
    """Return all rows of all tables of the first release, in the columns that it had; it called the requesters otherwise."""
    tables = {"builds": ", ".join(map(QUOTED, FIRST_COLUMNS.split())), "events": "*", requesters: "name, build_id, wants"}
    return [sorted(map(str, connection.exec_driver_sql(f"SELECT {columns} FROM {table}"))) for table, columns in tables.items()]


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Store]:
    store = Store(url)
    await store.open()
    yield store
    await store.close()


@asynccontextmanager
async def builds_on(store: Store, gate: asyncio.Event | None = None) -> AsyncIterator[Builds]:
    """Yield the policy on a store; closed in good order."""
    images = FakeImages()
    images.there[image_name(1)] = Image(image_name(1), "key")

    def made(build: Build) -> None:
        images.there[build.image.name] = Image(build.image.name, "key")

    provider = TableProvider(**{f"ref-{number}": commit(number) for number in range(1, 20)})
    builds = Builds(store=store, providers=[provider], images=images, builder=FakeBuilder(made=made, gate=gate))
    yield builds
    await builds.close()


async def test_a_database_of_the_first_release_keeps_every_build_and_event(database_url: str) -> None:
    with first_release(database_url) as engine:
        with engine.connect() as connection:
            before = content(connection, "askers")
        async with opened(database_url) as store:
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == schema_version.SCHEMA_HEAD
                assert content(connection) == before
            failed = await store.get("b00000002")
            assert failed
            assert (failed.state, failed.error) == (State.FAILED, {"code": "x", "message": "Nö.", "hint": None})
            ready = await store.get("b00000001")
            assert ready
            assert ready.started
            assert ready.finished
            assert (ready.finished - ready.started).total_seconds() == 30.25
            assert ready.image == Image(image_name(1), "key", "")


async def test_unfinished_builds_of_the_first_release_end_with_their_whole_event_log(database_url: str) -> None:
    with first_release(database_url):
        async with opened(database_url) as store, builds_on(store) as builds:
            assert await builds.resume() == 2
            for number in (4, 5):
                event_log = await in_time(whole(builds.follow(f"b{number:08d}", ALICE)))
                assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
                assert [event.kind for event in event_log].count(Kind.END) == 1
                assert event_log[-1].payload["state"] == "ready"
                assert (await builds.get(f"b{number:08d}", ALICE)).state is State.READY


async def test_an_image_of_the_first_release_is_found(database_url: str) -> None:
    with first_release(database_url):
        async with opened(database_url) as store, builds_on(store) as builds:
            build, is_new = await builds.ensure(Request(REPO, "ref-1"), ALICE)
            assert (build.id, is_new) == ("b00000001", False)


async def test_a_database_of_a_newer_version_is_refused_and_left_as_it_is(database_url: str) -> None:
    with first_release(database_url) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        store = Store(database_url)
        for _ in range(2):
            with pytest.raises(Unavailable, match="made by a newer version"):
                await store.open()
        await store.close()
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == "9999"
            assert connection.exec_driver_sql("SELECT count(*) FROM builds").scalar() == len(FIRST_BUILDS)


async def test_every_migration_leads_back_as_well(database_url: str) -> None:
    with first_release(database_url) as engine:
        migrate(engine, "head")
        config = Config()
        config.set_main_option("script_location", str(Path(schema_version.__file__).with_name("migrations")))
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "0001")
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT count(*) FROM builds").scalar() == len(FIRST_BUILDS)
            columns = {column["name"] for column in sa.inspect(connection).get_columns("builds")}
            assert columns == set(FIRST_COLUMNS.split())


async def test_builds_that_ran_when_a_backup_was_made_go_on_from_it_and_over_the_way_back_and_forth(database_url: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with opened(database_url) as store, builds_on(store, gate) as builds:
        ids = [(await builds.ensure(Request(REPO, f"ref-{number}"), ALICE))[0].id for number in (2, 3)]
        await until(lambda: builds.counts()["running"] == len(ids), "the builds run")
        backup.back_up(database_url, tmp_path / "kept")
        later, _ = await builds.ensure(Request(REPO, "ref-4"), ALICE)
    for schema in (schema_version.SCHEMA_HEAD, f"{int(schema_version.SCHEMA_HEAD) - 1:04}", "0001"):
        backup.put_back(tmp_path / "kept", database_url)
        if schema != schema_version.SCHEMA_HEAD:
            backup.downgrade(database_url, schema)
        async with opened(database_url) as store, builds_on(store) as builds:
            assert await builds.resume() == len(ids), schema
            for build_id in ids:
                event_log = await in_time(whole(builds.follow(build_id, ALICE)))
                assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
                assert [event.kind for event in event_log].count(Kind.END) == 1
                assert event_log[-1].payload["state"] == "ready"
            assert {build.id for build in await builds.list(ALICE)} == set(ids), f"{later.id} came after the backup"


# --- a database that does not answer ---------------------------------------------------------------------------------


async def test_a_locked_database_refuses_new_asks_and_loses_nothing_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(connection: Any, _record: object) -> None:
        for pragma in ("journal_mode=WAL", "busy_timeout=100", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}")

    monkeypatch.setattr("binderhub_service.store.engine.prepare_sqlite", impatient)
    monkeypatch.setattr("binderhub_service.builds.event_log._LAST_RETRY_SECONDS", 0.2)
    gate = asyncio.Event()
    async with opened(f"sqlite:///{tmp_path / 's'}") as store, builds_on(store, gate) as builds:
        accepted, _ = await builds.ensure(Request(REPO, "ref-2"), ALICE)
        await until(lambda: builds.counts()["running"] == 1, "the build runs")
        other = sqlite3.connect(tmp_path / "s", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable) as caught:
            await builds.ensure(Request(REPO, "ref-3"), ALICE)
        assert (caught.value.status, caught.value.code) == (503, "store_unavailable")
        gate.set()  # the build ends while its end cannot be stored
        await asyncio.sleep(0.5)
        assert not (await store.get(accepted.id)).state.ended  # type: ignore[union-attr]  # it is there
        other.execute("ROLLBACK")
        other.close()
        event_log = await in_time(whole(builds.follow(accepted.id, ALICE)))
        assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
        assert event_log[-1].payload["state"] == "ready"
        refused, is_new = await builds.ensure(Request(REPO, "ref-3"), ALICE)
        assert is_new
        await in_time(whole(builds.follow(refused.id, ALICE)))
        assert len(await builds.list(ADMIN)) == 2, "what was refused left nothing behind"


async def read_into(seen: list[Event], batches: AsyncIterator[Sequence[Event]]) -> None:
    """Keep the events of batches as they come."""
    async for batch in batches:
        seen.extend(batch)


async def test_an_absent_postgresql_refuses_new_asks_and_loses_nothing_accepted(own_postgresql: PostgreSQL, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.builds.event_log._LAST_RETRY_SECONDS", 0.2)
    gate = asyncio.Event()
    async with opened(own_postgresql.url) as store, builds_on(store, gate) as builds:
        accepted, _ = await builds.ensure(Request(REPO, "ref-2"), ALICE)
        await until(lambda: builds.counts()["running"] == 1, "the build runs")
        seen: list[Event] = []
        following = asyncio.create_task(read_into(seen, builds.follow(accepted.id, ALICE)))
        await until(lambda: bool(seen), "the beginning of the event log")
        own_postgresql.stop()
        for ask in (builds.ensure(Request(REPO, "ref-3"), ALICE), builds.get(accepted.id + "0", ALICE), store.check()):
            with pytest.raises(Unavailable) as caught:
                await ask
            assert (caught.value.status, caught.value.code) == (503, "store_unavailable")
        gate.set()
        await asyncio.sleep(0.5)
        assert not following.done(), "nobody sees an end that is not stored"
        own_postgresql.start()
        await in_time(following)
        assert [event.number for event in seen] == list(range(1, len(seen) + 1))
        assert seen[-1].payload["state"] == "ready"
        await store.check()
        again, is_new = await builds.ensure(Request(REPO, "ref-3"), ALICE)
        assert is_new
        await in_time(whole(builds.follow(again.id, ALICE)))
        assert len(await builds.list(ADMIN)) == 2, "what was refused left nothing behind"


async def test_a_service_finds_everything_again_when_postgresql_was_restarted_under_it(own_postgresql: PostgreSQL) -> None:
    async with opened(own_postgresql.url) as store, builds_on(store) as builds:
        build, _ = await builds.ensure(Request(REPO, "ref-2"), ALICE)
        event_log = await in_time(whole(builds.follow(build.id, ALICE)))
        own_postgresql.stop()
        own_postgresql.start()
        assert await whole(builds.follow(build.id, ALICE)) == event_log


async def test_a_database_that_lets_nobody_in_is_told_from_an_absent_one_and_the_password_is_not_told(
    postgresql_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    url = sa.make_url(postgresql_url)
    for wrong in (url.set(password="sekret-of-nobody"), url.set(database="of-nobody")):
        store = Store(wrong.render_as_string(hide_password=False))
        with pytest.raises(Unavailable, match="database refuses the connection; the service's log says why"):
            await store.open()
        await store.close()
    assert ("password authentication failed" in caplog.text, 'database "of-nobody" does not exist' in caplog.text) == (True, True)
    assert "sekret-of-nobody" not in caplog.text
    store = Store("postgresql+psycopg://binder:x@127.0.0.1:9/postgres")
    with pytest.raises(Unavailable, match="did not answer"):
        await store.open()
    await store.close()


async def test_a_value_that_no_text_in_postgresql_can_hold_is_the_requesters_mistake(postgresql_url: str) -> None:
    async with opened(postgresql_url) as store, builds_on(store) as builds:
        with pytest.raises(InvalidRequest):
            await builds.list(ADMIN, owner="a\0b")
        with pytest.raises(InvalidRequest):
            await builds.get("\0", ADMIN)


async def test_half_a_character_is_the_requesters_mistake_in_every_database(store_url: str) -> None:
    async with opened(store_url) as store, builds_on(store) as builds:
        for ask in (builds.get("\ud800", ADMIN), builds.list(ADMIN, owner="\ud800"), TemplateTable(store).get("\ud800")):
            with pytest.raises(InvalidRequest):
                await ask
        assert await builds.list(ADMIN) == [], "the database answers as before"
