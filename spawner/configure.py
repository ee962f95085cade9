"""Everything a hub needs for this project, by one call in its ``jupyterhub_config.py``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets.config import Config

from binderhub_service.common.credentials import hide_in_logs
from binderhub_service.common.homes import PEOPLE

from .composition import compose, refuse_internal_ssl
from .misconfigured import Misconfigured, checking_arguments
from .public import open_to_everybody
from .service_in_hub import SERVICE, add_service, check_settings_of_hub, path_of, refuse_another, settings_of, started_by_hub
from .service_listens import check_elsewhere, url_of_service
from .start import SINGLEUSER
from .system_users import give_state_to, user_of_servers

# Whose lines tell the addresses of requests; an address that was pasted may hold a token.
LOGGERS = ("JupyterHub", "tornado.access", "tornado.application", "tornado.general")
# For each mode, the class of servers from repositories.
MODES = {
    "embedded": "spawner.local.spawner.ProcessSpawner",
    "docker": "spawner.docker.spawner.DockerRepoSpawner",
    "kubernetes": "spawner.kubernetes.spawner.BinderSpawner",
}

RUNS_AS_ROOT = (
    "This hub runs as root, and so would the builds of embedded mode, with all that repositories run: name an account without rights in "
    "service_user, run the hub as another user, use mode 'docker', or allow it knowingly by as_root=True."
)


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
    server_user: str = "",
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
        as_root: let embedded mode run builds without a `service_user`, and servers from repositories without a `server_user`, as root where the hub
            runs as root, so that whatever a repository runs may do everything on this machine. Default: False, which refuses that.
        service_user: the account of this machine that a hub which runs as root starts the service as, and with it all builds, e.g. ``binder``.
            The state directory is the account's, and made if it is not there; in docker mode the account needs the engine's socket. Default: the
            hub's own user.
        server_user: the account of this machine that servers from repositories run as in embedded mode, where the hub runs as root. ``{username}``
            in it is the person's name in the hub: everybody has the account, home and groups of that name, and who has none starts no server. A
            name without it is one account for all, e.g. ``people``. Default: ``{username}``; with `as_root`, root.

    Raises:
        Misconfigured: an argument is none or of another type, the mode is not known, what is given does not fit it, there is a service named
            ``binder`` already, the hub's spawner class cannot be composed, the hub runs as root or has ``internal_ssl``, the service cannot be
            started as `service_user`, or servers as `server_user`, or docker mode cannot work here.
    """
    _check_mode(mode, registry, network, namespace, runs_builds_as_root=not (as_root or service_user or service_url))
    servers_as = user_of_servers(server_user, service_user, mode=mode, as_root=as_root, public=public)
    url = check_elsewhere(service_url, service_token) if service_url else url_of_service(service_ip, service_port)
    if not str(state_dir).strip() or "\0" in str(state_dir):
        raise Misconfigured(f"configure(state_dir={state_dir!r}): name the directory for what the service keeps, e.g. /var/lib/binderspawner.")
    check_settings_of_hub(c)
    refuse_internal_ssl(c)
    refuse_another(c)
    state = Path(state_dir).absolute()
    if service_user:
        give_state_to(service_user, state, is_elsewhere=bool(service_url))
    required = required or public
    _compose(c, mode, required=required)
    own = {"registry": registry, "namespace": namespace, "other_accounts": bool(servers_as)}
    settings = settings_of(state, mode, own, service or {})
    if public:
        settings["BinderService"]["auth_enabled"] = False
        open_to_everybody(c, SERVICE, path_of(c))
    hide_in_logs(*LOGGERS)
    more = {"UV_PYTHON_INSTALL_DIR": str(state / "pythons")} if servers_as else {}  # what uv downloads, all of them are to run
    started = {"api_token": service_token} if service_url else started_by_hub(mode, settings, service_user, more)
    add_service(c, url, started)
    c.JupyterHub.allow_named_servers = True
    c.RepoSpawner.binder_url = f"{url}{path_of(c)}"
    if mode == "docker":
        from .docker import setup  # it needs the package docker, which the other modes do without

        setup.set_up(c, state, network, settings["DockerMode"].get("registry_credentials", []), beside_others=not required)
    elif mode == "embedded":
        _use_processes(c, state, servers_as)
    if not required:
        _keep_apart(c)


def _compose(c: Config, mode: str, *, required: bool) -> None:
    """Set the hub's spawner class for a mode; raises `Misconfigured`."""
    try:
        compose(c, MODES[mode], required=required)
    except ModuleNotFoundError as error:
        raise Misconfigured(f"Mode {mode!r} needs the package {error.name}: install binderspawner[{mode}].") from error


def _keep_apart(c: Config) -> None:
    """Keep from servers from repositories what the operator has set for all spawners, meaning the program of ordinary servers and their folder."""
    for name, value in (("cmd", [SINGLEUSER]), ("notebook_dir", "")):
        if name not in c.RepoSpawner:
            c.RepoSpawner[name] = value


def _check_mode(mode: str, registry: str, network: str, namespace: str, *, runs_builds_as_root: bool) -> None:
    """Raise `Misconfigured` unless there is such a mode, it has what it needs and nothing that it does not know, and may run as this user."""
    if mode not in MODES:
        raise Misconfigured(f"There is no mode {mode!r}; the modes are: {', '.join(MODES)}.")
    if mode == "embedded" and os.geteuid() == 0 and runs_builds_as_root:
        raise Misconfigured(RUNS_AS_ROOT)
    if mode == "embedded" and (registry or network):
        raise Misconfigured("A registry and a network are for servers in containers: set mode to 'docker', or leave them out.")
    if mode == "kubernetes" and not registry:
        raise Misconfigured("Kubernetes mode needs a registry that images are pushed to: name it in registry.")
    if (network and mode != "docker") or (namespace and mode != "kubernetes"):
        raise Misconfigured("A network is for mode 'docker', and a namespace for mode 'kubernetes': leave out the other one.")


def _use_processes(c: Config, state: Path, servers_as: str) -> None:
    c.ProcessSpawner.images_dir = str(state / "images")
    c.ProcessSpawner.users_dir = str(state / PEOPLE)
    if servers_as:
        c.ProcessSpawner.system_user = servers_as
    elif os.geteuid() == 0:  # which was allowed; Jupyter refuses to run as root unless told
        c.ProcessSpawner.args.append("--allow-root")
