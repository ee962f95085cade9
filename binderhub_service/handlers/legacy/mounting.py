"""Which APIs of older services there are, and where."""

from __future__ import annotations

from typing import Any

from ...context import AppContext
from .binder_build import binder_build_api_routes
from .registry import registry_routes

_ROUTES = {"binder-build": binder_build_api_routes, "registry": registry_routes}


def legacy_routes(context: AppContext) -> list[tuple[Any, ...]]:
    """Return the routes of those APIs that are switched on."""
    return [route for name, routes in _ROUTES.items() if _is_on(context, name) for route in routes(f"{context.prefix}{name}")]


def routes_alone(name: str) -> list[tuple[Any, ...]]:
    """Return the routes of an API that is alone on a port."""
    return _ROUTES[name]("")


def legacy_paths(context: AppContext) -> tuple[str, ...]:
    """Return the beginnings of their paths."""
    return tuple(f"{context.prefix}{name}" for name in ("binder-build", "registry") if _is_on(context, name))


def _is_on(context: AppContext, name: str) -> bool:
    return bool(getattr(context.legacy, name.replace("-", "_")))
