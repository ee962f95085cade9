"""What the chart's values come to in the hub and in the service."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubespawner import KubeSpawner
from traitlets.config import Config

from binderhub_service.common.address_rules import AddressRules
from binderhub_service.modes.kubernetes import KubernetesMode
from binderhub_service.settings import UrlGuard
from spawner.composed import ComposedSpawner
from spawner.kubernetes import chart

CHART = Path(__file__).parents[2] / "chart"


def mounted(folder: Path, **more: Any) -> Path:
    """Write what the chart mounts with its own defaults and `more`."""
    defaults = yaml.safe_load((CHART / "values.yaml").read_text())
    values = {
        "config": {},
        "builder": defaults["builder"],
        "urlGuard": defaults["urlGuard"],
        "public": defaults["public"],
        "servers": defaults["servers"],
        "release": "binder",
        "namespace": "hubs",
        "buildNamespace": "builds",
        "baseUrl": "/ours/",
        "registry": {"prefix": "registry:5000/binder", "imagePrefix": "b-", "plainHttp": False, "endpoint": ""},
        "pullSecret": "",
        "own": False,
        "volume": {"storage": "5Gi", "persistent": True},
        "hasExtraConfig": False,
        **more,
    }
    folder.mkdir(exist_ok=True)
    (folder / "aside").write_text(json.dumps(values))
    (folder / "aside").rename(folder / "values.json")  # at once, as Kubernetes does it
    (folder / "service-token").write_text("the token")
    return folder


def settings(folder: Path, **more: Any) -> dict[str, dict[str, Any]]:
    return chart.service_settings(chart.read_values(mounted(folder, **more)), folder)


def test_amounts_are_read_as_kubernetes_reads_them() -> None:
    assert [chart.amount(text) for text in ("250m", "2", 1.5, "512Mi", "4G", "1k", "2Ti")] == [0.25, 2, 1.5, 512 * 2**20, 4e9, 1000, 2**41]
    with pytest.raises(ValueError, match="'much' is no amount"):
        chart.amount("much")


def test_the_service_learns_where_and_how_to_build(tmp_path: Path) -> None:
    mode = settings(tmp_path)["KubernetesMode"]
    assert mode["namespace"] == "builds"
    assert mode["instance"] == "binder"
    assert mode["owner"] == "binder-builds"
    assert mode["builder_image"] == "binderspawner-builder:0.1.0"
    assert mode["memory_limit_bytes"] == 4 * 2**30
    assert mode["cpu_request"] == 0.25
    assert "plain_http_registries" not in mode
    assert mode.keys() <= KubernetesMode.class_traits(config=True).keys()


def test_a_registry_without_tls_is_named_by_its_host(tmp_path: Path) -> None:
    registry = {"prefix": "registry:5000/binder", "imagePrefix": "b-", "plainHttp": True, "endpoint": "http://r:5000"}
    assert settings(tmp_path, registry=registry)["KubernetesMode"]["plain_http_registries"] == ["registry:5000"]
    assert settings(tmp_path, registry=registry)["KubernetesMode"]["registry_endpoint"] == "http://r:5000"


def test_only_public_hosts_and_exceptions_are_asked_unless_a_value_says_otherwise(tmp_path: Path) -> None:
    assert UrlGuard(config=Config(settings(tmp_path))).rules() == AddressRules(public_only=True)
    chosen = settings(tmp_path, urlGuard={"publicOnly": True, "exceptions": ["gitlab.example.org", "10.1.0.0/16"]})
    assert UrlGuard(config=Config(chosen)).rules() == AddressRules(public_only=True, exceptions=("gitlab.example.org", "10.1.0.0/16"))
    assert UrlGuard(config=Config(settings(tmp_path, config={"UrlGuard": {"public_only": False}}))).rules() == AddressRules()


def test_config_wins_over_everything_and_goes_to_any_class(tmp_path: Path) -> None:
    made = settings(tmp_path, config={"KubernetesMode": {"cpu_limit": 8}, "Limits": {"running": 7}, "Novel": {"trait": 1}})
    assert made["KubernetesMode"]["cpu_limit"] == 8
    assert made["KubernetesMode"]["namespace"] == "builds"
    assert made["Limits"] == {"running": 7, "free_bytes": 256 * 2**20}
    assert made["Novel"] == {"trait": 1}


def test_the_databases_url_comes_from_its_secret(tmp_path: Path) -> None:
    assert "database_url" not in settings(tmp_path)["BinderService"]
    (tmp_path / "database").mkdir()
    (tmp_path / "database" / "url").write_text("postgresql+psycopg://me:word@db/binder\n")
    assert settings(tmp_path)["BinderService"]["database_url"] == "postgresql+psycopg://me:word@db/binder"


def test_builds_and_logs_have_what_fits_a_cluster_and_the_volume(tmp_path: Path) -> None:
    made = settings(tmp_path)
    assert made["Limits"] == {"running": 32, "free_bytes": 256 * 2**20}
    assert made["Cleaning"] == {"log_bytes": 5 * 2**29}
    assert settings(tmp_path, volume={"storage": "5Gi", "persistent": False})["Cleaning"] == {}
    assert settings(tmp_path, hasExtraConfig=True)["BinderService"]["config_file"] == str(tmp_path / "extra_config.py")
    mode = made["KubernetesMode"]
    assert {one["value"] for one in mode["tolerations"]} == {"user"}
    assert (mode["storage_driver"], mode["ephemeral_storage_request_bytes"], mode["ca_bundle"]) == ("overlay", 2 * 2**30, {})


def test_everything_in_resources_reaches_build_pods(tmp_path: Path) -> None:
    builder = yaml.safe_load((CHART / "values.yaml").read_text())["builder"]
    more = {"requests": {"hugepages-2Mi": "4Mi"}, "limits": {"nvidia.com/gpu": 1, "cpu": 2}}
    mode = settings(tmp_path, builder={**builder, "resources": more})["KubernetesMode"]
    assert (mode["extra_requests"], mode["extra_limits"], mode["cpu_limit"]) == ({"hugepages-2Mi": "4Mi"}, {"nvidia.com/gpu": "1"}, 2)
    KubernetesMode(config=Config({"KubernetesMode": mode}))


def configured(folder: Path, c: Config) -> dict[str, dict[str, Any]]:
    """Return the hub's services by name."""
    chart.configure(c, folder)
    return {service["name"]: service for service in c.JupyterHub.services}


@pytest.mark.parametrize(
    ("addresses", "url", "servers"),
    [
        (["10.1.2.3"], "http://10.1.2.3:8585", None),
        (["fd00::5", "10.1.2.3"], "http://10.1.2.3:8585", None),
        (["fd00::5"], "http://[fd00::5]:8585", "::"),
    ],
)
def test_in_a_cluster_of_ipv6_hub_and_servers_listen_at_such_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, addresses: list[str], url: str, servers: str | None
) -> None:
    found = [(socket.AF_INET6 if ":" in one else socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 0)) for one in addresses]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    monkeypatch.setattr("spawner.service_listens._check_address", lambda *_: None)  # they are of no machine here
    c = Config()
    c.JupyterHub.services = []
    assert configured(mounted(tmp_path), c)["binder"]["url"] == url
    assert c.KubeSpawner.get("ip") == servers
    c = Config()
    c.JupyterHub.services = []
    c.KubeSpawner.ip = "mine"
    configured(tmp_path, c)
    assert c.KubeSpawner.ip == "mine"


def test_the_hub_starts_the_service_where_the_proxy_reaches_it_and_pulls_with_the_registrys_login(tmp_path: Path) -> None:
    c = Config()
    c.JupyterHub.services = []
    c.JupyterHub.base_url = "/ours/"
    c.KubeSpawner.image_pull_secrets = ["others"]
    services = configured(mounted(tmp_path, pullSecret="binder-registry"), c)
    url = f"http://{socket.gethostbyname(socket.gethostname())}:8585"
    assert services["binder"]["url"] == url
    given = json.loads(services["binder"]["environment"]["BINDERHUB_SERVICE_CONFIG"])
    assert given["HubOAuth"] == {"api_url": "http://127.0.0.1:8081/ours/hub/api"}
    assert given["KubernetesMode"]["registry"] == "registry:5000/binder"
    assert c.RepoSpawner.binder_url == f"{url}/ours/services/binder/"
    assert c.JupyterHub.spawner_class == "spawner.kubernetes.spawner.BinderSpawner"
    assert c.KubeSpawner.image_pull_secrets == ["others", "binder-registry"]


def test_logins_of_git_servers_reach_the_service_and_no_other_part_of_the_hub(tmp_path: Path) -> None:
    builder = yaml.safe_load((CHART / "values.yaml").read_text())["builder"] | {"gitCredentials": "https://me:secret@git.example.org"}
    for own in (False, True):
        assert settings(tmp_path, builder=builder, own=own)["KubernetesMode"]["git_credentials"] == builder["gitCredentials"]
        c = Config()
        c.JupyterHub.services = []
        services = configured(tmp_path, c)
        given = services["binder"].get("environment", {}).pop("BINDERHUB_SERVICE_CONFIG", "")
        assert ("secret" in given) is not own
        assert "me:secret" not in str(c)


def test_a_service_of_its_own_is_reached_with_the_token_that_the_chart_keeps(tmp_path: Path) -> None:
    c = Config()
    c.JupyterHub.services = []
    service = configured(mounted(tmp_path, own=True), c)["binder"]
    assert (service["url"], service["api_token"]) == ("http://binder-service:8585", "the token")
    assert "command" not in service
    assert "image_pull_secrets" not in c.KubeSpawner


@pytest.mark.parametrize(("asked", "given"), [(chart.DEFAULT_USER_ID, None), (1001, 1001), (None, None)])
def test_servers_run_as_their_images_user_unless_another_is_asked_for(tmp_path: Path, asked: int | None, given: int | None) -> None:
    c = Config()
    c.JupyterHub.services = []
    c.KubeSpawner.fs_gid = 100
    if asked:
        c.KubeSpawner.uid = asked
    configured(mounted(tmp_path), c)
    assert c.KubeSpawner.get("uid") == given
    assert c.KubeSpawner.fs_gid == 100


@pytest.mark.parametrize("named", [True, False])
def test_named_servers_are_the_charts_to_decide(tmp_path: Path, named: bool) -> None:
    c = Config()
    c.JupyterHub.services = []
    c.JupyterHub.allow_named_servers = named
    configured(mounted(tmp_path), c)
    assert c.JupyterHub.allow_named_servers is named


def test_restricted_servers_run_by_a_users_number_without_any_right(tmp_path: Path) -> None:
    c = Config()
    c.JupyterHub.services = []
    c.KubeSpawner.uid = chart.DEFAULT_USER_ID
    c.KubeSpawner.pod_security_context = {"fsGroupChangePolicy": "OnRootMismatch"}
    configured(mounted(tmp_path, servers={"ordinary": False, "restricted": True}), c)
    assert c.KubeSpawner.uid == 1000
    assert c.KubeSpawner.pod_security_context == {"runAsNonRoot": True, "fsGroupChangePolicy": "OnRootMismatch"}
    assert c.KubeSpawner.container_security_context == {"capabilities": {"drop": ["ALL"]}, "seccompProfile": {"type": "RuntimeDefault"}}


def test_ordinary_servers_are_there_where_a_value_says_so(tmp_path: Path) -> None:
    c = Config()
    c.JupyterHub.services = []
    c.JupyterHub.spawner_class = "kubespawner.KubeSpawner"
    configured(mounted(tmp_path, servers={"ordinary": True, "restricted": False}), c)
    assert issubclass(c.JupyterHub.spawner_class, ComposedSpawner)
    assert c.JupyterHub.spawner_class.operators_class is KubeSpawner


def test_the_program_becomes_the_service_with_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    monkeypatch.setattr(chart, "FOLDER", mounted(tmp_path))
    monkeypatch.setattr(chart.os, "execv", lambda program, arguments: started.append(arguments))
    monkeypatch.setenv("BINDERHUB_SERVICE_CONFIG", "")
    chart.become_service()
    assert started == [[sys.executable, "-m", "binderhub_service"]]
    assert json.loads(os.environ["BINDERHUB_SERVICE_CONFIG"])["BinderService"]["mode"] == "kubernetes"


def test_a_public_hub_has_no_login_and_lets_visitors_in(tmp_path: Path) -> None:
    assert settings(tmp_path, public=True)["BinderService"]["auth_enabled"] is False
    assert "auth_enabled" not in settings(tmp_path)["BinderService"]
