"""Which schema a database has, and the way to this version's."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing
from pathlib import Path

import sqlalchemy as sa

from ..errors import Unavailable

log = logging.getLogger("binderhub_service")
SCHEMA_HEAD = "0012"


def is_current(engine: sa.Engine) -> bool:
    """Say whether a database has the schema of this version."""
    return _schema_of(engine) == SCHEMA_HEAD


def _schema_of(engine: sa.Engine) -> str | None:
    """Return the number of the schema that a database has; None for a new one."""
    with engine.connect() as connection:
        known = sa.inspect(connection).has_table("alembic_version")
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if known else None


def check(engine: sa.Engine) -> None:
    """Raise `Unavailable` if a database has a schema that this version does not know; nothing is changed."""
    schema = _schema_of(engine)
    if schema and schema > SCHEMA_HEAD:
        raise _newer_schema()


def _newer_schema() -> Unavailable:
    sentence = "The service's database was made by a newer version of this service, so this version does not use it."
    return Unavailable(sentence, code="service_starting", hint="Install that version again, or name another database.")


def keep_copy(engine: sa.Engine, file: Path) -> None:
    """Keep a copy of an SQLite file that is about to be migrated, for the way back: ``FILE.schema-NUMBER``. Without space for it, the log says so."""
    schema = _schema_of(engine)
    if schema is None or schema >= SCHEMA_HEAD:
        return
    copy, aside = (file.with_name(f"{file.name}.schema-{schema}{ending}") for ending in ("", ".part"))
    try:
        with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(aside)) as target:
            source.backup(target)
        aside.replace(copy)
        log.info("The database is brought from schema %s to %s; as it was it is kept in %s", schema, SCHEMA_HEAD, copy)
    except (OSError, sqlite3.Error) as error:
        aside.unlink(missing_ok=True)
        log.warning("The database is brought from schema %s to %s without a copy of what it was: %s", schema, SCHEMA_HEAD, error)


def migrate(engine: sa.Engine) -> None:
    """Run Alembic, which is imported only then; raises `Unavailable` if it does not know the schema that it finds."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise _newer_schema() from error


def analyze(engine: sa.Engine) -> None:
    """Let SQLite choose indexes by what is in the tables; other databases look after that themselves."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA analysis_limit=400")
            connection.exec_driver_sql("ANALYZE")
