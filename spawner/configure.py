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

from binderhub_service.common.credentials import hide_in_logs

from .composition import compose, refuse_internal_ssl
from .misconfigured import Misconfigured, checking_arguments
from .public import open_to_everybody
from .service_user import give_state_to
from .start import SINGLEUSER

SERVICE = "binder"
# Whose lines tell the addresses of requests; an address that was pasted may hold a token.
LOGGERS = ("JupyterHub", "tornado.access", "tornado.application", "tornado.general")
# For each mode, the class of servers from repositories.
MODES = {
    "embedded": "spawner.local.spawner.ProcessSpawner",
    "docker": "spawner.docker.spawner.DockerRepoSpawner",
    "kubernetes": "spawner.kubernetes.spawner.BinderSpawner",
}

RUNS_AS_ROOT = (
    "This hub runs as root, and so would the builds and the servers of embedded mode, with all that repositories run: run the hub as another user, "
    "use mode 'docker', or allow it knowingly by as_root=True."
)

CUSTOM_SCOPES = {
    "custom:binder:build": {"description": "Ask for images to be built from repositories."},
    "custom:binder:read": {"description": "Read everybody's builds and their logs."},
    "custom:binder:cancel": {"description": "Cancel everybody's builds."},
}
# What every user of the hub may.
USER_SCOPES = (f"access:services!service={SERVICE}", "custom:binder:build")
# What the service itself may: read when accounts were made, because a name is used again after its account is deleted.
SERVICE_ROLE = {"name": f"{SERVICE}-reads-accounts", "description": "Tell accounts from each other", "scopes": ["read:users"], "services": [SERVICE]}
# What the service's pages may do for somebody who is signed in there, as far as that person may do it: their builds, their servers.
PAGE_SCOPES = (*USER_SCOPES, "custom:binder:read", "custom:binder:cancel", "admin-ui", "servers!user", "read:servers!user", "read:users:name!user")
# What the service itself needs to count servers where `LaunchQuota` bounds them.
COUNT_SCOPES = ("list:users", "read:servers")
# From the hub's environment to the service's: its secrets, and how to reach the outside (proxies, certificates, package indexes). The hub passes on
# little else.
_SECRETS = ("BINDER_API_KEY", "BINDERHUB_BUILD_TOKEN_SECRET")
PASSED_ON = (*_SECRETS, "UV_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO")
# With containers, how to reach registries as well; Docker keeps its logins and plugins in the home, and helpers ask a cloud for logins.
_TO_REGISTRIES = ("DOCKER_", "CONTAINER_ENGINE_REGISTRY_CREDENTIALS", "HOME", "AWS_", "AZURE_", "GOOGLE_APPLICATION_CREDENTIALS")
PASSED_ON_IN = {
    "embedded": (),
    "docker": (*_TO_REGISTRIES, "BUILDX_", "BUILDKIT_"),
    "kubernetes": (*_TO_REGISTRIES, "KUBERNETES_", "KUBECONFIG"),
}


@checking_arguments
def configure(
    c: Config,
    *,
    state_dir: str | Path,
    mode: str = "embedded",
    registry: str = "",
    network: str = "",
    namespace: str = "",
    service_ip: str = "127.0.0.1",
    service_port: int | None = None,
    service_url: str = "",
    service_token: str = "",
    service: Mapping[str, Mapping[str, Any]] | None = None,
    public: bool = False,
    required: bool = False,
    as_root: bool = False,
    service_user: str = "",
) -> None:
    """Add servers from repositories, the service, its scopes and the users' right to use it to the configuration `c` of a JupyterHub.

    Starts without a repository are those of the hub's own spawner class, with its form, settings and hooks. What `c` holds already stays:
    services, scopes and roles are added to, and what is set here can be set otherwise afterwards, also the spawner class.
    A base URL other than ``/`` and a role ``user`` of one's own must stand before the call. Afterwards, add to
    ``c.JupyterHub.services`` and ``c.JupyterHub.load_roles`` rather than setting them.

    Args:
        c: what ``get_config()`` returns in ``jupyterhub_config.py``.
        state_dir: directory for the service's store, builds, images and people's working copies.
        mode: how images are made and servers run: "embedded" is processes on this machine, without containers; "docker" is
            containers of the engine that ``DOCKER_HOST`` names; "kubernetes" is pods of the cluster that the hub runs in or that
            ``KUBECONFIG`` names.
        registry: the registry that images are pushed to, e.g. ``127.0.0.1:5000``; empty to keep them in docker mode's engine alone.
        network: docker mode's network that the hub shares with its servers, if the hub runs in a container itself.
        namespace: Kubernetes mode's namespace of build pods; by default the hub's own.
        service_ip: address of this machine, or of the hub's pod, at which the service listens for hub and proxy.
        service_port: port on that address on which the service listens behind the hub's proxy; by default a free port.
        service_url: where the service is if something else than the hub starts it, with settings of its own.
        service_token: the API token of such a service.
        service: more settings of the service, by class, e.g. ``{"Limits": {"running": 4}}``; they win.
        public: let everybody in without a login, each with a temporary user of the hub who goes with the server. In embedded mode they run code as
            the hub's own user: never for strangers. It implies `required`.
        required: have no servers but those from repositories, so that everybody has to name one. Default: False.
        as_root: let embedded mode run builds, and servers from repositories, as root where the hub runs as root, so that whatever a repository
            runs may do everything on this machine. Default: False, which refuses that.
        service_user: the account of this machine that a hub which runs as root starts the service as, and with it all builds, e.g. ``binder``.
            The state directory is the account's, and made if it is not there; in docker mode the account needs the engine's socket. Default: the
            hub's own user.

    Raises:
        Misconfigured: an argument is none or of another type, the mode is not known, what is given does not fit it, there is a service named
            ``binder`` already, the hub's spawner class cannot be composed, the hub runs as root or has ``internal_ssl``, the service cannot be
            started as `service_user`, or docker mode cannot work here.
    """
    _check_mode(mode, registry, network, namespace, as_root=as_root)
    refuse_internal_ssl(c)
    if any(spec.get("name") == SERVICE for spec in _visible(c.JupyterHub.services)):
        raise Misconfigured(f"The hub has a service named {SERVICE!r} already: call configure() once, and give your own service another name.")
    state = Path(state_dir).absolute()
    if service_user:
        give_state_to(service_user, state, is_elsewhere=bool(service_url))
    required = required or public
    try:
        compose(c, MODES[mode], required=required)
    except ModuleNotFoundError as error:
        raise Misconfigured(f"Mode {mode!r} needs the package {error.name}: install binderspawner[{mode}].") from error
    url = service_url.rstrip("/") or f"http://{service_ip}:{service_port or _free_port()}"
    settings = _settings(state, mode, {"registry": registry, "namespace": namespace}, service or {})
    if public:
        settings["BinderService"]["auth_enabled"] = False
        open_to_everybody(c, SERVICE, f"{_base_url(c)}services/{SERVICE}/")
    hide_in_logs(*LOGGERS)
    _add_service(c, url, {"api_token": service_token} if service_url else _started_by_hub(mode, settings, service_user))
    if "LaunchQuota" in settings or service_url:  # whose settings are not known here
        c.JupyterHub.load_roles.append({"name": f"{SERVICE}-counts-servers", "scopes": list(COUNT_SCOPES), "services": [SERVICE]})
    c.JupyterHub.allow_named_servers = True
    c.RepoSpawner.binder_url = f"{url}{_base_url(c)}services/{SERVICE}/"
    if mode == "docker":
        from .docker import setup  # it needs the package docker, which the other modes do without

        setup.set_up(c, state, network, settings["DockerMode"].get("registry_credentials", []), beside_others=not required)
    elif mode == "embedded":
        _use_processes(c, state)
    if not required:
        _keep_apart(c)


def _add_service(c: Config, url: str, started: Mapping[str, Any]) -> None:
    """Add the service, its scopes and role, and the users' right to use it.

    Args:
        url: where it is.
        started: how the hub starts it, or the token with which it comes.
    """
    c.JupyterHub.custom_scopes.update(CUSTOM_SCOPES)
    _give_users(c, USER_SCOPES)
    # The service is part of this hub, so nobody is asked whether they trust it with their name.
    allowed = {"oauth_no_confirm": True, "oauth_client_allowed_scopes": list(PAGE_SCOPES)}
    c.JupyterHub.services.append({"name": SERVICE, "url": url, **started, **allowed})
    c.JupyterHub.load_roles.append(dict(SERVICE_ROLE))


def _keep_apart(c: Config) -> None:
    """Keep from servers from repositories what the operator has set for all spawners, meaning the program of ordinary servers and their folder."""
    for name, value in (("cmd", [SINGLEUSER]), ("notebook_dir", "")):
        if name not in c.RepoSpawner:
            c.RepoSpawner[name] = value


def _check_mode(mode: str, registry: str, network: str, namespace: str, *, as_root: bool) -> None:
    """Raise `Misconfigured` unless there is such a mode, it has what it needs and nothing that it does not know, and may run as this user."""
    if mode not in MODES:
        raise Misconfigured(f"There is no mode {mode!r}; the modes are: {', '.join(MODES)}.")
    if mode == "embedded" and os.geteuid() == 0 and not as_root:
        raise Misconfigured(RUNS_AS_ROOT)
    if mode == "embedded" and (registry or network):
        raise Misconfigured("A registry and a network are for servers in containers: set mode to 'docker', or leave them out.")
    if mode == "kubernetes" and not registry:
        raise Misconfigured("Kubernetes mode needs a registry that images are pushed to: name it in registry.")
    if (network and mode != "docker") or (namespace and mode != "kubernetes"):
        raise Misconfigured("A network is for mode 'docker', and a namespace for mode 'kubernetes': leave out the other one.")


def _settings(state: Path, mode: str, for_mode: Mapping[str, str], more: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the service's settings by class, with `more` on top of ours."""
    ours: dict[str, dict[str, Any]] = {"BinderService": {"state_dir": str(state), "mode": mode}}
    if mode != "embedded":
        ours[f"{mode.capitalize()}Mode"] = {name: value for name, value in for_mode.items() if value}
    return {name: {**ours.get(name, {}), **more.get(name, {})} for name in {**ours, **more}}


def _started_by_hub(mode: str, settings: Mapping[str, Any], user: str) -> dict[str, Any]:
    """Return how the hub starts the service, again when it ends; the service ends with the hub's process, which this one is.

    Args:
        user: the account that it runs as; empty for the hub's own. Whatever folder the hub runs in, another account may not even enter.
    """
    settings = {**settings, "BinderService": {"hub_pid": os.getpid(), **settings["BinderService"]}}
    prefixes = (*PASSED_ON, *PASSED_ON_IN[mode])
    passed_on = {name: value for name, value in os.environ.items() if name.upper().startswith(prefixes)}
    return {
        "command": [sys.executable, "-m", "binderhub_service"],
        "environment": {**passed_on, "BINDERHUB_SERVICE_CONFIG": json.dumps(settings)},
        **({"user": user, "cwd": "/"} if user else {}),
    }


def _use_processes(c: Config, state: Path) -> None:
    c.ProcessSpawner.images_dir = str(state / "images")
    c.ProcessSpawner.users_dir = str(state / "people")
    if os.geteuid() == 0:  # which was allowed; Jupyter refuses to run as root unless told
        c.ProcessSpawner.args.append("--allow-root")


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
    """Return the very dicts that a list in the configuration holds so far, also if it is only merged later."""
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
