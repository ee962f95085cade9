"""What jupyterhub has for services, to find out who asks; without the hub's own models of its database.

``jupyterhub.services.auth`` imports ``jupyterhub.orm`` by way of the hub's scopes, though nothing but the hub itself uses it: with SQLAlchemy's ORM
and alembic, half a second of a processor and a sixth of an idle service's memory. So that module is put off by Python's own means until something of
it is used, which a service does not. If something does, it is imported then, as ever.
"""

from __future__ import annotations

import importlib.util
import sys

import jupyterhub

_MODELS = "orm"


def _put_off(name: str) -> None:
    """Let a module of jupyterhub be imported when something of it is used first, unless it is there."""
    full_name = f"{jupyterhub.__name__}.{name}"
    spec = None if full_name in sys.modules else importlib.util.find_spec(full_name)
    if spec is None or spec.loader is None:
        return
    spec.loader = importlib.util.LazyLoader(spec.loader)
    module = sys.modules[full_name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    setattr(jupyterhub, name, module)  # where `from . import orm` looks first, without a look into the module


_put_off(_MODELS)

from jupyterhub.services.auth import HubOAuth, HubOAuthCallbackHandler, HubOAuthenticated, UserNotAllowed  # noqa: E402

__all__ = ["HubOAuth", "HubOAuthCallbackHandler", "HubOAuthenticated", "UserNotAllowed"]
