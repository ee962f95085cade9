"""Everything a hub needs for this project, by one call in its ``jupyterhub_config.py``."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

SERVICE = "binder"
MODES = ("embedded",)

CUSTOM_SCOPES = {
    "custom:binder:build": {"description": "Ask for images to be built from repositories."},
    "custom:binder:read": {"description": "Read everybody's builds and their logs."},
    "custom:binder:cancel": {"description": "Cancel everybody's builds."},
}
# What every user of the hub may.
USER_SCOPES = (f"access:services!service={SERVICE}", "custom:binder:build")
# What the service's pages may do for somebody who is signed in there, as far as that person may do it: their builds, their servers.
PAGE_SCOPES = (*USER_SCOPES, "custom:binder:read", "custom:binder:cancel", "admin-ui", "servers!user", "read:servers!user", "read:users:name!user")
# From the hub's environment to the service's: how to reach the outside (proxies, certificates, package indexes). The hub passes on little else.
PASSED_ON = ("UV_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")


def configure(
    c: Config,
    *,
    state_dir: str | Path,
    mode: str = "embedded",
    service_port: int | None = None,
    service: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Add the spawner, the service, its scopes and the users' right to use it to the configuration `c` of a JupyterHub.

    What `c` holds already stays: services, scopes and roles are added to, and what is set here can be set otherwise afterwards.
    A base URL other than ``/`` and a role ``user`` of one's own must stand before the call. Afterwards, add to
    ``c.JupyterHub.services`` and ``c.JupyterHub.load_roles`` rather than setting them.

    Args:
        c: what ``get_config()`` returns in ``jupyterhub_config.py``.
        state_dir: directory for the service's store, builds, images and people's working copies.
        mode: how images are made and servers run; "embedded" is processes on this machine, without containers.
        service_port: port on 127.0.0.1 on which the service listens behind the hub's proxy; by default one that is free.
        service: more settings of the service, by class, e.g. ``{"BinderService": {"build_limit": 4}}``; they win.

    Raises:
        ValueError: the mode is not known, or there is a service named ``binder`` already.
    """
    if mode not in MODES:
        raise ValueError(f"There is no mode {mode!r}; the modes are: {', '.join(MODES)}.")
    if any(spec.get("name") == SERVICE for spec in _visible(c.JupyterHub.services)):
        raise ValueError(f"The hub has a service named {SERVICE!r} already: call configure() once, and give your own service another name.")
    state = Path(state_dir).absolute()
    port = service_port or _free_port()
    c.JupyterHub.custom_scopes.update(CUSTOM_SCOPES)
    _give_users(c, USER_SCOPES)
    c.JupyterHub.services.append(_service(state, mode, port, service or {}))
    _set_spawner(c, state, port)


def _service(state: Path, mode: str, port: int, more: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the service as the hub's configuration describes it; the hub starts it, again when it ends."""
    ours = {"BinderService": {"state_dir": str(state), "mode": mode}}
    settings = {name: {**ours.get(name, {}), **more.get(name, {})} for name in {**ours, **more}}
    passed_on = {name: value for name, value in os.environ.items() if name.upper().startswith(PASSED_ON)}
    return {
        "name": SERVICE,
        "url": f"http://127.0.0.1:{port}",
        "command": [sys.executable, "-m", "binderhub_service"],
        "environment": {**passed_on, "BINDERHUB_SERVICE_CONFIG": json.dumps(settings)},
        # The service is part of this hub, so nobody is asked whether they trust it with their name.
        "oauth_no_confirm": True,
        "oauth_client_allowed_scopes": list(PAGE_SCOPES),
    }


def _set_spawner(c: Config, state: Path, service_port: int) -> None:
    c.JupyterHub.spawner_class = "spawner.process.ProcessSpawner"
    c.JupyterHub.allow_named_servers = True
    c.RepoSpawner.binder_url = f"http://127.0.0.1:{service_port}{_base_url(c)}services/{SERVICE}/"
    c.ProcessSpawner.images_dir = str(state / "images")
    c.ProcessSpawner.people_dir = str(state / "people")
    if os.geteuid() == 0:  # servers are processes of the hub's own user, and Jupyter refuses to run as root unless told
        c.ProcessSpawner.args.append("--allow-root")
    if "default_url" not in c.Spawner:
        c.Spawner.default_url = "/lab"


def _give_users(c: Config, scopes: Iterable[str]) -> None:
    """Add `scopes` to the role that every user has.

    Where the operator extends that role by `extra_user_scopes` (jupyterhub 6), they go there, because the hub ignores it
    beside a role `user` with scopes. Else the role is the operator's own, or the hub's (its one scope is `self`) with more.
    """
    role = next((role for role in _visible(c.JupyterHub.load_roles) if role.get("name") == "user"), None)
    if "extra_user_scopes" in c.JupyterHub and not (role and "scopes" in role):
        c.JupyterHub.extra_user_scopes.extend(scopes)
    elif role is None:
        c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", *scopes]})
    else:
        had = role.get("scopes", ["self"])
        role["scopes"] = [*had, *(scope for scope in scopes if scope not in had)]


def _visible(values: list[dict[str, Any]] | LazyConfigValue) -> list[dict[str, Any]]:
    """Return the very dicts that a list in the configuration holds so far, also one that will only be merged later."""
    if isinstance(values, LazyConfigValue):
        parts = values.to_dict()
        return [*parts.get("prepend", []), *parts.get("extend", []), *(item for _, item in parts.get("inserts", []))]
    return values


def _base_url(c: Config) -> str:
    """Return the hub's base URL as `c` sets it so far, with a slash at both ends."""
    given = c.JupyterHub.get("base_url") or urlsplit(str(c.JupyterHub.get("bind_url", ""))).path
    path = str(given).strip("/")
    return f"/{path}/" if path else "/"


def _free_port() -> int:
    """Return a port on 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
