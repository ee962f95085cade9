"""Which schema a database has, and the way to this version's."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from ..errors import Unavailable

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
