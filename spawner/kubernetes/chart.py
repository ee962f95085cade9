"""The hub of the Helm chart: the chart's values as settings of the hub, the spawner and the service.

The chart mounts what it knows at `FOLDER` and calls `configure` in its ``extraConfig``. A sub-chart's values cannot depend on
those of the chart around it, so whatever depends on them is decided here, when the hub starts.

``python3 -m spawner.kubernetes.chart`` becomes the service, where it has a pod of its own.
"""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets.config import Config

from ..configure import configure as configure_hub
from .rights import LEAST_RIGHTS

FOLDER = Path("/etc/binder")
STATE = "/srv/binder/state"  # the volume itself belongs to root
PORT = 8585
HUB_PORT = 8081
# How many builds run at a time: as many as the nodes take.
RUNNING = 32
# What zero-to-jupyterhub runs every server as unless told otherwise.
DEFAULT_USER_ID = 1000
# Values of `builder` that a trait of the service takes as they are.
BUILDER_TRAITS = {
    "nodeSelector": "node_selector",
    "affinity": "affinity",
    "topologySpreadConstraints": "topology_spread",
    "priorityClassName": "priority_class",
    "schedulerName": "scheduler",
    "runtimeClassName": "runtime_class",
    "extraPodSpec": "extra_pod_spec",
    "annotations": "annotations",
    "labels": "labels",
    "extraEnv": "environment",
    "extraVolumes": "extra_volumes",
    "extraVolumeMounts": "extra_volume_mounts",
    "cacheVolume": "cache_volume",
    "storageDriver": "storage_driver",
    "layerCache": "layer_cache",
    "registryMirrors": "registry_mirrors",
    "baseImageLogins": "base_image_credentials",
    "gitCredentials": "git_credentials",
}
# The service's traits of what `builder.resources` names.
AMOUNTS = {"cpu": "cpu", "memory": "memory", "ephemeral-storage": "ephemeral_storage"}
_QUANTITY = re.compile(r"([0-9]+(?:[.][0-9]+)?)(m|k|[MGTPE]|[KMGTPE]i)?")
_LETTERS = "KMGTPE"


def configure(c: Config, folder: Path = FOLDER) -> None:
    """Add what the chart's values say to the configuration `c` of a JupyterHub that runs in a pod."""
    values = read_values(folder)
    own = bool(values["own"])
    if own:
        where: dict[str, Any] = {
            "service_url": f"http://binder-service:{PORT}",
            "service_token": (folder / "service-token").read_text().strip(),
        }
    else:
        # The pod's own address: the hub's Service leads nowhere until the hub is ready, which it is not before the service answers.
        where = {"service_ip": _pod_address(), "service_port": PORT, "service": _service_in_hub(values, folder)}
    named_servers = c.JupyterHub.get("allow_named_servers", True)  # the chart's value wins
    if values["public"]:
        c.JupyterHub.authenticator_class = "null"  # in place of zero-to-jupyterhub's, which lets people sign in by any name
    to = {"registry": values["registry"]["prefix"], "namespace": values["buildNamespace"]}
    configure_hub(c, mode="kubernetes", state_dir=STATE, public=values["public"], required=not values["servers"]["ordinary"], **to, **where)
    c.JupyterHub.allow_named_servers = named_servers
    if _is_cluster_of_ipv6():
        c.KubeSpawner.setdefault("ip", "::")
    if values["servers"]["restricted"]:
        _restrict(c)
    else:
        _leave_images_their_user(c)
    if values["pullSecret"]:
        c.KubeSpawner.image_pull_secrets = [*c.KubeSpawner.get("image_pull_secrets", []), values["pullSecret"]]


def _leave_images_their_user(c: Config) -> None:
    """Let servers run as the user that their image names, unless another one than zero-to-jupyterhub's is asked for.

    A null in the chart's own values would say so, but not every version of Helm lets it win over a sub-chart's value.
    """
    if c.KubeSpawner.get("uid") == DEFAULT_USER_ID:
        del c.KubeSpawner["uid"]


def _restrict(c: Config) -> None:
    """Give servers no right that the Pod Security level ``restricted`` forbids; what an operator has set stays."""
    c.KubeSpawner.setdefault("uid", DEFAULT_USER_ID)  # by its number: a node cannot tell whether a user's name is root's
    c.KubeSpawner.pod_security_context = {"runAsNonRoot": True, **c.KubeSpawner.get("pod_security_context", {})}
    c.KubeSpawner.container_security_context = {**LEAST_RIGHTS, **c.KubeSpawner.get("container_security_context", {})}


def read_values(folder: Path) -> dict[str, Any]:
    """Return the values that the chart mounts."""
    values: dict[str, Any] = json.loads((folder / "values.json").read_text())
    return values


def service_settings(values: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Return the service's settings by class and trait; those in `config` win."""
    builder, registry = values["builder"], values["registry"]
    image = builder["image"]
    mode = {trait: builder[name] for name, trait in BUILDER_TRAITS.items()}
    mode |= {
        "builder_image": f"{image['name']}:{image['tag']}",
        "image_pull_policy": image["pullPolicy"],
        "image_pull_secrets": image["pullSecrets"],
        "registry": registry["prefix"],
        "image_prefix": registry["imagePrefix"],
        "registry_endpoint": registry["endpoint"],
        "namespace": values["buildNamespace"],
        "instance": values["release"],
        "owner": "binder-builds",
        "tolerations": [*builder["dedicatedTolerations"], *builder["tolerations"]],
        "ca_bundle": _ca_bundle(builder["caBundle"]),
        **_resources(builder["resources"]),
    }
    if builder["pullAhead"]:
        mode["pull_ahead_to"] = f"component=binder-nodes,app.kubernetes.io/instance={values['release']}"
        mode["pull_ahead_secrets"] = [values["pullSecret"]] if values["pullSecret"] else []
    if registry["plainHttp"]:
        mode["plain_http_registries"] = [registry["prefix"].partition("/")[0]]
    guard = values["urlGuard"]
    ours: dict[str, dict[str, Any]] = {
        "BinderService": {"state_dir": STATE, "mode": "kubernetes"},
        "KubernetesMode": mode,
        "UrlGuard": {"public_only": guard["publicOnly"], "exceptions": guard["exceptions"]},
        "Limits": {"running": RUNNING},
        "Cleaning": {},
    }
    if values["volume"]["persistent"]:
        volume_bytes = int(amount(values["volume"]["storage"]))
        ours["Limits"]["free_bytes"] = volume_bytes // 20
        ours["Cleaning"]["log_bytes"] = volume_bytes // 2
    if values["hasExtraConfig"]:
        ours["BinderService"]["config_file"] = str(folder / "extra_config.py")
    database = folder / "database" / "url"
    if database.exists():
        ours["BinderService"]["database_url"] = database.read_text().strip()
    if values["public"]:
        ours["BinderService"]["auth_enabled"] = False
    given = values["config"]
    return {name: {**ours.get(name, {}), **given.get(name, {})} for name in {**ours, **given}}


def amount(quantity: str | float) -> float:
    """Return an amount as Kubernetes writes it, e.g. ``250m`` or ``4Gi``, as a number; raises `ValueError`."""
    found = _QUANTITY.fullmatch(str(quantity))
    if found is None:
        raise ValueError(f"{quantity!r} is no amount as Kubernetes writes it, e.g. 250m or 4Gi.")
    number, unit = float(found[1]), found[2] or ""
    if unit == "m":
        return number / 1000
    power = _LETTERS.index(unit[0].upper()) + 1 if unit else 0
    return number * float((1024 if unit.endswith("i") else 1000) ** power)


def _ca_bundle(given: Mapping[str, str]) -> dict[str, str]:
    """Return where the bundle is; {} if none is named."""
    return {name: value for name, value in given.items() if value} if given["configMap"] or given["secret"] else {}


def _resources(resources: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    """Return the traits of all amounts: processors, bytes, and whatever else nodes have, as texts."""
    found: dict[str, Any] = {}
    for kind, trait in (("requests", "request"), ("limits", "limit")):
        given = resources.get(kind, {})
        for name, of in AMOUNTS.items():
            number = amount(given.get(name, 0))
            found |= {f"{of}_{trait}": number} if name == "cpu" else {f"{of}_{trait}_bytes": int(number)}
        found[f"extra_{kind}"] = {name: str(value) for name, value in given.items() if name not in AMOUNTS}
    return found


def _service_in_hub(values: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Return the settings of the service that the hub starts, which reaches the hub without leaving their pod."""
    settings = service_settings(values, folder)
    return {**settings, "HubOAuth": {"api_url": f"http://127.0.0.1:{HUB_PORT}{values['baseUrl']}hub/api", **settings.get("HubOAuth", {})}}


def _pod_address() -> str:
    """Return this pod's address: its IPv4 one, if it has both."""
    found = socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)
    return str(min(found, key=lambda one: one[0] is not socket.AF_INET)[4][0])


def _is_cluster_of_ipv6() -> bool:
    """Say whether pods have IPv6 addresses alone."""
    try:
        return ":" in _pod_address()
    except OSError:
        return False  # a pod in its node's network, which does not know its own name


def become_service() -> None:
    """Replace this process by the service, with the settings that the chart's values come to."""
    os.environ["BINDERHUB_SERVICE_CONFIG"] = json.dumps(service_settings(read_values(FOLDER), FOLDER))
    os.execv(sys.executable, [sys.executable, "-m", "binderhub_service"])  # noqa: S606  ourselves


if __name__ == "__main__":
    become_service()
