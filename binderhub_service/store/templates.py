"""Templates by name, in SQL."""

from __future__ import annotations

from dataclasses import asdict

import sqlalchemy as sa

from ..errors import Conflict, NotFound
from ..models import Template, now
from .rows import utc
from .schema import templates
from .store import Store


class TemplateTable:
    """The table of templates; what its methods raise is what the store's raise, and more where it is said."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self, name: str) -> Template:
        """Return a template; raises `NotFound`."""
        rows = await self._store.read(sa.select(templates).where(templates.c.name == name))
        if not rows:
            raise _unknown(name)
        return _template_from(rows[0])

    async def all(self) -> list[Template]:
        """Return all templates, in the order of their names."""
        return [_template_from(row) for row in await self._store.read(sa.select(templates).order_by(templates.c.name))]

    async def add(self, template: Template) -> None:
        """Add a template.

        Raises:
            Conflict: there is one of this name.
        """

        def transaction(connection: sa.Connection) -> None:
            if _row_of(connection, template.name):
                raise Conflict(f"There is a template {template.name!r} already.", code="template_exists")
            connection.execute(templates.insert().values(asdict(template)))

        await self._store.write(transaction)

    async def change(self, name: str, *, image: str, command: str) -> Template:
        """Set what is not empty, note the time, and return the template as it is then; raises `NotFound`."""
        changed: list[Template] = []

        def transaction(connection: sa.Connection) -> None:
            row = _row_of(connection, name)
            if row is None:
                raise _unknown(name)
            values = {key: value for key, value in (("image", image), ("command", command)) if value}
            connection.execute(templates.update().where(templates.c.name == name).values(values | {"modified": now()}))
            changed.extend(_template_from(row) for row in [_row_of(connection, name)] if row)

        await self._store.write(transaction)
        return changed[0]


def put(connection: sa.Connection, template: Template) -> None:
    """Write a template in a transaction, in place of another one of its name."""
    connection.execute(templates.delete().where(templates.c.name == template.name))
    connection.execute(templates.insert().values(asdict(template)))


def _row_of(connection: sa.Connection, name: str) -> sa.RowMapping | None:
    return connection.execute(sa.select(templates).where(templates.c.name == name)).mappings().first()


def _template_from(row: sa.RowMapping) -> Template:
    return Template(**{**row, "created": utc(row["created"]), "modified": utc(row["modified"])})


def _unknown(name: str) -> NotFound:
    return NotFound(f"There is no template {name!r}.", code="template_not_found", hint="Check its spelling.")
