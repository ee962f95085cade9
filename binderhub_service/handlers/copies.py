"""People's working copies and homes, for administrators: list them with their sizes and use, and remove them."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Any

from ..errors import NotFound
from ..models import iso
from ..monitoring.actions import Action
from ..working_copies import StoredCopy, WorkingCopies
from .base import ApiHandler, check_is_admin


class CopyHandler(ApiHandler):
    """What all handlers of copies share."""

    @property
    def copies(self) -> WorkingCopies:
        """People's files; raises `NotFound` where they are not in the state directory, and `NotAllowed` for who is no administrator."""
        check_is_admin(self, "Working copies are")
        if self.context.copies is None:
            raise NotFound(
                "People's files are not in this service's state directory.",
                code="copies_elsewhere",
                hint="They are volumes, claims, or in the homes of this machine's accounts: look there.",
            )
        return self.context.copies


class CopiesHandler(CopyHandler):
    """``copies``."""

    async def get(self) -> None:
        """List all homes, each followed by the working copies in it; with ``person``, of that person alone."""
        found = await asyncio.to_thread(self.copies.all, self.get_query_argument("person", ""))
        self.finish_json([copy_json(copy) for copy in found])


class OneCopyHandler(CopyHandler):
    """``copies/NAME``."""

    async def delete(self, name: str) -> None:
        """Remove a working copy, or a home with all that is in it: 204, or 409 while a server runs there."""
        await asyncio.to_thread(self.copies.remove, name)
        self.context.actions.note(self.caller.name, Action.COPY_REMOVED, name, "removed")
        self.set_status(204)
        self.finish()


def copy_json(copy: StoredCopy) -> dict[str, Any]:
    """Return a copy or a home as the API writes it."""
    return {**asdict(copy), "last_used": iso(copy.last_used)}


def copy_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`; names of copies hold slashes."""
    return [(rf"{prefix}api/copies/?", CopiesHandler), (rf"{prefix}api/copies/(.{{1,1000}})", OneCopyHandler)]
