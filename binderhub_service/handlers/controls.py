"""What administrators switch while the service runs, over the API.

``api/controls``: bans, quotas, a pause of builds, a drain, an announcement; ``api/drain``: how far a drain is; ``api/notices``: what of that
everybody should know.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from ..builds.controls import SERVER_QUOTAS
from ..models import Control, iso
from ..monitoring.actions import Action
from .base import ApiHandler, check_is_admin

_KEYS = {"pattern": str, "text": str}


class ControlsHandler(ApiHandler):
    """``controls``."""

    async def get(self) -> None:
        """List all that is switched."""
        check_is_admin(self, "Controls are")
        self.finish_json([control_json(control) for control in self.context.controls.all()])


class OneControlHandler(ApiHandler):
    """``controls/KIND``."""

    async def put(self, kind: str) -> None:
        """Switch something on, or change it: 200 with what it is now."""
        check_is_admin(self, "Controls are")
        body = self.json_body(_KEYS)
        if kind in SERVER_QUOTAS and self.context.launches.places:  # where servers cannot be counted, nobody could start one from then on
            await self.context.launches.places.check_countable()
        control = await self.context.controls.put(kind, body.get("pattern", ""), body.get("text", ""), self.caller.name)
        self.context.actions.note(self.caller.name, Action.CONTROL_SET, f"{control.kind} {control.pattern}".rstrip(), control.text or "set")
        self.finish_json(control_json(control))

    async def delete(self, kind: str) -> None:
        """Switch something off: 204."""
        check_is_admin(self, "Controls are")
        pattern = self.get_query_argument("pattern", "")
        await self.context.controls.remove(kind, pattern)
        self.context.actions.note(self.caller.name, Action.CONTROL_REMOVED, f"{kind} {pattern}".rstrip(), "removed")
        self.set_status(204)
        self.finish()


class DrainHandler(ApiHandler):
    """``drain``."""

    async def get(self) -> None:
        """Tell what still goes on, and whether the service can be stopped: when it is draining and nothing does."""
        check_is_admin(self, "Drains are")
        counts, jobs = self.context.builds.counts(), self.context.image_jobs.count()
        left = {"queued": counts["queued"], "running": counts["running"], "jobs": jobs}
        is_draining = self.context.controls.is_draining
        self.finish_json({"draining": is_draining, "drained": is_draining and not any(left.values()), **left})


class NoticesHandler(ApiHandler):
    """``notices``."""

    async def get(self) -> None:
        """Tell what is announced, and that no build begins."""
        self.finish_json({"notices": self.context.controls.notices})


def control_json(control: Control) -> dict[str, Any]:
    """Return a control as the wire writes it."""
    return asdict(control) | {"set_at": iso(control.set_at)}


def control_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [
        (rf"{prefix}api/controls/?", ControlsHandler),
        (rf"{prefix}api/controls/([a-z-]+)", OneControlHandler),
        (rf"{prefix}api/drain/?", DrainHandler),
        (rf"{prefix}api/notices/?", NoticesHandler),
    ]
