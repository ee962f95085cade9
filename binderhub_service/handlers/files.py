"""Files that people give instead of a repository's address: received in parts, straight to the disk, and named by their SHA-256."""

from __future__ import annotations

import asyncio
from typing import Any

from ..builds.access import check_may_build
from ..errors import BodyTooLarge, InvalidRequest
from .base import ApiHandler
from .streamed import KeptBody


class FilesHandler(KeptBody, ApiHandler):
    """``files``: takes one, whatever its content type says."""

    _problem: BodyTooLarge | None = None

    async def admit(self) -> None:
        """Know who sends before anything is kept."""
        await ApiHandler.prepare(self)
        if self.request.method == "POST" and not self._finished:
            check_may_build(self.caller)
            self._writer = self.context.contents.begin()

    async def data_received(self, chunk: bytes) -> None:
        """Keep a part; of what is too large, nothing."""
        if self._writer is None or self._problem:
            return
        try:
            await asyncio.to_thread(self._writer.write, chunk)
        except BodyTooLarge as error:
            self._problem = error
            self._writer.discard()

    async def post(self) -> None:
        """Keep the file: 201, with the names that requests for builds know it by."""
        if self._problem:
            raise self._problem
        if self._writer is None or not self._writer.bytes:
            raise InvalidRequest("The file is empty.", hint="Send an archive, or a Dockerfile, as the body.")
        digest = await asyncio.to_thread(self._writer.keep)
        self.set_status(201)
        self.finish_json({"sha256": digest, "bytes": self._writer.bytes, "upload": f"upload:{digest}", "dockerfile": f"dockerfile:{digest}"})


def file_api_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`."""
    return [(rf"{prefix}api/files/?", FilesHandler)]
