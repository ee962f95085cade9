"""What docker mode needs of a hub: where servers in containers reach it, and that there is an engine at all.

``python -m spawner.docker.setup [REGISTRY]`` prints the address that the hub has to listen on, or says in one sentence what is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import os
import shutil
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, DockerException
from docker.utils import kwargs_from_env
from traitlets.config import Config

from ..misconfigured import Misconfigured

DEFAULT_HUB_PORT = 8081
ANSWER_SECONDS = 10
# All hubs of an engine share it: nobody in it reaches anybody else in it.
SERVERS_NETWORK = "binder-isolated"
NO_TALK = {"com.docker.network.bridge.enable_icc": "false"}
CONFLICT = 409


class EngineMissing(Misconfigured):
    """Docker mode cannot work here; the text says in one sentence why and what to do."""


def set_up(c: Config, state: Path, network: str, logins: Iterable[Mapping[str, Any]], *, beside_others: bool) -> None:
    """Make servers containers that reach the hub, not each other, and that no other hub takes for its own.

    Args:
        network: the network that a hub in a container shares with its servers; empty for a hub on the engine's machine, whose servers
            are in a network that is made for them, unless ``c`` names one.
        logins: of the registries that servers' images are pulled from.
        beside_others: whether the hub starts containers of the operator's as well, which must not be taken for ours.

    Raises:
        EngineMissing: there is no engine, or servers could not reach a hub here.
    """
    if "prefix" not in c.DockerRepoSpawner and (beside_others or "prefix" not in c.DockerSpawner):
        c.DockerRepoSpawner.prefix = f"binder-{hashlib.sha256(str(state).encode()).hexdigest()[:6]}"
    if beside_others and "name_template" in c.DockerSpawner and "name_template" not in c.DockerRepoSpawner:
        c.DockerRepoSpawner.name_template = "{prefix}-{username}--{servername}"
    if logins:
        c.DockerRepoSpawner.registry_credentials = list(logins)
    if network:
        c.DockerRepoSpawner.network_name = network
        _listen(c, "0.0.0.0", socket.gethostname())  # noqa: S104  (to that network, which nobody but servers is in)
        return
    if "hub_connect_ip" not in c.JupyterHub and "hub_connect_url" not in c.JupyterHub:
        bridge = bridge_address()
        _listen(c, bridge, bridge)
    if "network_name" not in c.DockerSpawner and "network_name" not in c.DockerRepoSpawner:
        make_servers_network()
        c.DockerRepoSpawner.network_name = SERVERS_NETWORK


def _listen(c: Config, ip: str, connect_ip: str) -> None:
    """Have the hub listen on `ip`, and servers reach it at `connect_ip`, unless the operator has said where."""
    given = c.JupyterHub.get("hub_bind_url") or f"http://{c.JupyterHub.get('hub_ip', '127.0.0.1')}:{c.JupyterHub.get('hub_port', DEFAULT_HUB_PORT)}"
    url = urlsplit(given)
    if url.hostname in {"127.0.0.1", "localhost", "::1"}:
        c.JupyterHub.hub_bind_url = f"{url.scheme}://{ip}:{url.port or DEFAULT_HUB_PORT}"
    if "hub_connect_ip" not in c.JupyterHub and "hub_connect_url" not in c.JupyterHub:
        c.JupyterHub.hub_connect_ip = connect_ip


def bridge_address() -> str:
    """Return this machine's address on the engine's default network.

    Raises:
        EngineMissing: the engine does not answer, or is not on this machine.
    """
    with _engine() as engine:
        [settings, *_] = engine.inspect_network("bridge")["IPAM"]["Config"]
    gateway = str(settings.get("Gateway") or next(ipaddress.ip_network(settings["Subnet"]).hosts()))
    try:
        with socket.socket() as probe:
            probe.bind((gateway, 0))
    except OSError as error:
        raise EngineMissing(
            f"Servers reach this machine's hub at {gateway}, which is no address here: run the hub in a container, too, and name their network, "
            "or set JupyterHub.hub_ip and hub_connect_ip before configure() is called."
        ) from error
    return gateway


def make_servers_network() -> None:
    """Make the network of servers, unless the engine has one of this name already.

    The hub is no member: servers reach it at the machine's address on the engine's default network, which stays when this one is removed.

    Raises:
        EngineMissing: the engine does not answer, or makes no network.
    """
    with _engine() as engine:
        try:
            engine.create_network(SERVERS_NETWORK, driver="bridge", options=NO_TALK, check_duplicate=True)
        except APIError as error:
            if error.status_code != CONFLICT:
                raise EngineMissing(
                    f"The container engine cannot make the network {SERVERS_NETWORK} for servers ({error.explanation}): "
                    "make one, and name it in DockerRepoSpawner.network_name before configure() is called."
                ) from error


@contextlib.contextmanager
def _engine() -> Iterator[docker.APIClient]:
    """Give the engine that the environment names; raise `EngineMissing` if it does not answer."""
    address = os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    try:
        with contextlib.closing(docker.APIClient(version="auto", timeout=ANSWER_SECONDS, **kwargs_from_env())) as engine:
            yield engine
    except (DockerException, OSError) as error:
        raise EngineMissing(f"The container engine at {address} does not answer: start it, or say in DOCKER_HOST where it is.") from error


def check_machine(registry: str) -> None:
    """Raise `EngineMissing` unless this machine has what building needs, and the registry, if one is named, answers."""
    if shutil.which("docker") is None:
        raise EngineMissing("The program docker is missing: install Docker's command line with its buildx plugin.")
    if subprocess.run(["docker", "buildx", "version"], capture_output=True, check=False).returncode != 0:  # noqa: S607
        raise EngineMissing("Docker's buildx plugin is missing: install it, e.g. with `apt install docker-buildx-plugin`.")
    if registry and not any(_answers(f"{scheme}://{registry.partition('/')[0]}/v2/") for scheme in ("https", "http")):
        raise EngineMissing(f"The registry {registry} does not answer: start it, or leave REGISTRY out to keep images in the engine alone.")


def _answers(url: str) -> bool:
    """Say whether somebody answers, also with a refusal."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_SECONDS):  # noqa: S310  (one of two schemes)
            return True
    except urllib.error.HTTPError:
        return True
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    try:
        check_machine(sys.argv[1] if len(sys.argv) > 1 else "")
        sys.stdout.write(bridge_address() + "\n")
    except EngineMissing as missing:
        sys.exit(str(missing))
