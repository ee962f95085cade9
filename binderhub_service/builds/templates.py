"""Templates: those that somebody wrote, and those that finished builds made."""

from __future__ import annotations

from ..models import Template
from ..store.templates import TemplateTable
from .named import NamedBuilds


class Templates:
    """All templates; builds that have ended meanwhile count first."""

    def __init__(self, table: TemplateTable, named_builds: NamedBuilds) -> None:
        self._table = table
        self._named_builds = named_builds

    async def get(self, name: str) -> Template:
        """Return a template; raises `NotFound`."""
        await self._named_builds.settle()
        return await self._table.get(name)

    async def all(self) -> list[Template]:
        """Return all templates, in the order of their names."""
        await self._named_builds.settle()
        return await self._table.all()

    async def add(self, template: Template) -> None:
        """Add a template; raises `Conflict` if there is one of its name."""
        await self._named_builds.settle()
        await self._table.add(template)

    async def change(self, name: str, *, image: str, command: str) -> Template:
        """Set what is not empty, and return the template as it is then; raises `NotFound`."""
        await self._named_builds.settle()
        return await self._table.change(name, image=image, command=command)
