"""One call gives an existing hub everything, and takes nothing away."""

from __future__ import annotations

import json
import os
import pwd
import re
import secrets
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner
from kubespawner import KubeSpawner
from traitlets.config import Config
from traitlets.config.loader import LazyConfigValue

from binderhub_service.launches.accounts import HubAccounts
from binderhub_service.models import Account
from spawner import configure, system_users
from spawner.docker import setup
from spawner.local.spawner import ProcessSpawner
from spawner.service_in_hub import PAGE_SCOPES, SERVICE_ROLE, USER_SCOPES
from tests.bare_hub import BareHub, running
from tests.harness.hub import JUPYTERHUB

ADMIN_TOKEN = secrets.token_hex(16)
ROLELESS_TOKEN = secrets.token_hex(16)
SERVICE_TOKEN = secrets.token_hex(16)

# Instead of the service something answers that says nothing, because the hub waits for that.
CONFIG = f"""
import sys
from spawner import configure

c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.Authenticator.admin_users = {{"grace"}}
c.Authenticator.allowed_users = {{"ada"}}
c.JupyterHub.custom_scopes = {{"custom:mine:use": {{"description": "An operator's own scope"}}}}
c.JupyterHub.services = [{{"name": "test", "admin": True, "api_token": "{ADMIN_TOKEN}"}}, {{"name": "roleless", "api_token": "{ROLELESS_TOKEN}"}}]
configure(c, state_dir="state", as_root=True)
port = c.JupyterHub.services[-1]["url"].rsplit(":")[-1]
c.JupyterHub.services[-1].update(api_token="{SERVICE_TOKEN}", command=[sys.executable, "-m", "http.server", port, "--bind", "127.0.0.1"])
c.JupyterHub.spawner_class = "simple"
c.Spawner.cmd = ["true"]
c.JupyterHub.tornado_settings = {{"slow_spawn_timeout": 0}}
"""


def value(lazy: Any, initial: Any) -> Any:
    """Return what a setting comes to be on top of its default."""
    return lazy.get_value(initial) if isinstance(lazy, LazyConfigValue) else lazy


def service_of(c: Config) -> dict[str, Any]:
    return next(spec for spec in value(c.JupyterHub.services, []) if spec["name"] == "binder")


def scopes_of_service(c: Config) -> list[list[str]]:
    return [role["scopes"] for role in value(c.JupyterHub.load_roles, []) if role.get("services") == ["binder"]]


def user_scopes_of(c: Config) -> list[str]:
    return next(role["scopes"] for role in value(c.JupyterHub.load_roles, []) if role["name"] == "user")


@pytest.fixture
def c(monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration with nothing in it, of a hub that does not run as root."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    return Config()


def test_an_empty_configuration_gets_everything(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path, service_port=8003)
    assert service_of(c)["url"] == "http://127.0.0.1:8003"
    assert user_scopes_of(c) == ["self", *USER_SCOPES]
    assert "custom:binder:build" in value(c.JupyterHub.custom_scopes, {})
    assert c.JupyterHub.allow_named_servers is True
    assert c.RepoSpawner.binder_url == "http://127.0.0.1:8003/services/binder/"
    assert c.ProcessSpawner.images_dir == str(tmp_path / "images")
    assert c.ProcessSpawner.users_dir == str(tmp_path / "people")
    assert "Spawner" not in c
    assert issubclass(c.JupyterHub.spawner_class, LocalProcessSpawner)
    assert c.JupyterHub.spawner_class.repo_class is ProcessSpawner
    assert (c.RepoSpawner.cmd, c.RepoSpawner.notebook_dir) == (["jupyterhub-singleuser"], "")


@pytest.mark.parametrize("given", ["simple", "jupyterhub.spawner.SimpleLocalProcessSpawner", SimpleLocalProcessSpawner])
def test_servers_without_a_repository_stay_those_of_the_operators_class(c: Config, tmp_path: Path, given: str | type) -> None:
    c.JupyterHub.spawner_class = given
    c.RepoSpawner.cmd = ["mine"]
    configure(c, state_dir=tmp_path)
    assert issubclass(c.JupyterHub.spawner_class, SimpleLocalProcessSpawner)
    assert c.RepoSpawner.cmd == ["mine"]


def test_a_hub_can_have_servers_from_repositories_alone(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path, required=True)
    assert c.JupyterHub.spawner_class == "spawner.local.spawner.ProcessSpawner"
    assert "cmd" not in c.RepoSpawner


def test_a_spawner_class_that_is_none_is_refused_by_name(c: Config, tmp_path: Path) -> None:
    for wrong in ("systemdd", int):
        c.JupyterHub.spawner_class = wrong
        with pytest.raises(ValueError, match=re.escape(f"c.JupyterHub.spawner_class is {wrong!r}, which is no spawner that is installed")):
            configure(c, state_dir=tmp_path)


def test_a_hub_that_runs_as_root_is_refused_in_embedded_mode_unless_that_is_allowed(
    c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure(c, state_dir=tmp_path)
    assert "args" not in c.ProcessSpawner
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    refused, allowed, elsewhere = Config(), Config(), Config()
    with pytest.raises(ValueError, match=re.escape("This hub runs as root, and so would the builds")):
        configure(refused, state_dir=tmp_path)
    assert refused == Config()
    configure(allowed, state_dir=tmp_path, as_root=True)
    assert value(allowed.ProcessSpawner.args, []) == ["--allow-root"]
    configure(elsewhere, state_dir=tmp_path, mode="kubernetes", registry="ghcr.io/me")


def test_a_hub_that_runs_as_root_starts_the_service_as_an_account_that_has_the_state_alone(
    c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[Path, int]] = []
    accounts = {name: SimpleNamespace(pw_uid=uid, pw_gid=uid) for name, uid in (("binder", 4321), ("toor", 0))}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", accounts.__getitem__)
    monkeypatch.setattr(os, "chown", lambda path, uid, gid, follow_symlinks: given.append((path, uid)))
    monkeypatch.setattr(system_users, "_owner_of", lambda path: 4321 if (path, 4321) in given else 0)
    state = tmp_path / "state"
    arguments: dict[str, Any] = {"mode": "kubernetes", "registry": "ghcr.io/me", "state_dir": state}
    configure(c, **arguments, service_user="binder")
    assert given == [(state, 4321)]
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    assert (service_of(c)["user"], service_of(c)["cwd"]) == ("binder", "/")
    configure(Config(), **arguments, service_user="binder")
    given.clear()
    for name, words in (
        ("nobody-here", "There is no account 'nobody-here' on this machine"),
        ("toor", "is root: name one without rights"),
        ("binder", f"The state directory {state} does not belong to binder. Stop the hub, then: chown -R binder {state}"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            configure(Config(), **arguments, service_user=name)
    with pytest.raises(ValueError, match="is started by something else"):
        configure(Config(), **arguments, service_user="binder", service_url="http://binder:8585", service_token="t")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ValueError, match="service_user is for hubs that run as root"):
        configure(Config(), **arguments, service_user="binder")


def test_a_hub_that_runs_as_root_starts_servers_as_other_accounts_and_says_which_it_cannot(
    c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="server_user is for embedded mode in a hub that runs as root: leave out 'people'"):
        configure(Config(), state_dir=tmp_path, server_user="people")
    accounts = {name: SimpleNamespace(pw_uid=uid, pw_gid=uid) for name, uid in (("binder", 4321), ("people", 4322), ("toor", 0))}
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(pwd, "getpwnam", accounts.__getitem__)
    monkeypatch.setattr(system_users, "_owner_of", lambda path: 4321)
    monkeypatch.setattr(os, "chown", lambda *_, **__: None)
    monkeypatch.setenv("UV_CACHE_DIR", "/root/.cache/uv")
    state = tmp_path / "state"
    configure(c, state_dir=state, service_user="binder")
    assert (c.ProcessSpawner.system_user, "args" in c.ProcessSpawner) == ("{username}", False)
    environment = service_of(c)["environment"]
    assert json.loads(environment["BINDERHUB_SERVICE_CONFIG"])["EmbeddedMode"] == {"other_accounts": True}
    assert environment["UV_PYTHON_INSTALL_DIR"] == str(state / "pythons")
    assert "UV_CACHE_DIR" not in environment, "root's own, which the account cannot read"
    for_all = Config()
    configure(for_all, state_dir=state, service_user="binder", server_user="people", public=True)
    assert (for_all.ProcessSpawner.system_user, for_all.ProcessSpawner.deleted_homes) == ("people", "remove")
    kept = Config({"ProcessSpawner": {"deleted_homes": "aside"}})
    configure(kept, state_dir=state, service_user="binder", server_user="people", public=True)
    assert (kept.ProcessSpawner.deleted_homes, kept.DockerRepoSpawner.deleted_homes) == ("aside", "remove")
    for arguments, words in (
        ({"server_user": "nobody-here"}, "There is no account 'nobody-here' on this machine for server_user"),
        ({"server_user": "toor"}, "The account 'toor' of server_user is root"),
        ({"server_user": "binder"}, "The account 'binder' is the service's"),
        ({"public": True}, "People of a public hub have no accounts of this machine"),
    ):
        with pytest.raises(ValueError, match=re.escape(words)):
            configure(Config(), state_dir=state, service_user="binder", **cast("dict[str, Any]", arguments))


def test_certificates_between_the_hubs_parts_are_refused_in_a_sentence(c: Config, tmp_path: Path) -> None:
    c.JupyterHub.internal_ssl = True
    with pytest.raises(ValueError, match=r"JupyterHub.internal_ssl is set, but the service binder speaks plain http"):
        configure(c, state_dir=tmp_path)
    late = "from spawner import configure\nconfigure(c, state_dir='state', as_root=True)\nc.JupyterHub.internal_ssl = True\n"
    (tmp_path / "late.py").write_text(late)
    command = [*JUPYTERHUB, "-f", "late.py"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode != 0
    assert "JupyterHub.internal_ssl is set, but" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_what_the_operator_set_before_stays(c: Config, tmp_path: Path) -> None:
    c.JupyterHub.services = [{"name": "mine"}]
    c.JupyterHub.load_roles = [{"name": "readers", "scopes": ["read:users"]}, {"name": "user", "scopes": ["self", "read:users"]}]
    c.JupyterHub.custom_scopes = {"custom:mine:use": {"description": "mine"}}
    c.Spawner.default_url = "/tree"
    c.Spawner.start_timeout = 60
    configure(c, state_dir=tmp_path)
    assert [spec["name"] for spec in c.JupyterHub.services] == ["mine", "binder"]
    assert [role["name"] for role in c.JupyterHub.load_roles] == ["readers", "user", "binder-reads-accounts"]
    assert user_scopes_of(c) == ["self", "read:users", *USER_SCOPES]
    assert set(c.JupyterHub.custom_scopes) > {"custom:mine:use"}
    assert c.Spawner.default_url == "/tree"
    assert c.Spawner.start_timeout == 60


def test_what_the_operator_adds_lazily_before_and_after_stays(c: Config, tmp_path: Path) -> None:
    c.JupyterHub.services.append({"name": "before"})
    c.JupyterHub.load_roles.append({"name": "user", "scopes": ["self", "read:users"]})
    configure(c, state_dir=tmp_path)
    c.JupyterHub.services.append({"name": "after"})
    c.JupyterHub.load_roles.append({"name": "later", "scopes": []})
    assert [spec["name"] for spec in value(c.JupyterHub.services, [])] == ["before", "binder", "after"]
    assert user_scopes_of(c) == ["self", "read:users", *USER_SCOPES]
    assert [role["name"] for role in value(c.JupyterHub.load_roles, [])] == ["user", "binder-reads-accounts", "later"]


@pytest.mark.parametrize("more", [{}, {"service_url": "http://binder:1", "service_token": "t"}])
def test_the_service_may_count_servers_since_an_administrator_may_bound_them_at_any_time(c: Config, tmp_path: Path, more: dict[str, Any]) -> None:
    configure(c, state_dir=tmp_path, **more)
    assert scopes_of_service(c) == [["read:users", "list:users", "read:servers"]]


def test_a_user_role_without_scopes_keeps_the_default_one(c: Config, tmp_path: Path) -> None:
    c.JupyterHub.load_roles = [{"name": "user", "description": "People"}]
    configure(c, state_dir=tmp_path)
    assert c.JupyterHub.load_roles == [{"name": "user", "description": "People", "scopes": ["self", *USER_SCOPES]}, SERVICE_ROLE]


def test_extra_user_scopes_are_extended_where_the_operator_uses_them(c: Config, tmp_path: Path) -> None:
    c.JupyterHub.extra_user_scopes = ["read:users"]
    configure(c, state_dir=tmp_path)
    assert c.JupyterHub.extra_user_scopes == ["read:users", *USER_SCOPES]
    assert value(c.JupyterHub.load_roles, []) == [SERVICE_ROLE]


@pytest.mark.parametrize(
    ("trait", "setting", "prefix"),
    [("base_url", "/jupyter", "/jupyter/"), ("base_url", "/a/b/", "/a/b/"), ("bind_url", "http://:8000/j", "/j/"), ("bind_url", "http://:8000", "/")],
)
def test_the_spawner_knows_the_service_below_the_hubs_base_url(c: Config, tmp_path: Path, trait: str, setting: str, prefix: str) -> None:
    c.JupyterHub[trait] = setting
    configure(c, state_dir=tmp_path, service_port=9003)
    assert c.RepoSpawner.binder_url == f"http://127.0.0.1:9003{prefix}services/binder/"


def test_the_operators_settings_of_the_service_win(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path, service={"BinderService": {"mode": "other", "log_level": "DEBUG"}, "GitProvider": {"timeout_seconds": 3}})
    assert json.loads(service_of(c)["environment"]["BINDERHUB_SERVICE_CONFIG"]) == {
        "BinderService": {"hub_pid": os.getpid(), "state_dir": str(tmp_path), "mode": "other", "log_level": "DEBUG"},
        "GitProvider": {"timeout_seconds": 3},
    }


def test_the_service_learns_how_to_reach_the_outside_but_no_secrets(c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reaching = ("https_proxy", "UV_INDEX", "SSL_CERT_FILE", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT")
    for name in (*reaching, "SSH_AUTH_SOCK", "GITHUB_TOKEN"):
        monkeypatch.setenv(name, "something")
    configure(c, state_dir=tmp_path)
    environment = service_of(c)["environment"]
    assert {*reaching} <= set(environment)
    assert not {"SSH_AUTH_SOCK", "GITHUB_TOKEN"} & set(environment)


def test_a_relative_state_directory_does_not_move_with_the_service(c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    configure(c, state_dir="state")
    assert c.ProcessSpawner.users_dir == str(tmp_path / "state/people")


def test_kubernetes_mode_has_servers_in_pods_and_a_service_that_builds_in_pods(c: Config, tmp_path: Path) -> None:
    more = {"KubernetesMode": {"builder_image": "builder:1", "namespace": "mine"}, "Limits": {"running": 4}}
    configure(c, state_dir=tmp_path, mode="kubernetes", registry="ghcr.io/me", namespace="builds", service=more)
    assert issubclass(c.JupyterHub.spawner_class, LocalProcessSpawner)
    assert issubclass(c.JupyterHub.spawner_class.repo_class, KubeSpawner)
    assert json.loads(service_of(c)["environment"]["BINDERHUB_SERVICE_CONFIG"]) == {
        "BinderService": {"hub_pid": os.getpid(), "state_dir": str(tmp_path), "mode": "kubernetes"},
        "KubernetesMode": {"registry": "ghcr.io/me", "builder_image": "builder:1", "namespace": "mine"},
        "Limits": {"running": 4},
    }
    assert not {"ProcessSpawner", "DockerSpawner"} & set(c)


def test_the_service_builds_in_its_own_namespace_unless_another_is_named(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path, mode="kubernetes", registry="ghcr.io/me")
    settings = json.loads(service_of(c)["environment"]["BINDERHUB_SERVICE_CONFIG"])
    assert settings["KubernetesMode"] == {"registry": "ghcr.io/me"}


def test_the_service_listens_where_pods_of_others_reach_it(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path, mode="kubernetes", registry="ghcr.io/me", service_ip="127.0.0.2", service_port=8585)
    assert service_of(c)["url"] == "http://127.0.0.2:8585"
    assert c.RepoSpawner.binder_url == "http://127.0.0.2:8585/services/binder/"


def test_a_service_that_something_else_starts_is_only_known_by_address_and_token(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path, mode="kubernetes", registry="ghcr.io/me", service_url="http://binder:8585/", service_token="t")
    assert service_of(c).items() >= {"url": "http://binder:8585", "api_token": "t"}.items()
    assert not {"command", "environment"} & set(service_of(c))
    assert c.RepoSpawner.binder_url == "http://binder:8585/services/binder/"


REGISTRIES = {"DOCKER_CONFIG", "DOCKER_HOST", "CONTAINER_ENGINE_REGISTRY_CREDENTIALS", "AWS_ROLE_ARN", "AZURE_CLIENT_ID", "HOME"}


@pytest.mark.parametrize(
    ("mode", "more", "passed_on"),
    [
        ("embedded", {}, set()),
        ("docker", {}, {*REGISTRIES, "BUILDX_BUILDER"}),
        ("kubernetes", {"registry": "ghcr.io/me"}, {*REGISTRIES, "KUBERNETES_SERVICE_HOST", "KUBECONFIG"}),
    ],
)
def test_each_mode_passes_on_how_to_reach_what_it_needs(
    c: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, more: dict[str, str], passed_on: set[str]
) -> None:
    monkeypatch.setattr(setup, "set_up", lambda *_, **__: None)
    some_mode_knows = REGISTRIES | {"BUILDX_BUILDER", "KUBERNETES_SERVICE_HOST", "KUBECONFIG"}
    for name in (*some_mode_knows, "UV_INDEX", "JUPYTERHUB_API_TOKEN", "HUB_SERVICE_HOST"):
        monkeypatch.setenv(name, "something")
    configure(c, state_dir=tmp_path, mode=mode, **more)
    environment = set(service_of(c)["environment"])
    assert environment & some_mode_knows == passed_on
    assert "UV_INDEX" in environment
    assert not {"JUPYTERHUB_API_TOKEN", "HUB_SERVICE_HOST"} & environment


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"registry": "127.0.0.1:5000"}, "set mode to 'docker'"),
        ({"network": "servers"}, "set mode to 'docker'"),
        ({"namespace": "builds"}, "a namespace for mode 'kubernetes'"),
        ({"mode": "docker", "namespace": "builds"}, "a namespace for mode 'kubernetes'"),
        ({"mode": "kubernetes", "registry": "ghcr.io/me", "network": "servers"}, "A network is for mode 'docker'"),
        ({"mode": "kubernetes"}, "Kubernetes mode needs a registry"),
    ],
)
def test_what_does_not_fit_the_mode_is_refused_before_anything_is_set(c: Config, tmp_path: Path, arguments: dict[str, str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        configure(c, state_dir=tmp_path, **arguments)
    assert c == Config()


def test_an_unknown_mode_is_refused_with_the_modes_there_are(c: Config, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=re.escape("'kubernets'; the modes are: embedded")):
        configure(c, state_dir=tmp_path, mode="kubernets")
    assert "spawner_class" not in c.JupyterHub


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({}, "configure() cannot be called so: missing a required argument: 'state_dir'. It takes: state_dir, mode, registry, "),
        ({"state_dir": "s", "moode": "docker"}, "configure() cannot be called so: got an unexpected keyword argument 'moode'. It takes: state_dir, "),
        ({"state_dir": None}, "configure(state_dir=None): the value has to be str | Path."),
        ({"state_dir": "s", "mode": ["docker"]}, "configure(mode=['docker']): the value has to be str."),
        ({"state_dir": "s", "service_port": "8003"}, "configure(service_port='8003'): the value has to be int | None."),
        ({"state_dir": "s", "service_port": True}, "configure(service_port=True): the value has to be int | None."),
        ({"state_dir": "s", "public": "no"}, "configure(public='no'): the value has to be bool."),
        ({"state_dir": "s", "service": ["x"]}, "configure(service=['x']): the value has to be mapping[str, mapping[str, Any]] | None."),
        ({"state_dir": "s", "service": {"Limits": 3}}, "configure(service={'Limits': 3}): name settings by class, "),
        ({"state_dir": " "}, "configure(state_dir=' '): name the directory for what the service keeps, "),
        ({"state_dir": "s", "service_port": 99999}, "configure(service_port=99999): a port is a number from 1 to 65535."),
        ({"state_dir": "s", "service_ip": ""}, "configure(service_ip=''): the service cannot listen there: "),
        ({"state_dir": "s", "service_ip": "a\0b"}, "the service cannot listen there: host name must not contain null character."),
        ({"state_dir": "s", "service_ip": "203.0.113.1"}, "configure(service_ip='203.0.113.1'): the service cannot listen there: "),
        ({"state_dir": "s", "service_url": "binder:8585"}, "configure(service_url='binder:8585'): give the address at which the hub reaches "),
        ({"state_dir": "s", "service_url": "http://[x", "service_token": "t"}, "configure(service_url='http://[x'): give the address "),
        ({"state_dir": "s", "service_url": "http://binder:8585"}, "A service at service_url needs the API token that it comes with"),
    ],
)
def test_arguments_that_the_call_does_not_take_are_said_in_a_sentence(c: Config, arguments: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        configure(c, **arguments)
    assert c == Config()


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("services", None, "c.JupyterHub.services has to be a list of dicts."),
        ("services", ["mine"], "c.JupyterHub.services has to be a list of dicts."),
        ("load_roles", {"name": "user"}, "c.JupyterHub.load_roles has to be a list of dicts."),
        ("custom_scopes", ["custom:mine:use"], "c.JupyterHub.custom_scopes has to be a dict."),
        ("bind_url", "http://[bad", "c.JupyterHub.bind_url is no URL: "),
    ],
)
def test_settings_of_the_hub_that_cannot_be_added_to_are_said_in_a_sentence(c: Config, setting: str, value: Any, sentence: str) -> None:
    c.JupyterHub[setting] = value
    with pytest.raises(ValueError, match=re.escape(sentence)):
        configure(c, state_dir="s")


def test_what_the_hub_and_the_service_take_is_taken(c: Config, tmp_path: Path) -> None:
    c.JupyterHub.services = ({"name": "mine"},)
    configure(c, state_dir=tmp_path, service_ip="::1", service={"BinderService": {"template_paths": [tmp_path]}})
    assert [service["name"] for service in c.JupyterHub.services] == ["mine", "binder"]
    assert c.JupyterHub.services[1]["url"].startswith("http://[::1]:")
    told = json.loads(c.JupyterHub.services[1]["environment"]["BINDERHUB_SERVICE_CONFIG"])
    assert told["BinderService"]["template_paths"] == [str(tmp_path)]
    with pytest.raises(ValueError, match="the settings have to be what JSON has"):
        configure(Config(), state_dir=tmp_path, service={"Limits": {"running": {1}}})


def test_a_hub_that_is_configured_wrongly_ends_with_the_sentence_alone(tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text("from spawner import configure\nconfigure(c, state_dir='state', mode='dcoker')\n")
    done = subprocess.run([*JUPYTERHUB, "-f", str(file)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert line.endswith("There is no mode 'dcoker'; the modes are: embedded, docker, kubernetes.")


def test_a_second_call_is_refused(c: Config, tmp_path: Path) -> None:
    configure(c, state_dir=tmp_path)
    with pytest.raises(ValueError, match="named 'binder' already"):
        configure(c, state_dir=tmp_path)


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BareHub]:
    with running(tmp_path_factory.mktemp("hub"), CONFIG) as hub:
        yield hub


def mint(hub: BareHub, user: str, scopes: list[str] | None = None) -> httpx.Response:
    asked = {"note": "test", **({"scopes": scopes} if scopes else {})}
    return httpx.post(f"{hub.url}/hub/api/users/{user}/tokens", json=asked, headers={"Authorization": f"token {ADMIN_TOKEN}"})


def whoami(hub: BareHub, token: str) -> dict[str, Any]:
    model: dict[str, Any] = httpx.get(f"{hub.url}/hub/api/user", headers={"Authorization": f"token {token}"}).raise_for_status().json()
    return model


@pytest.mark.parametrize("user", ["ada", "grace"])
def test_the_hub_gives_every_user_the_right_to_use_the_service(hub: BareHub, user: str) -> None:
    scopes = set(whoami(hub, mint(hub, user).json()["token"])["scopes"])
    assert "custom:binder:build" in scopes
    assert {"access:services!service=binder", "access:services"} & scopes
    assert any(scope.startswith("servers") for scope in scopes), "the role must keep what every user may"
    assert not {"custom:binder:read", "custom:binder:cancel"} & scopes


def test_a_token_for_the_service_alone_can_be_had(hub: BareHub) -> None:
    made = mint(hub, "ada", list(USER_SCOPES))
    assert made.status_code == 201
    scopes = set(whoami(hub, made.json()["token"])["scopes"])
    assert {"access:services!service=binder", "custom:binder:build"} <= scopes
    assert all(scope.startswith("read:users") for scope in scopes - set(USER_SCOPES)), "only who it is"


def test_a_user_cannot_get_what_only_some_have(hub: BareHub) -> None:
    assert mint(hub, "ada", ["custom:binder:read"]).status_code == 400


def test_the_hub_tells_the_service_who_is_an_admin_by_the_narrowest_token(hub: BareHub) -> None:
    assert whoami(hub, mint(hub, "grace", list(USER_SCOPES)).json()["token"])["admin"] is True
    assert whoami(hub, mint(hub, "ada", list(USER_SCOPES)).json()["token"])["admin"] is False


def test_the_services_own_token_may_read_accounts_and_servers_and_change_nothing(hub: BareHub) -> None:
    headers = {"Authorization": f"token {SERVICE_TOKEN}"}
    assert whoami(hub, SERVICE_TOKEN)["name"] == "binder"
    assert all(scope.startswith(("read:users", "list:users", "read:servers")) for scope in whoami(hub, SERVICE_TOKEN)["scopes"])
    ada = httpx.get(f"{hub.url}/hub/api/users/ada", headers=headers).raise_for_status().json()
    assert ada["created"]
    assert httpx.post(f"{hub.url}/hub/api/users/ada/server", headers=headers).status_code in {403, 404}


async def test_the_service_tells_accounts_by_its_role_and_without_one_by_names(hub: BareHub, caplog: pytest.LogCaptureFixture) -> None:
    async def note(former: Account, account: Account) -> None:
        raise AssertionError("nobody was renamed")

    with_role, without = (HubAccounts(f"{hub.url}/hub/api", token, note) for token in (SERVICE_TOKEN, ROLELESS_TOKEN))
    assert (await with_role.of("of-ada", "ada")).created
    assert "read:users" not in caplog.text
    assert await without.of("of-ada", "ada") == Account("ada")
    assert "read:users" in caplog.text


@pytest.mark.parametrize("user", ["ada", "grace"])
def test_signing_in_at_the_services_pages_asks_nothing_and_gives_what_they_need(hub: BareHub, user: str) -> None:
    with hub.browser() as browser:
        page = browser.get("/hub/login")
        xsrf = re.search(r'name="_xsrf" value="([^"]*)"', page.text)
        assert xsrf
        browser.post("/hub/login", data={"username": user, "password": "any", "_xsrf": xsrf[1]})
        callback = "/services/binder/oauth_callback"
        asked = {"client_id": "service-binder", "response_type": "code", "redirect_uri": callback, "state": "x"}
        reply = browser.get("/hub/api/oauth2/authorize", params=asked)
        assert reply.status_code == 302, "without a page that asks for confirmation"
        code = parse_qs(urlsplit(reply.headers["Location"]).query)["code"][0]
    form = {"client_id": "service-binder", "client_secret": SERVICE_TOKEN, "grant_type": "authorization_code", "code": code, "redirect_uri": callback}
    token = httpx.post(f"{hub.url}/hub/api/oauth2/token", data=form).raise_for_status().json()["access_token"]
    model = whoami(hub, token)
    assert {"access:services!service=binder", "custom:binder:build", f"servers!user={user}"} <= set(model["scopes"])
    assert not any(scope.startswith(("admin:", "tokens", "access:servers")) for scope in model["scopes"])
    assert ("admin-ui" in model["scopes"]) is (user == "grace")
    started = httpx.post(f"{hub.url}/hub/api/users/{user}/servers/one", headers={"Authorization": f"token {token}"})
    assert started.status_code == 202
    other = "grace" if user == "ada" else "ada"
    assert httpx.post(f"{hub.url}/hub/api/users/{other}/server", headers={"Authorization": f"token {token}"}).status_code in {403, 404}


def test_a_spawner_class_that_is_set_after_the_call_is_composed_as_well(hub: BareHub) -> None:
    assert "Using Spawner: spawner.composed.ComposedSimpleLocalProcessSpawner" in hub.log()


def test_the_scopes_of_the_pages_are_asked_from_the_hub_as_they_are(hub: BareHub) -> None:
    assert set(USER_SCOPES) <= set(PAGE_SCOPES)
    assert "No such scopes" not in hub.log()
    assert "user role overridden" not in hub.log()
