"""Which schema a database has, and the way to this version's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from ..errors import InvalidRequest, Unavailable

if TYPE_CHECKING:
    from alembic.config import Config

SCHEMA_HEAD = "0013"


def is_current(engine: sa.Engine) -> bool:
    """Say whether a database has the schema of this version."""
    return schema_of(engine) == SCHEMA_HEAD


def schema_of(engine: sa.Engine) -> str | None:
    """Return the number of the schema that a database has; None for a new one."""
    with engine.connect() as connection:
        known = sa.inspect(connection).has_table("alembic_version")
        return connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() if known else None


def check(engine: sa.Engine) -> None:
    """Raise `Unavailable` if a database has a schema that this version does not know; nothing is changed."""
    schema = schema_of(engine)
    if schema and schema > SCHEMA_HEAD:
        raise _newer_schema()


def _newer_schema() -> Unavailable:
    sentence = "The service's database was made by a newer version of this service, so this version does not use it."
    return Unavailable(sentence, code="service_starting", hint="Install that version again, or name another database.")


def migrate(engine: sa.Engine, schema: str = "head") -> None:
    """Bring a database to a schema; raises `Unavailable` if this version does not know its own."""
    from alembic import command
    from alembic.util import CommandError

    try:
        with _alembic(engine) as config:
            command.upgrade(config, schema)
    except CommandError as error:
        raise _newer_schema() from error


def downgrade(engine: sa.Engine, schema: str) -> None:
    """Bring a database back to a former schema, or without a number to the one before; raises `InvalidRequest` if there is none."""
    from alembic import command

    has = int(schema_of(engine) or 0)
    former = [f"{number:04}" for number in range(1, has)]
    if not former or (schema and schema not in former):
        raise InvalidRequest(f"The database has schema {has:04}; those before it are: {', '.join(former) or 'none'}.")
    with _alembic(engine) as config:
        command.downgrade(config, schema or former[-1])


@contextmanager
def _alembic(engine: sa.Engine) -> Iterator[Config]:
    """Give the configuration of Alembic, which is imported only then, for one transaction."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
        config.attributes["connection"] = connection
        yield config


def analyze(engine: sa.Engine) -> None:
    """Let SQLite choose indexes by what is in the tables; other databases look after that themselves."""
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            connection.exec_driver_sql("PRAGMA analysis_limit=400")
            connection.exec_driver_sql("ANALYZE")
