"""Docker mode in a hub's configuration: where the hub listens, what the service is told, and one sentence when something is missing."""

from __future__ import annotations

import gc
import json
import re
import warnings
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from docker.errors import APIError
from dockerspawner import DockerSpawner
from requests import Response
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from spawner import configure
from spawner.docker import setup

GATEWAY = "172.17.0.1"


@pytest.fixture(autouse=True)
def bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine whose network has this address, and in which servers have a network of their own."""
    monkeypatch.setattr(setup, "bridge_address", lambda: GATEWAY)
    monkeypatch.setattr(setup, "make_servers_network", lambda: None)


def service_of(c: Config) -> dict[str, Any]:
    services = c.JupyterHub.services
    found: dict[str, Any] = (services.get_value([]) if isinstance(services, LazyConfigValue) else services)[-1]
    return found


def settings_of(c: Config) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(service_of(c)["environment"]["BINDERHUB_SERVICE_CONFIG"])
    return found


def test_one_call_sets_up_service_and_spawner(tmp_path: Path) -> None:
    c = Config()
    configure(c, state_dir=tmp_path, mode="docker", registry="127.0.0.1:5000", service={"DockerMode": {"image_prefix": "mine-"}})
    assert settings_of(c)["BinderService"]["mode"] == "docker"
    assert settings_of(c)["DockerMode"] == {"registry": "127.0.0.1:5000", "image_prefix": "mine-"}
    assert issubclass(c.JupyterHub.spawner_class.repo_class, DockerSpawner)
    assert not c.DockerSpawner
    assert c.JupyterHub.allow_named_servers is True
    assert "ProcessSpawner" not in c


@pytest.mark.parametrize(
    ("given", "listens", "connects"),
    [
        ({}, f"http://{GATEWAY}:8081", GATEWAY),
        ({"hub_port": 9001}, f"http://{GATEWAY}:9001", GATEWAY),
        ({"hub_bind_url": "http://127.0.0.1:8001"}, f"http://{GATEWAY}:8001", GATEWAY),
        ({"hub_bind_url": "http://0.0.0.0:8001"}, "http://0.0.0.0:8001", GATEWAY),
        ({"hub_ip": "0.0.0.0"}, None, GATEWAY),
        ({"hub_ip": "0.0.0.0", "hub_connect_ip": "host.docker.internal"}, None, "host.docker.internal"),
    ],
)
def test_a_hub_on_the_engines_machine_listens_where_containers_reach_it(
    tmp_path: Path, given: dict[str, Any], listens: str | None, connects: str
) -> None:
    c = Config({"JupyterHub": given})
    configure(c, state_dir=tmp_path, mode="docker")
    assert c.JupyterHub.get("hub_bind_url") == listens
    assert c.JupyterHub.hub_connect_ip == connects


def test_a_hub_in_a_container_listens_to_the_network_that_it_shares_with_servers(tmp_path: Path) -> None:
    c = Config({"JupyterHub": {"hub_connect_ip": "hub"}})
    configure(c, state_dir=tmp_path, mode="docker", network="servers")
    assert (c.JupyterHub.hub_bind_url, c.JupyterHub.hub_connect_ip, c.DockerRepoSpawner.network_name) == ("http://0.0.0.0:8081", "hub", "servers")


def test_servers_are_in_a_network_of_their_own_unless_the_operator_names_one(tmp_path: Path) -> None:
    for given, used in (({}, setup.SERVERS_NETWORK), ({"network_name": "mine"}, "mine")):
        c = Config({"DockerSpawner": given})
        configure(c, state_dir=tmp_path, mode="docker")
        assert {**c.DockerSpawner, **c.DockerRepoSpawner}["network_name"] == used


@pytest.mark.parametrize(("status", "says"), [(409, ""), (500, "cannot make the network binder-isolated for servers (no room): make one")])
def test_a_network_that_is_there_is_taken_and_one_that_cannot_be_made_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, status: int, says: str
) -> None:
    monkeypatch.undo()
    answer = Response()
    answer.status_code = status
    refusing = Mock(**{"create_network.side_effect": APIError("no", response=answer, explanation="no room")})
    monkeypatch.setattr(setup, "_engine", lambda: nullcontext(refusing))
    with pytest.raises(setup.EngineMissing, match=re.escape(says)) if says else nullcontext():
        setup.make_servers_network()
    assert refusing.create_network.call_args.kwargs["options"] == {"com.docker.network.bridge.enable_icc": "false"}


def test_a_service_that_runs_elsewhere_is_not_started(tmp_path: Path) -> None:
    c = Config()
    configure(c, state_dir=tmp_path, mode="docker", service_url="http://service:8585/", service_token="t" * 32)
    service = service_of(c)
    assert (service["url"], service["api_token"], "command" in service) == ("http://service:8585", "t" * 32, False)
    assert c.RepoSpawner.binder_url == "http://service:8585/services/binder/"


def test_hubs_with_other_states_do_not_take_each_others_containers(tmp_path: Path) -> None:
    prefixes = []
    for state in ("one", "two", "one"):
        c = Config()
        configure(c, state_dir=tmp_path / state, mode="docker")
        prefixes.append(c.DockerRepoSpawner.prefix)
    assert prefixes[0] == prefixes[2] != prefixes[1]


def test_an_operators_names_of_containers_stay_and_are_not_those_of_containers_from_repositories(tmp_path: Path) -> None:
    theirs = {"prefix": "jupyter", "name_template": "{prefix}-{username}"}
    c = Config({"DockerSpawner": theirs})
    configure(c, state_dir=tmp_path, mode="docker")
    assert c.DockerSpawner == theirs
    assert c.DockerRepoSpawner.prefix.startswith("binder-")
    assert c.DockerRepoSpawner.name_template == "{prefix}-{username}--{servername}"
    alone = Config({"DockerSpawner": theirs})
    configure(alone, state_dir=tmp_path, mode="docker", required=True)
    assert not {"prefix", "name_template"} & set(alone.DockerRepoSpawner)


def test_servers_images_are_pulled_with_the_services_logins(tmp_path: Path) -> None:
    c = Config()
    login = {"registry": "registry.example.org", "username": "hub", "password": "sekret"}
    configure(c, state_dir=tmp_path, mode="docker", service={"DockerMode": {"registry_credentials": [login]}})
    assert c.DockerRepoSpawner.registry_credentials == [login]


def test_an_engine_that_is_away_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    with pytest.raises(setup.EngineMissing, match=r"none\.sock does not answer: start it"):
        configure(Config(), state_dir=tmp_path, mode="docker")
    with warnings.catch_warnings(action="ignore"):
        gc.collect()  # docker's client leaves a socket open when its constructor fails


def test_a_machine_without_dockers_program_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.EngineMissing, match="docker is missing"):
        setup.check_machine("")


@pytest.mark.parametrize(("status", "registry", "word"), [(1, "", "buildx plugin is missing"), (0, "127.0.0.1:9", "does not answer")])
def test_a_machine_without_buildx_or_registry_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, registry: str, word: str
) -> None:
    program = tmp_path / "docker"
    program.write_text(f"#!/bin/sh\nexit {status}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(setup.EngineMissing, match=word):
        setup.check_machine(registry)
