"""All routes of the service, mounted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tornado import web

from ..context import AppContext
from .addresses import address_routes
from .binder.artwork import artwork_routes, file_routes
from .binder.build import binder_build_routes
from .binder.front import front_routes
from .binder.old_links import old_link_routes
from .binder.providers import provider_routes
from .builds import build_routes
from .controls import control_routes
from .copies import copy_routes
from .files import file_api_routes
from .guard import guard_routes
from .images import image_routes
from .launches import launch_routes
from .legacy.mounting import legacy_bytes, legacy_routes, routes_alone
from .pages import page_routes
from .prepared import HOOK_BYTES, prepared_routes
from .problems import log_problem
from .sign_in import sign_in_routes
from .starts import start_routes
from .system import StaticHandler, system_routes
from .template_launch import template_launch_routes
from .templates import template_routes

_AROUND_A_FILE_BYTES = 1024**2


def make_application(context: AppContext, secret: bytes) -> web.Application:
    """Mount the routes of a service made of the parts in `context`."""
    prefix = context.prefix
    static = Path(__file__).parent.parent / "static"
    pages = [*artwork_routes(prefix), *old_link_routes(prefix), *front_routes(prefix), *template_launch_routes(prefix), *page_routes(prefix)]
    routes: list[Any] = [
        *guard_routes(),
        *sign_in_routes(prefix),
        (rf"{prefix}static/(.*)", StaticHandler, {"path": str(static)}),
        *build_routes(prefix),
        *address_routes(prefix),
        *file_api_routes(prefix),
        *image_routes(prefix),
        *copy_routes(prefix),
        *control_routes(prefix),
        *prepared_routes(prefix),
        *launch_routes(prefix),
        *start_routes(prefix),
        *template_routes(prefix),
        *legacy_routes(context),
        *provider_routes(prefix),
        *binder_build_routes(prefix),
        *system_routes(prefix),
        *file_routes(prefix, context.pages),
        *([] if context.is_api_only else pages),
    ]
    return _application(routes, context, secret)


def make_application_alone(context: AppContext, secret: bytes, name: str) -> web.Application:
    """Return an application that is an older service's API and nothing else."""
    return _application([*guard_routes(), *routes_alone(name)], context, secret)


def make_private_application(context: AppContext, secret: bytes) -> web.Application:
    """Return an application for a socket of the service's user alone: who asks there is an administrator."""
    return _application([*build_routes("/"), *image_routes("/"), *copy_routes("/"), *control_routes("/")], context, secret, is_private=True)


def _application(routes: list[Any], context: AppContext, secret: bytes, *, is_private: bool = False) -> web.Application:
    return web.Application(routes, context=context, cookie_secret=secret, log_function=log_problem, is_private=is_private)


def streamed_bytes(context: AppContext) -> dict[str, int]:
    """Return the beginnings of paths whose handlers read bodies as they come, each with the bytes that a body may have there."""
    larger = _with_a_file_bytes(context)
    return {f"{context.prefix}api/files": larger, f"{context.prefix}api/hooks/": HOOK_BYTES} | legacy_bytes(context, larger)


def streamed_bytes_alone(context: AppContext) -> dict[str, int]:
    """Return the same for an application of `make_application_alone`."""
    return {"/": 2 * _with_a_file_bytes(context)}


def _with_a_file_bytes(context: AppContext) -> int:
    return context.contents.limits.file_bytes + _AROUND_A_FILE_BYTES
