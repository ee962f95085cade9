"""A hub that everybody may use without a login: temporary users, who are removed with their servers when those are idle."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from traitlets.config import Config

from .misconfigured import Misconfigured

# What the service needs to make temporary users, to start their servers and to remove both.
VISITOR_SCOPES = ("admin:users", "admin:servers", "list:users", "read:servers", "tokens", "access:servers")
# The spawners that keep the homes of deleted users unless they are told otherwise.
HOMES_KEPT_BY = ("DockerRepoSpawner", "ProcessSpawner")
CULLER = "binder-culler"
CULLER_SCOPES = ("list:users", "read:users:activity", "read:servers", "delete:servers", "admin:users")
IDLE_SECONDS = 600
MAX_AGE_SECONDS = 6 * 3600
CULL_EVERY_SECONDS = 60


def open_to_everybody(c: Config, service: str, front_page: str) -> None:
    """Let the service `service` of the hub that `c` configures make users, take the hub's own login away, and remove who is idle.

    An authenticator, a default URL and what becomes of the homes of deleted users stay as they are set already.

    Args:
        front_page: the path that the hub's own front page leads to.

    Raises:
        Misconfigured: the package jupyterhub-idle-culler is not installed.
    """
    if "authenticator_class" not in c.JupyterHub:
        c.JupyterHub.authenticator_class = "null"
    if "default_url" not in c.JupyterHub:
        c.JupyterHub.default_url = front_page
    c.JupyterHub.load_roles.append({"name": f"{service}-makes-users", "scopes": list(VISITOR_SCOPES), "services": [service]})
    # A visitor comes with the token that the service hands out, and has no login that could do instead.
    c.Spawner.environment.update({"JUPYTERHUB_ALLOW_TOKEN_IN_URL": "1"})
    for spawner in HOMES_KEPT_BY:
        if "deleted_homes" not in c[spawner]:
            c[spawner].deleted_homes = "remove"  # nobody comes back for them
    _cull_idle_users(c)


def _cull_idle_users(c: Config) -> None:
    if find_spec("jupyterhub_idle_culler") is None:
        raise Misconfigured("A public hub removes idle users by the package jupyterhub-idle-culler: install it, e.g. with the extra [public].")
    limits = (f"--timeout={IDLE_SECONDS}", f"--cull-every={CULL_EVERY_SECONDS}", f"--max-age={MAX_AGE_SECONDS}", "--cull-users=true")
    c.JupyterHub.services.append({"name": CULLER, "display": False, "command": [sys.executable, "-m", "jupyterhub_idle_culler", *limits]})
    c.JupyterHub.load_roles.append({"name": CULLER, "scopes": list(CULLER_SCOPES), "services": [CULLER]})
