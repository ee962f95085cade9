"""What operators, probes and programmers ask: health, versions, metrics, and the description of the API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from functools import cache
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import BinderError, NotFound
from .base import ApiHandler

_HEALTH_SECONDS = 5.0
_OPENAPI = Path(__file__).parent.parent / "openapi.json"


class HealthHandler(ApiHandler):
    """``health``: 200 if everything the service needs answers, else 503; the answer is kept for some seconds."""

    public = True
    _known: tuple[float, dict[str, Any]] = (float("-inf"), {})

    async def get(self) -> None:
        """Answer with every check by name."""
        made, answer = HealthHandler._known
        if time.monotonic() - made > _HEALTH_SECONDS:
            answer = await self._check()
            HealthHandler._known = (time.monotonic(), answer)
        self.set_status(200 if answer["ok"] else 503)
        self.finish_json(answer)

    head = get

    async def _check(self) -> dict[str, Any]:
        checks = self.context.checks
        results = await asyncio.gather(*(_result(name, check) for name, check in checks.items()))
        return {"ok": all(result["ok"] for result in results), "checks": results}


async def _result(name: str, check: Callable[[], Awaitable[None]]) -> dict[str, Any]:
    try:
        await check()
    except BinderError as error:
        return {"service": name, "ok": False, "message": error.message}
    return {"service": name, "ok": True}


class VersionsHandler(ApiHandler):
    """``versions``: in the shape that BinderHub's clients know."""

    public = True

    async def get(self) -> None:
        """Answer with our version and the builder's."""
        self.finish_json({"binderhub": __version__, "builder_info": self.context.builder_info})


class MetricsHandler(ApiHandler):
    """``metrics``: for Prometheus."""

    public = True

    async def get(self) -> None:
        """Answer in Prometheus' text format."""
        content_type, text = self.context.metrics.exposition()
        self.set_header("Content-Type", content_type)
        self.finish(text)


class OpenApiHandler(ApiHandler):
    """``api/openapi.json``."""

    async def get(self) -> None:
        """Answer with the description of the API, its server being this service."""
        self.finish_json({**openapi(), "servers": [{"url": f"{self.prefix}api"}]})


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI description of the native API."""
    description: dict[str, Any] = json.loads(_OPENAPI.read_text())
    return description


class UnknownApiHandler(ApiHandler):
    """Anything else below ``api/``."""

    async def prepare(self) -> None:
        """Say so, to those who may know."""
        await super().prepare()
        raise NotFound("There is nothing at this address of the API.", hint=f"See {self.prefix}api/openapi.json.")


def system_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`; the last one takes what is left below ``api/``."""
    return [
        (rf"{prefix}health", HealthHandler),
        (rf"{prefix}versions", VersionsHandler),
        (rf"{prefix}metrics", MetricsHandler),
        (rf"{prefix}api/openapi.json", OpenApiHandler),
        (rf"{prefix}api/.*", UnknownApiHandler),
    ]
