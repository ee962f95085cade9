"""Who the hub is to registries: where logins are found, and that they are shown to nobody else."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.clients.credentials import VARIABLE, Credentials, Login, login_from, login_from_environment, registry_host
from binderhub_service.clients.reference import Reference
from binderhub_service.errors import Unavailable


def docker_config(folder: Path, **content: Any) -> Credentials:
    (folder / "config.json").write_text(json.dumps(content))
    return Credentials([], folder)


def entry(name: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def helper(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program ``docker-credential-test`` that knows some registries."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "docker-credential-test"
    program.write_text(
        "#!/bin/sh\nread where\n"
        'case "$1 $where" in\n'
        '  "get ecr.example") echo \'{"ServerURL": "x", "Username": "AWS", "Secret": "s3"}\';;\n'
        '  "get acr.example") echo \'{"ServerURL": "x", "Username": "<token>", "Secret": "refresh"}\';;\n'
        '  "get broken.example") echo oops >&2; exit 2;;\n'
        "  *) echo 'credentials not found in native keychain'; exit 1;;\nesac\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return tmp_path


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("ghcr.io", "ghcr.io"),
        ("https://ghcr.io", "ghcr.io"),
        ("https://index.docker.io/v1/", "docker.io"),
        ("localhost:5000", "localhost:5000"),
    ],
)
def test_a_login_that_docker_login_wrote_is_found(tmp_path: Path, written: str, asked: str) -> None:
    assert docker_config(tmp_path, auths={written: entry("me", "a:b")}).login_for(asked) == Login(asked, "me", "a:b")


def test_a_registry_without_a_login_has_none(tmp_path: Path) -> None:
    assert docker_config(tmp_path, auths={"ghcr.io": {}}).login_for("ghcr.io") is None
    assert Credentials([], tmp_path / "nowhere").login_for("ghcr.io") is None
    assert Credentials().login_for("ghcr.io") is None


def test_helpers_are_asked_for_their_registries(helper: Path) -> None:
    found = docker_config(helper, credHelpers={"ecr.example": "test", "acr.example": "test"}, auths={"other": entry("me", "x")})
    assert found.login_for("ecr.example") == Login("ecr.example", "AWS", "s3")
    assert found.login_for("acr.example") == Login("acr.example", identity_token="refresh")
    assert found.login_for("other") == Login("other", "me", "x")


def test_a_store_is_asked_for_every_registry(helper: Path) -> None:
    found = docker_config(helper, credsStore="test", auths={"ecr.example": {}, "other": entry("me", "x")})
    assert found.login_for("ecr.example") == Login("ecr.example", "AWS", "s3")
    assert found.login_for("other") == Login("other", "me", "x"), "what the store does not know may stand in the file"


@pytest.mark.parametrize("content", [{"credHelpers": {"r": "nowhere"}}, {"credHelpers": {"broken.example": "test"}}, {"auths": {"r": {"auth": "%"}}}])
def test_what_cannot_be_asked_is_not_no_login(helper: Path, content: dict[str, Any]) -> None:
    with pytest.raises(Unavailable) as caught:
        docker_config(helper, **content).login_for("broken.example" if "broken.example" in str(content) else "r")
    assert caught.value.code == "registry_credentials_unusable"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "<html>",
        "[]",
        "null",
        "[" * 100_000,
        '{"auths": 5}',
        '{"auths": {"r": 5}}',
        '{"auths": {"r": "x"}}',
        '{"auths": {"r": {"auth": 5}}}',
        '{"auths": {"r": {"auth": "/w=="}}}',
        '{"credHelpers": 5}',
        '{"credHelpers": null, "auths": null}',
        '{"credHelpers": {"r": 5}}',
        '{"credsStore": {"a": 1}}',
        '{"credHelpers": {"r": "a\\u0000b"}}',
    ],
)
def test_a_configuration_file_of_another_shape_is_said(tmp_path: Path, content: str) -> None:
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(Unavailable) as caught:
        Credentials([], tmp_path).login_for("r")
    assert caught.value.code == "registry_credentials_unusable"


def test_what_is_kept_of_logins_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    found = Credentials([], tmp_path)
    for number in range(400):
        assert found.login_for(f"r{number}.example") is None
    assert len(found._kept) <= 256


def test_given_logins_win(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"auths": {"r": entry("me", "old")}}))
    assert Credentials([Login("r", "me", "new")], tmp_path).login_for("r") == Login("r", "me", "new")


def test_the_environment_gives_a_login() -> None:
    text = json.dumps({"registry": "https://index.docker.io/v1/", "username": "me", "password": "x"})
    assert login_from_environment({VARIABLE: text}) == Login("docker.io", "me", "x")
    assert login_from_environment({}) is None


@pytest.mark.parametrize("text", ["nonsense hunter2", '{"password": "hunter2"}', '["hunter2"]'])
def test_a_wrong_environment_is_refused_without_telling_it(text: str) -> None:
    with pytest.raises(ValueError, match="must have registry, username and password") as caught:
        login_from_environment({VARIABLE: text})
    assert "hunter2" not in str(caught.value)


def test_no_secret_is_in_a_repr() -> None:
    login = login_from({"registry": "r", "username": "me", "password": "hunter2"}, "It")
    assert "hunter2" not in repr(login) + repr(Credentials([login]))
    assert "hunter2" not in repr(Login("r", identity_token="hunter2"))


def test_logins_for_build_processes_are_for_nobody_else(tmp_path: Path) -> None:
    file = tmp_path / "logins.json"
    Credentials([Login("r", "me", "x")]).write(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert Credentials.read(file, None).login_for("r") == Login("r", "me", "x")
    Credentials([]).write(file)
    assert not file.exists()


@pytest.mark.parametrize(
    ("name", "registry", "repository", "tag", "host"),
    [
        ("debian", "docker.io", "library/debian", "latest", "registry-1.docker.io"),
        ("debian:12", "docker.io", "library/debian", "12", "registry-1.docker.io"),
        ("example/image:1", "docker.io", "example/image", "1", "registry-1.docker.io"),
        ("docker.io/debian:12", "docker.io", "library/debian", "12", "registry-1.docker.io"),
        ("index.docker.io/example/image:1", "docker.io", "example/image", "1", "registry-1.docker.io"),
        ("localhost/image:1", "localhost", "image", "1", "localhost"),
        ("localhost:5000/image", "localhost:5000", "image", "latest", "localhost:5000"),
        ("[fd00::1]:5000/proj/image:tag", "[fd00::1]:5000", "proj/image", "tag", "[fd00::1]:5000"),
        ("[fd00::1]/image@sha256:1", "[fd00::1]", "image", "sha256:1", "[fd00::1]"),
        ("gcr.io/project/image:tag", "gcr.io", "project/image", "tag", "gcr.io"),
        ("registry.gitlab.com/g/s/p/image:tag", "registry.gitlab.com", "g/s/p/image", "tag", "registry.gitlab.com"),
    ],
)
def test_names_are_taken_apart_as_engines_do(name: str, registry: str, repository: str, tag: str, host: str) -> None:
    reference = Reference.parse(name)
    assert reference == Reference(registry, repository, tag)
    assert reference.host == host


def test_docker_hub_has_many_names() -> None:
    assert {registry_host(name) for name in ("docker.io", "https://index.docker.io/v1/", "index.docker.io", "registry-1.docker.io")} == {"docker.io"}
