"""Images, for administrators: list them with their use, and remove them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ..errors import NotFound
from ..images import StoredImage
from ..models import iso
from ..monitoring.actions import Action
from .base import ApiHandler, check_is_admin


class ImagesHandler(ApiHandler):
    """``images``."""

    async def get(self) -> None:
        """List all images, most recently used first."""
        check_is_admin(self, "Images are")
        self.finish_json([_image_json(image, last_used) for image, last_used in await self.context.cleaner.images()])


class OneImageHandler(ApiHandler):
    """``images/NAME``."""

    async def delete(self, name: str) -> None:
        """Remove an image: 204, or 409 while a server or a build uses it."""
        check_is_admin(self, "Images are")
        if not await self.context.cleaner.holds(name):
            raise NotFound("There is no image of this name.", code="image_not_found", hint="GET images lists all.")
        await self.context.builds.delete_image(name)
        self.context.actions.note(self.caller.name, Action.IMAGE_REMOVED, name, "removed")
        self.set_status(204)
        self.finish()


def _image_json(image: StoredImage, last_used: datetime) -> dict[str, Any]:
    return {"name": image.name, "bytes": image.bytes, "made": iso(image.made), "last_used": iso(last_used), "used_by": list(image.used_by)}


def image_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`; names of images may hold slashes."""
    return [(rf"{prefix}api/images/?", ImagesHandler), (rf"{prefix}api/images/(.+)", OneImageHandler)]
