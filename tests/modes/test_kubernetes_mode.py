"""Kubernetes mode: every setting reaches the part that it is meant for."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from traitlets.config import Config, Configurable

from binderhub_service.builders.kubernetes import Cluster, KubernetesSettings
from binderhub_service.clients.credentials import VARIABLE, Credentials, Login, logins_text
from binderhub_service.errors import Unavailable
from binderhub_service.modes import kubernetes as module
from binderhub_service.modes.docker import DockerMode
from binderhub_service.modes.kubernetes import KubernetesMode
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.pod_job import PodSettings
from tests.harness.records import source

NEEDED = {"registry": "registry.example.org/proj", "builder_image": "builder:1"}
GIT_LOGIN = "https://reader:s3cret@git.example.org"
# Settings by the part that takes them by its own name, with a value that is not the default.
OF_PODS: dict[str, Any] = {
    "builder_image": "builder:2",
    "instance": "mine",
    "owner": "binder-builds",
    "image_pull_policy": "Always",
    "image_pull_secrets": ["registry-login"],
    "node_selector": {"pool": "builds"},
    "tolerations": [{"key": "builds", "operator": "Exists"}],
    "affinity": {"nodeAffinity": {}},
    "priority_class": "builds",
    "annotations": {"team": "data"},
    "labels": {"team": "data"},
    "extra_volumes": [{"name": "data", "emptyDir": {}}],
    "extra_volume_mounts": [{"name": "data", "mountPath": "/data"}],
    "cache_volume": {"persistentVolumeClaim": {"claimName": "cache"}},
    "environment": {"HTTPS_PROXY": "http://proxy:3128"},
    "memory_request_bytes": 1,
    "cpu_request": 0.5,
    "cpu_limit": 2.0,
    "ephemeral_storage_limit_bytes": 3,
    "ephemeral_storage_request_bytes": 8,
    "extra_requests": {"hugepages-2Mi": "4Mi"},
    "extra_limits": {"nvidia.com/gpu": "1"},
    "scheduler": "packing",
    "runtime_class": "gvisor",
    "topology_spread": [{"maxSkew": 1}],
    "extra_pod_spec": {"dnsPolicy": "Default"},
    "ca_bundle": {"configMap": "ours"},
    "deadline_seconds": 4,
    "seccomp_profile": {"type": "Localhost", "localhostProfile": "builds.json"},
    "security_context": {"procMount": "Unmasked"},
    "unschedulable_seconds": 5.0,
    "image_pull_seconds": 6.0,
    "pull_ahead_to": "app=nodes",
    "pull_ahead_secrets": ["registry-login"],
    "pull_ahead_seconds": 60.0,
    "git_credentials": GIT_LOGIN,
}
OF_STEPS: dict[str, Any] = {
    "base_image": "debian:12",
    "appendix": "USER root",
    "build_arguments": {"A": "b"},
    "user_name": "rstudio",
    "user_id": 1001,
    "reuse_environments": False,
    "storage_driver": "vfs",
    "layer_cache": True,
    "layer_compression": "zstd",
    "registry_mirrors": {"docker.io": ["mirror.example.org"]},
    "engine_host": "tcp://engine:2375",
}
OF_OTHERS: list[tuple[str, Any, dict[str, Any]]] = [
    ("registry", "ghcr.io/other", {"steps.image_prefix": "ghcr.io/other/binder-", "images.prefix": "ghcr.io/other/binder-"}),
    ("image_prefix", "r2d-", {"steps.image_prefix": "registry.example.org/proj/r2d-", "images.prefix": "registry.example.org/proj/r2d-"}),
    ("memory_limit_bytes", 7, {"pods.memory_limit_bytes": 7, "steps.memory_limit_bytes": 7}),
    ("repo2docker_arguments", ["--a"], {"steps.repo2docker_arguments": ("--a",)}),
    ("plain_http_registries", ["r:5000"], {"steps.plain_http_registries": ("r:5000",), "client.plain_http": ["r:5000"]}),
    (
        "registry_endpoint",
        "http://r:5000",
        {"steps.registry_endpoint": "http://r:5000", "client.endpoints": {"registry.example.org": "http://r:5000"}},
    ),
    ("registry_answer_seconds", 8.0, {"images.kept_seconds": 8.0}),
    ("registry_credentials", [{"registry": "r:5000", "username": "me", "password": "p"}], {"logins": [Login("r:5000", "me", "p")]}),
    (
        "base_image_credentials",
        [{"registry": "r:5000", "username": "me", "password": "p"}],
        {"pods.base_logins": logins_text([Login("r:5000", "me", "p")])},
    ),
    ("namespace", "builds", {"namespaces.builds": "builds", "namespaces.servers": "builds"}),
    ("server_namespace", "hub", {"namespaces.servers": "hub"}),
    ("kubeconfig", "/k", {"kubeconfigs": ["/k", "/k"]}),
]
CASES = [
    *[(name, value, {f"pods.{name}": value}) for name, value in OF_PODS.items()],
    *[(name, value, {f"steps.{name}": value}) for name, value in OF_STEPS.items()],
    *OF_OTHERS,
]
# What is not the operator's to say: the builder image decides about the one, nobody has asked for the other.
NO_SETTINGS = {"repo2docker_version", "singleuser_seconds"}


@pytest.fixture(autouse=True)
def outside_a_cluster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No namespace and no login of this machine's own; returns where Docker's configuration is looked for."""
    monkeypatch.setattr(module, "_NAMESPACE_FILE", tmp_path / "namespace")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def mode(**settings: Any) -> KubernetesMode:
    return KubernetesMode(**{**NEEDED, **settings})


@pytest.fixture
def handed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Returns all that the parts are made with, by part and name."""
    parts = {name: Mock(name=name) for name in ("KubernetesBuilder", "ServersOnCluster", "RegistryClient", "RegistryImages")}
    for name, part in parts.items():
        monkeypatch.setattr(module, name, part)

    def made(**settings: Any) -> dict[str, Any]:
        limits = ProcessLimits()
        mode(**settings).make(tmp_path, limits)
        cluster, pods, steps, credentials, given_limits, on_made, on_tried, _ = parts["KubernetesBuilder"].call_args.args
        client, prefix, _, servers, kept_seconds, _ = parts["RegistryImages"].call_args.args
        [hubs_cluster] = parts["ServersOnCluster"].call_args.args
        client_credentials, plain_http = parts["RegistryClient"].call_args.args
        assert (given_limits, client, servers) == (limits, parts["RegistryClient"].return_value, parts["ServersOnCluster"].return_value)
        images = parts["RegistryImages"].return_value
        assert (on_made, on_tried) == (images.forget, images.name_environment)
        assert client_credentials is credentials
        return {
            **{f"pods.{one.name}": getattr(pods, one.name) for one in fields(KubernetesSettings)},
            **{f"steps.{one.name}": getattr(steps, one.name) for one in fields(PodSettings)},
            **{"images.prefix": prefix, "images.kept_seconds": kept_seconds, "client.plain_http": plain_http},
            "client.endpoints": parts["RegistryClient"].call_args.kwargs["endpoints"],
            **{"namespaces.builds": cluster.namespace, "namespaces.servers": hubs_cluster.namespace, "logins": credentials.given},
            "kubeconfigs": [vars(one)["_kubeconfig"] for one in (cluster, hubs_cluster)],
        }

    return made


def test_every_setting_is_tried_below() -> None:
    assert {name for name, _, _ in CASES} == set(KubernetesMode.class_traits(config=True))


@pytest.mark.parametrize(("name", "value", "places"), CASES, ids=[case[0] for case in CASES])
def test_a_setting_arrives_where_it_is_used_and_nowhere_else(handed_on: Any, name: str, value: Any, places: dict[str, Any]) -> None:
    before = handed_on()
    after = handed_on(**{name: value})
    changed = {place: now for place, now in after.items() if now != before[place]}
    assert changed == places


def test_all_that_pods_and_steps_can_be_told_can_be_set() -> None:
    reached = {place for _, _, places in CASES for place in places}
    fields_of_both = {f"pods.{one.name}" for one in fields(KubernetesSettings)} | {f"steps.{one.name}" for one in fields(PodSettings)}
    assert fields_of_both - reached == {f"steps.{name}" for name in NO_SETTINGS}


def test_steps_are_told_no_secret() -> None:
    login = {"registry": "r:5000", "username": "me", "password": "s3cret"}
    told = json.dumps(asdict(mode(git_credentials=GIT_LOGIN, registry_credentials=[login], base_image_credentials=[login]).pod_settings()))
    assert "s3cret" not in told


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"repo2docker_arguments": ["--a"]},
        {name: OF_STEPS[name] for name in ("base_image", "appendix", "build_arguments", "user_name", "user_id")},
    ],
    ids=["defaults", "arguments", "all others"],
)
@pytest.mark.parametrize("prefix", ["binder-", "My_Prefix-"])
async def test_an_image_has_the_name_that_docker_mode_gives_it(tmp_path: Path, settings: dict[str, Any], prefix: str) -> None:
    common = {"registry": NEEDED["registry"], "image_prefix": prefix, **settings}
    stores = [one.make(tmp_path, ProcessLimits())[0] for one in (mode(**common), DockerMode(repo2docker="/r2d", **common))]
    first, second = [store.name_for(source()) for store in stores]
    assert first == second
    for store in stores:
        await store.close()


@pytest.mark.parametrize("missing", ["registry", "builder_image"])
def test_what_cannot_be_left_out_is_asked_for_in_one_sentence(tmp_path: Path, missing: str) -> None:
    with pytest.raises(Unavailable) as ended:
        mode(**{missing: ""}).make(tmp_path, ProcessLimits())
    assert ended.value.message == f"Kubernetes mode needs KubernetesMode.{missing}: see docs/kubernetes.md."


@pytest.mark.parametrize(
    ("config", "seconds"), [({}, 7200), ({"build_seconds": 100}, 200), ({"build_seconds": 0}, 0)], ids=["default", "set", "without end"]
)
def test_kubernetes_ends_a_pod_by_itself_after_twice_the_time_that_a_build_has(config: dict[str, float], seconds: int) -> None:
    assert KubernetesMode(parent=Configurable(config=Config({"Limits": config}))).deadline_seconds == seconds


@pytest.mark.parametrize(
    ("inside", "settings", "builds", "servers"),
    [
        ("", {}, "default", "default"),
        ("", {"namespace": "b"}, "b", "b"),
        ("", {"namespace": "b", "server_namespace": "s"}, "b", "s"),
        ("hubs\n", {}, "hubs", "hubs"),
        ("hubs\n", {"namespace": "b"}, "b", "hubs"),
        ("hubs\n", {"namespace": "b", "server_namespace": "s"}, "b", "s"),
    ],
)
def test_namespaces_are_the_services_own_unless_they_are_named(
    outside_a_cluster: Path, inside: str, settings: dict[str, str], builds: str, servers: str
) -> None:
    if inside:
        (outside_a_cluster / "namespace").write_text(inside)
    made = mode(**settings)
    assert (made.namespace, made.server_namespace) == (builds, servers)


# --- credentials -------------------------------------------------------------------------------------------------------------


def credentials_of(made: KubernetesMode, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Credentials:
    """Return the logins that the builder puts into a build's secret."""
    builder = Mock()
    monkeypatch.setattr(module, "KubernetesBuilder", builder)
    monkeypatch.setattr(module, "RegistryClient", Mock())
    made.make(folder, ProcessLimits())
    found: Credentials = builder.call_args.args[3]
    return found


def test_logins_come_from_settings_from_the_environment_and_from_dockers_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def content(registry: str, password: str) -> dict[str, str]:
        return {"registry": registry, "username": "me", "password": password}

    entries = {f"{name}.example": {"auth": base64.b64encode(b"me:docker").decode()} for name in ("docker", "set", "variable")}
    (tmp_path / "config.json").write_text(json.dumps({"auths": entries}))
    monkeypatch.setenv(VARIABLE, json.dumps(content("variable.example", "variable")))
    made = mode(registry_credentials=[content("set.example", "set"), content("variable.example", "set")])
    credentials = credentials_of(made, tmp_path, monkeypatch)
    for name in ("docker", "set", "variable"):
        assert credentials.login_for(f"{name}.example") == Login(f"{name}.example", "me", name)
    assert credentials.login_for("other.example") is None


def test_a_login_that_lacks_something_is_refused_by_its_setting_and_tells_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"KubernetesMode\.registry_credentials must have") as refused:
        mode(registry_credentials=[{"registry": "r", "password": "s3cret"}]).make(tmp_path, ProcessLimits())
    assert "s3cret" not in str(refused.value)


async def test_nothing_is_asked_before_the_first_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = Mock()
    monkeypatch.setattr(Cluster, "_open", opened)
    images, builder = mode(kubeconfig="/no/such/file").make(tmp_path, ProcessLimits())
    await builder.close()
    await images.close()
    opened.assert_not_called()
