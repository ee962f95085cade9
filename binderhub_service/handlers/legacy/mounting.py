"""Which APIs of older services there are, and where."""

from __future__ import annotations

from typing import Any

from ...context import AppContext
from .binder_build import binder_build_api_routes
from .boatyard import boatyard_routes
from .registry import registry_routes

_ROUTES = {"binder-build": binder_build_api_routes, "registry": registry_routes, "boatyard": boatyard_routes}
_BODY_BYTES = 100 * 1024**2  # what is over their own bounds is thrown away as it comes, and refused as the originals did


def legacy_routes(context: AppContext) -> list[tuple[Any, ...]]:
    """Return the routes of those APIs that are switched on."""
    return [route for name in context.legacy.names for route in _ROUTES[name](f"{context.prefix}{name}")]


def routes_alone(name: str) -> list[tuple[Any, ...]]:
    """Return the routes of an API that is alone on a port."""
    return _ROUTES[name]("")


def legacy_bytes(context: AppContext, with_files: int) -> dict[str, int]:
    """Return the beginnings of their paths, each with the bytes that a body may have there.

    Args:
        with_files: how large a request with a file may be.
    """
    return {f"{context.prefix}{name}": max(_BODY_BYTES, 2 * with_files) for name in context.legacy.names}
