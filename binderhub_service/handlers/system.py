"""What operators, probes and programmers ask: health, versions, metrics, and the description of the API."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from tornado import web

from .. import __version__
from ..errors import NotFound
from .base import ApiHandler, allow_origins

_OPENAPI = Path(__file__).parent.parent / "openapi.json"


class ProbedHandler(ApiHandler):
    """A handler that probes ask."""

    public = True

    def check_network(self) -> None:
        """Answer wherever the request comes from."""


class HealthHandler(ProbedHandler):
    """``health``: 200 if everything the service needs answers, else 503."""

    async def get(self) -> None:
        """Answer with every check by name."""
        report = await self.context.health.report()
        self.set_status(200 if report["ok"] else 503)
        self.finish_json(report)

    head = get


class VersionsHandler(ProbedHandler):
    """``versions``: in the shape that BinderHub's clients know."""

    @property
    def allowed_origin(self) -> str:
        """Every page, unless the operator says which."""
        return super().allowed_origin or "*"

    async def get(self) -> None:
        """Answer with our version and the builder's."""
        info = self.context.builder_info
        builder = {"builder": info["build_image"]} if "build_image" in info else {}
        self.finish_json({"builder_info": info, "binderhub": __version__, **builder})


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


class StaticHandler(web.StaticFileHandler):
    """Style sheet and modules of the pages."""

    def set_default_headers(self) -> None:
        """Forbid framing and sniffing."""
        self.set_header("Content-Security-Policy", "frame-ancestors 'none'")
        self.set_header("X-Content-Type-Options", "nosniff")
        allow_origins(self, self.settings["context"].hub_origin)


class UnknownApiHandler(ApiHandler):
    """Anything else below ``api/``."""

    async def prepare(self) -> None:
        """Say so, to those who may know."""
        await super().prepare()
        raise NotFound("There is nothing at this address of the API.", hint=f"See {self.prefix}api/openapi.json.")


def system_routes(prefix: str) -> list[tuple[Any, ...]]:
    """Return the routes of this module for a service at `prefix`; the last one takes what is left below ``api/``."""
    return [
        (rf"{prefix}health/?", HealthHandler),
        (rf"{prefix}versions/?", VersionsHandler),
        (rf"{prefix}metrics/?", MetricsHandler),
        (rf"{prefix}api/openapi.json/?", OpenApiHandler),
        (rf"{prefix}api/.*", UnknownApiHandler),
    ]
