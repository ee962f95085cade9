"""The hub of the Helm chart: the chart's values as settings of the hub, the spawner and the service.

The chart mounts what it knows at `FOLDER` and calls `configure` in its ``extraConfig``. A sub-chart's values cannot depend on
those of the chart around it, so whatever depends on them is decided here, when the hub starts.

``python3 -m spawner.kubernetes.chart service`` becomes the service, where it has a pod of its own; ``... watch MARK`` runs
beside a hub and ends it, for Kubernetes to start it again, when the mounted values have changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from traitlets.config import Config

from ..configure import configure as configure_hub

FOLDER = Path("/etc/binder")
STATE = "/srv/binder/state"  # the volume itself belongs to root
PORT = 8585
HUB_PORT = 8081
WATCH_SECONDS = 5.0
WATCH = (sys.executable, "-m", "spawner.kubernetes.chart", "watch")
# How many builds run at a time: as many as the nodes take.
RUNNING = 32
# What the hub itself needs to know; the rest is for the service.
OF_THE_HUB = ("release", "namespace", "buildNamespace", "baseUrl", "registry", "pullSecret", "own", "public")
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
    configure_hub(c, mode="kubernetes", state_dir=STATE, public=values["public"], required=True, **to, **where)
    c.JupyterHub.allow_named_servers = named_servers
    _leave_images_their_user(c)
    if values["pullSecret"]:
        c.KubeSpawner.image_pull_secrets = [*c.KubeSpawner.get("image_pull_secrets", []), values["pullSecret"]]
    c.JupyterHub.services.append({"name": "binder-values", "display": False, "command": [*WATCH, _mark(values)]})


def _leave_images_their_user(c: Config) -> None:
    """Let servers run as the user that their image names, unless another one than zero-to-jupyterhub's is asked for.

    A null in the chart's own values would say so, but not every version of Helm lets it win over a sub-chart's value.
    """
    if c.KubeSpawner.get("uid") == DEFAULT_USER_ID:
        del c.KubeSpawner["uid"]


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
        "namespace": values["buildNamespace"],
        "instance": values["release"],
        "owner": "binder-builds",
        "tolerations": [*builder["dedicatedTolerations"], *builder["tolerations"]],
        "ca_bundle": _ca_bundle(builder["caBundle"]),
        **_resources(builder["resources"]),
    }
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
    return socket.gethostbyname(socket.gethostname())


def become_service() -> None:
    """Replace this process by the service, with the settings that the chart's values come to."""
    os.environ["BINDERHUB_SERVICE_CONFIG"] = json.dumps(service_settings(read_values(FOLDER), FOLDER))
    os.execv(sys.executable, [sys.executable, "-m", "binderhub_service"])  # noqa: S606  ourselves


def end_hub_on_change(mark: str, folder: Path = FOLDER, hub: int | None = None) -> None:
    """Wait until mounted values that matter to the hub are others, and end the hub that started this process, so that it begins anew with them.

    Helm restarts a hub whose own values changed, but does not know that these are its own as well. A Deployment of the service's own is restarted
    by Helm when others change.

    Args:
        mark: of the values that the hub has read, which may be others by the time that this process has started.
    """
    while _mark(read_values(folder)) == mark:
        time.sleep(WATCH_SECONDS)
    os.kill(hub or os.getppid(), signal.SIGTERM)


def _mark(values: Mapping[str, Any]) -> str:
    """Return what is different for values that are different to the hub."""
    its = {name: values[name] for name in OF_THE_HUB} if values["own"] else values
    return hashlib.sha256(json.dumps(its, sort_keys=True).encode()).hexdigest()


if __name__ == "__main__":
    become_service() if sys.argv[1:] == ["service"] else end_hub_on_change(sys.argv[2])
