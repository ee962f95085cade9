"""The service in a hub's configuration: its entry there, its scopes and roles, what users may, and how the hub starts it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from .misconfigured import Misconfigured

SERVICE = "binder"

CUSTOM_SCOPES = {
    "custom:binder:build": {"description": "Ask for images to be built from repositories."},
    "custom:binder:read": {"description": "Read everybody's builds and their logs."},
    "custom:binder:cancel": {"description": "Cancel everybody's builds."},
}
# What every user of the hub may.
USER_SCOPES = (f"access:services!service={SERVICE}", "custom:binder:build")
# What the service itself may: read when accounts were made, because a name is used again after its account is deleted;
# and count servers where `LaunchQuota` or an administrator bounds them, which may be at any time.
SERVICE_ROLE = {
    "name": f"{SERVICE}-reads-accounts",
    "description": "Tell accounts from each other, and count servers",
    "scopes": ["read:users", "list:users", "read:servers"],
    "services": [SERVICE],
}
# What the service's pages may do for somebody who is signed in there, as far as that person may do it: their builds, their servers.
PAGE_SCOPES = (*USER_SCOPES, "custom:binder:read", "custom:binder:cancel", "admin-ui", "servers!user", "read:servers!user", "read:users:name!user")
# From the hub's environment to the service's: its secrets, and how to reach the outside (proxies, certificates, package indexes). The hub passes on
# little else.
_SECRETS = ("BINDER_API_KEY", "BINDERHUB_BUILD_TOKEN_SECRET")
_CERTIFICATES = ("SSL_CERT_", "GIT_SSL_CA", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS")
PASSED_ON = (*_SECRETS, *_CERTIFICATES, "UV_", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
# What is the hub's own user's, and of no use to another account.
_OF_ITS_USER = frozenset({"UV_CACHE_DIR"})
# With containers, how to reach registries as well; Docker keeps its logins and plugins in the home, and helpers ask a cloud for logins.
_TO_REGISTRIES = ("DOCKER_", "CONTAINER_ENGINE_REGISTRY_CREDENTIALS", "HOME", "AWS_", "AZURE_", "GOOGLE_APPLICATION_CREDENTIALS")
PASSED_ON_IN = {
    "embedded": (),
    "docker": (*_TO_REGISTRIES, "BUILDX_", "BUILDKIT_"),
    "kubernetes": (*_TO_REGISTRIES, "KUBERNETES_", "KUBECONFIG"),
}


def check_settings_of_hub(c: Config) -> None:
    """Take care that what is added to can be added to.

    Raises:
        Misconfigured: it is not what the hub takes, or the hub's address is none.
    """
    hub = c.JupyterHub
    for name in ("services", "load_roles"):
        if isinstance(hub.get(name), tuple):  # which the hub takes as well
            hub[name] = list(hub[name])
        if not isinstance(hub[name], list | LazyConfigValue) or not all(isinstance(one, dict) for one in _visible(hub[name])):
            raise Misconfigured(f"c.JupyterHub.{name} has to be a list of dicts.")
    if not isinstance(hub.custom_scopes, dict | LazyConfigValue):
        raise Misconfigured("c.JupyterHub.custom_scopes has to be a dict.")
    try:
        path_of(c)
    except ValueError as error:
        raise Misconfigured(f"c.JupyterHub.bind_url is no URL: {error}.") from error


def refuse_another(c: Config) -> None:
    """Raise `Misconfigured` if the hub has a service of this name already."""
    if any(spec.get("name") == SERVICE for spec in _visible(c.JupyterHub.services)):
        raise Misconfigured(f"The hub has a service named {SERVICE!r} already: call configure() once, and give your own service another name.")


def add_service(c: Config, url: str, started: Mapping[str, Any]) -> None:
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


def path_of(c: Config) -> str:
    """Return the service's path behind the hub's proxy, with a slash at both ends."""
    return f"{_base_url(c)}services/{SERVICE}/"


def settings_of(state: Path, mode: str, for_mode: Mapping[str, Any], more: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the service's settings by class, with `more` on top of ours."""
    ours: dict[str, dict[str, Any]] = {"BinderService": {"state_dir": str(state), "mode": mode}}
    given = {name: value for name, value in for_mode.items() if value}
    if given or mode != "embedded":
        ours[f"{mode.capitalize()}Mode"] = given
    return {name: {**ours.get(name, {}), **more.get(name, {})} for name in {**ours, **more}}


def started_by_hub(mode: str, settings: Mapping[str, Any], user: str, more: Mapping[str, str]) -> dict[str, Any]:
    """Return how the hub starts the service, again when it ends; the service ends with the hub's process, which this one is.

    Args:
        user: the account that it runs as; empty for the hub's own. Whatever folder the hub runs in, another account may not even enter.
        more: variables for its environment, unless the hub has others.
    """
    settings = {**settings, "BinderService": {"hub_pid": os.getpid(), **settings["BinderService"]}}
    prefixes = (*PASSED_ON, *PASSED_ON_IN[mode])
    left_out = _OF_ITS_USER if user else frozenset()
    passed_on = {name: value for name, value in os.environ.items() if name.upper().startswith(prefixes) and name not in left_out}
    return {
        "command": [sys.executable, "-m", "binderhub_service"],
        "environment": {**more, **passed_on, "BINDERHUB_SERVICE_CONFIG": _as_json(settings)},
        **({"user": user, "cwd": "/"} if user else {}),
    }


def _as_json(settings: Mapping[str, Any]) -> str:
    """Return settings as the service reads them, with paths as text; raises `Misconfigured` if a value cannot be told to another process."""
    try:
        return json.dumps(settings, default=_path_as_text)
    except TypeError as error:
        raise Misconfigured(f"configure(service=...): the settings have to be what JSON has, text, numbers, lists and dicts. {error}.") from error


def _path_as_text(value: object) -> str:
    if isinstance(value, PurePath):
        return str(value)
    raise TypeError(f"A {type(value).__name__} is none of them")


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
