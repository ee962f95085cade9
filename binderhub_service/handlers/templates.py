"""``GET api/templates``: what can be launched by ``POST api/launches {"template": NAME}``, where the operator allows its image."""

from __future__ import annotations

from typing import Any

from ..models import Template, iso
from .base import ApiHandler


class TemplateListHandler(ApiHandler):
    """``templates``."""

    async def get(self) -> None:
        """List all templates, in the order of their names."""
        self.finish_json([template_json(template) for template in await self.context.templates.all()])


def template_json(template: Template) -> dict[str, Any]:
    """Return a template as the wire writes it; what it does not name is null."""
    return {
        "name": template.name,
        "image": template.image,
        "command": template.command or None,
        "memory": template.memory or None,
        "cpu_shares": template.cpu_shares or None,
        "created": iso(template.created),
        "modified": iso(template.modified),
    }


def template_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/templates/?", TemplateListHandler)]
