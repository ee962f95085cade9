"""What migrations make must be what the code expects."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from binderhub_service.store import schema_version
from binderhub_service.store.schema import metadata
from binderhub_service.store.store import Store
from tests.harness.records import build


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(Path(schema_version.__file__).with_name("migrations")))
    return ScriptDirectory.from_config(config)


async def opened(path: Path) -> Store:
    store = Store(f"sqlite:///{path}")
    await store.open()
    return store


async def test_the_migrations_lead_to_the_schema_of_the_code(tmp_path: Path) -> None:
    await (await opened(tmp_path / "s")).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 's'}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


async def test_a_conditional_index_is_conditional_in_the_database(tmp_path: Path) -> None:
    """Comparing schemas does not look at the conditions of indexes."""
    await (await opened(tmp_path / "s")).close()
    engine = sa.create_engine(f"sqlite:///{tmp_path / 's'}")
    with engine.connect() as connection:
        text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = 'one_unfinished_build_per_image'").scalar_one()
    engine.dispose()
    assert "UNIQUE" in text
    assert "WHERE state IN ('queued', 'running')" in text


def test_the_code_knows_the_newest_revision_and_there_is_only_one() -> None:
    assert scripts().get_heads() == [schema_version.SCHEMA_HEAD]


async def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    first = await opened(tmp_path / "s")
    await first.create(build(1))
    await first.close()
    second = await opened(tmp_path / "s")
    assert await second.get("b00000001") == build(1)
    await second.close()


async def test_a_current_schema_needs_no_migration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await (await opened(tmp_path / "s")).close()

    def never(*arguments: object) -> None:
        raise AssertionError("it migrates")

    monkeypatch.setattr("alembic.command.upgrade", never)
    await (await opened(tmp_path / "s")).close()


def old_database(file: Path) -> None:
    """Make a database of the second schema, with rows that are not in the file itself yet but beside it."""
    config = Config()
    config.set_main_option("script_location", str(Path(schema_version.__file__).with_name("migrations")))
    engine = sa.create_engine(f"sqlite:///{file}")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")
    engine.dispose()
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("INSERT INTO images VALUES ('kept', '2026-01-01 00:00:00')")
        connection.commit()


async def test_an_upgrade_keeps_the_database_as_it_was_for_the_way_back(tmp_path: Path) -> None:
    old_database(tmp_path / "s")
    await (await opened(tmp_path / "s")).close()
    await (await opened(tmp_path / "s")).close()
    [copy] = tmp_path.glob("s.schema-*")
    assert copy.name == "s.schema-0002"
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("0002",)]
        assert connection.execute("SELECT name FROM images").fetchall() == [("kept",)]


async def test_a_new_database_has_nothing_to_keep(tmp_path: Path) -> None:
    await (await opened(tmp_path / "s")).close()
    assert list(tmp_path.glob("*schema*")) == []


async def test_an_upgrade_without_space_for_a_copy_goes_on_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old_database(tmp_path / "s")
    (tmp_path / "s.schema-0002").mkdir()  # so that no file can take this name
    await (await opened(tmp_path / "s")).close()
    assert "without a copy of what it was" in caplog.text
    assert list(tmp_path.glob("*.part")) == []
