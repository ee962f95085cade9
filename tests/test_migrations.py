"""What migrations make must be what the code expects."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
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
