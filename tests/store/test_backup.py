"""A database is backed up while it is used, comes back whole in either kind of database, and goes back to every schema that there was."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from binderhub_service.app import BinderService
from binderhub_service.builds.controls import Controls
from binderhub_service.commands import administration
from binderhub_service.errors import BinderError, Conflict, InvalidRequest, Unavailable
from binderhub_service.models import Event, Kind, now
from binderhub_service.store import backup
from binderhub_service.store.controls import ControlTable
from binderhub_service.store.schema import named_builds
from binderhub_service.store.schema_version import SCHEMA_HEAD
from binderhub_service.store.store import Store
from tests.harness.records import build
from tests.postgresql import PASSWORD
from tests.store.test_upgrade import first_release

KINDS = ["sqlite", "postgresql"]


def url_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of a database of a kind; there is one of PostgreSQL's."""
    url: str = f"sqlite:///{folder / 'service.sqlite'}" if kind == "sqlite" else request.getfixturevalue("postgresql_url")
    return url


def add_named_build(connection: sa.Connection) -> None:
    """Add a row that the database numbers."""
    count = connection.execute(sa.select(sa.func.count()).select_from(named_builds)).scalar_one()
    texts = dict.fromkeys(("display_name", "repository", "build_id", "phase", "status", "error"), "x")
    connection.execute(named_builds.insert().values(name=f"n{count}", started=now(), settled=True, **texts))


def content(url: str) -> dict[str, list[str]]:
    """Return the rows of all tables, as the service reads them."""
    engine = sa.create_engine(url)
    tables = sa.MetaData()
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql("SET TIME ZONE 'UTC'")
        tables.reflect(connection)
        found = {name: sorted(map(_neutral, connection.execute(table.select()))) for name, table in tables.tables.items() if name != "lease"}
    engine.dispose()
    return found


def _neutral(row: sa.Row[tuple[object, ...]]) -> str:
    return str([value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value for value in row])


async def filled(url: str) -> Store:
    """Return an open store of the first release's builds and what came since."""
    with first_release(url):
        store = Store(url)
        await store.open()
    await store.create(build(50), "alice")
    await store.record(build(50), [Event(number=1, kind=Kind.LOG, data='{"text": "ü"}')], "c")
    await Controls(ControlTable(store)).put("ban-person", "eve", "Ünkind.", "root")
    await store.write(add_named_build)
    return store


@pytest.mark.parametrize("target", KINDS)
@pytest.mark.parametrize("source", KINDS)
async def test_a_backup_of_a_moment_while_it_is_used_comes_back_whole_in_either_kind_of_database(
    source: str, target: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = url_of(source, tmp_path, request)
    store = await filled(url)
    before = content(url)
    assert backup.back_up(url, tmp_path / "kept") == SCHEMA_HEAD
    await store.create(build(60), "bob")
    await store.close()
    assert content(url) != before
    (tmp_path / "new").mkdir()
    aim = url_of(target, tmp_path / "new", request)
    backup.put_back(tmp_path / "kept", aim)
    assert content(aim) == before
    again = Store(aim)
    await again.open()
    await again.write(add_named_build)
    await again.close()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith((".part", "-wal"))] == []


@pytest.mark.parametrize("kind", KINDS)
async def test_the_way_back_to_every_schema_and_forth_loses_no_build(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = url_of(kind, tmp_path, request)
    await (await filled(url)).close()
    known = content(url)
    for number in reversed(range(1, int(SCHEMA_HEAD))):
        assert backup.downgrade(url, f"{number:04}") == f"{number:04}"
        store = Store(url)
        await store.open(tmp_path)
        await store.close()
        after = content(url)
        assert after["events"] == known["events"]
        assert len(after["builds"]) == len(known["builds"])
        copy = tmp_path / f"{'service.sqlite' if kind == 'sqlite' else 'database'}.schema-{number:04}"
        backup.put_back(copy, f"sqlite:///{tmp_path / 'former'}")
        assert len(content(f"sqlite:///{tmp_path / 'former'}")["builds"]) == len(known["builds"])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_that_is_used_is_neither_replaced_nor_brought_back(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = url_of(kind, tmp_path, request)
    store = await filled(url)
    backup.back_up(url, tmp_path / "kept")
    known = content(url)
    if kind == "postgresql":
        for command in (lambda: backup.put_back(tmp_path / "kept", url), lambda: backup.downgrade(url, "")):
            with pytest.raises(Conflict, match="A service uses this database: stop it first"):
                command()
    await store.close()
    with pytest.raises(InvalidRequest, match=f"has schema {SCHEMA_HEAD}; those before it are: 0001, "):
        backup.downgrade(url, "0000")
    assert content(url) == known


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (lambda file: None, "There is no file "),
        (lambda file: file.write_text("x" * 5000), "file is not a database"),
        (lambda file: file.touch(), "There is nothing of this service in "),
    ],
)
async def test_what_is_no_backup_is_refused_and_the_database_stays(made: object, sentence: str, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'service.sqlite'}"
    await (await filled(url)).close()
    known = content(url)
    made(tmp_path / "kept")  # type: ignore[operator]
    with pytest.raises(BinderError) as caught:
        backup.put_back(tmp_path / "kept", url)
    assert sentence in caught.value.message
    assert content(url) == known


async def test_a_database_that_is_away_is_a_sentence_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="The database does not answer: ") as caught:
        backup.back_up(f"postgresql+psycopg://binder:{PASSWORD}@127.0.0.1:9/postgres", tmp_path / "kept")
    assert PASSWORD not in caught.value.message


def test_a_state_moves_with_its_links_and_stays_reachable_where_it_was(tmp_path: Path) -> None:
    state, new = tmp_path / "state", tmp_path / "disk" / "state"
    new.parent.mkdir()
    (state / "people").mkdir(parents=True)
    (state / "service.sqlite").write_text("x")
    os.link(state / "service.sqlite", state / "linked")
    (state / "current").symlink_to("people")
    settings = BinderService(state_dir=str(state))
    with subprocess.Popen(["sleep", "60"], cwd=state / "people") as user:
        with pytest.raises(Conflict, match=f"Builds or servers run from {state}: processes {user.pid}"):
            administration.move(settings, str(new))
        user.kill()
    assert f"The state is in {new}" in administration.move(settings, str(new))
    assert state.readlink() == new
    assert (new / "current").readlink() == Path("people")
    assert (new / "linked").stat().st_ino == (state / "service.sqlite").stat().st_ino
    with pytest.raises(Conflict, match="cannot be moved"):
        administration.move(settings, str(tmp_path / "third"))
