"""Everything that can go wrong on the way to an image, made to happen: each has its code, a sentence and a hint."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.errors import Unavailable
from tests.docker.builds.docker_builds import DOCKERFILE, SINGLEUSER, DockerBuilds, Made, docker
from tests.harness.git_server import Repository
from tests.harness.registries import OwnRegistry
from tests.harness.small_image import SMALL_IMAGE

New = Callable[..., Repository]
SECRET = "hunter2-very-secret"


async def failing(docker_builds: DockerBuilds, new_repository: New, dockerfile: str, **settings: Any) -> dict[str, Any]:
    """Return the error that building a Dockerfile ends with."""
    repository = new_repository({"Dockerfile": dockerfile, "single": SINGLEUSER})
    made = await docker_builds.build(repository.url, repository.rev("main"), **settings)
    assert made.image is None
    assert made.error
    assert made.error["message"].endswith(".")
    assert made.error["hint"]
    return made.error


async def test_a_failing_instruction_is_named(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE + "RUN echo one && exit 7\n")
    assert error["code"] == "dockerfile_step_failed"
    assert "RUN echo one && exit 7" in error["message"]
    assert "exit status 7" in error["message"]


async def test_a_failing_instruction_is_named_by_an_old_repo2docker(docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE + "RUN echo one && exit 7\n", repo2docker=repo2docker_2024)
    assert error["code"] == "dockerfile_step_failed"
    assert "echo one && exit 7" in error["message"]


async def test_a_file_that_is_to_be_copied_and_is_not_there_is_named(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE + "COPY nothing /there\n")
    assert error["code"] == "dockerfile_step_failed"
    assert "COPY nothing /there" in error["message"]


async def test_a_dockerfile_that_is_none_names_the_line(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, f"FROM {SMALL_IMAGE}\nPLEASE install jupyter\n")
    assert error["code"] == "dockerfile_invalid"
    assert "unknown instruction: PLEASE" in error["message"]


async def test_an_empty_dockerfile_is_invalid(docker_builds: DockerBuilds, new_repository: New) -> None:
    assert (await failing(docker_builds, new_repository, ""))["code"] == "dockerfile_invalid"


async def test_a_base_image_that_is_not_there_is_named(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, f"FROM {docker_builds.registry}/nobody/nothing:1\n")
    assert error["code"] == "base_image_pull_failed"
    assert f"{docker_builds.registry}/nobody/nothing:1" in error["message"]


async def test_a_base_image_that_is_not_there_is_found_out_by_an_old_repo2docker(
    docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New
) -> None:
    error = await failing(docker_builds, new_repository, f"FROM {docker_builds.registry}/nobody/nothing:1\n", repo2docker=repo2docker_2024)
    assert error["code"] == "base_image_pull_failed"


async def test_an_image_without_a_singleuser_server_is_none(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, f"FROM {SMALL_IMAGE}\n")
    assert error["code"] == "no_singleuser"
    assert "jupyterhub-singleuser is not there" in error["message"]
    assert "pip install jupyterhub" in error["hint"]


async def test_a_singleuser_server_that_breaks_is_none(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE + "RUN printf '#!/bin/sh\\nexit 3\\n' > /usr/local/bin/jupyterhub-singleuser\n")
    assert error["code"] == "no_singleuser"
    assert "does not work" in error["message"]


async def test_too_little_memory_is_said(docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New) -> None:
    dockerfile = DOCKERFILE + "RUN tail /dev/zero\n"
    error = await failing(docker_builds, new_repository, dockerfile, repo2docker=repo2docker_2024, memory_limit_bytes=64 * 1024 * 1024)
    assert error["code"] == "out_of_memory"


async def test_a_full_disk_in_the_engine_is_said(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE + "RUN cat /etc/passwd > /dev/full\n")
    assert error["code"] == "disk_full"


async def test_an_engine_that_is_not_there_is_said_before_a_build_begins(docker_builds: DockerBuilds, new_repository: New) -> None:
    _, builder = docker_builds.make(engine_host="unix:///nowhere/docker.sock")
    with pytest.raises(Unavailable) as caught:
        await builder.check()
    assert caught.value.code == "engine_unavailable"
    assert "unix:///nowhere/docker.sock" in caught.value.message


async def test_an_engine_that_is_gone_meanwhile_ends_the_build(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE, engine_host="unix:///nowhere/docker.sock")
    assert error["code"] == "engine_unavailable"


async def test_a_repo2docker_that_is_not_there_is_said(docker_builds: DockerBuilds, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE, repo2docker="/nowhere/repo2docker")
    assert error["code"] == "repo2docker_unavailable"


# --- registries --------------------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[OwnRegistry]:
    with OwnRegistry(tmp_path / "registry", login=("hub", SECRET)).running() as registry:
        yield registry


def login_to(registry: OwnRegistry, password: str = SECRET) -> list[dict[str, str]]:
    return [{"registry": registry.host, "username": "hub", "password": password}]


async def test_a_login_from_the_settings_opens_the_registry(docker_builds: DockerBuilds, guarded: OwnRegistry, new_repository: New) -> None:
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": SINGLEUSER})
    made = await docker_builds.build(repository.url, repository.rev("main"), registry=guarded.host, registry_credentials=login_to(guarded))
    assert made.image, made.error
    assert made.image.digest


async def test_a_login_from_the_environment_opens_the_registry(
    docker_builds: DockerBuilds, guarded: OwnRegistry, new_repository: New, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTAINER_ENGINE_REGISTRY_CREDENTIALS", json.dumps(login_to(guarded)[0]))
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": SINGLEUSER})
    made = await docker_builds.build(repository.url, repository.rev("main"), registry=guarded.host)
    assert made.image, made.error


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnRegistry]:
    """Give a registry whose login only Docker's credential store knows."""
    config, programs = tmp_path / "docker-config", tmp_path / "programs"
    for folder in (config, programs):
        folder.mkdir()
    (config / "cli-plugins").symlink_to(Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "cli-plugins")
    (config / "config.json").write_text(json.dumps({"credsStore": "test"}))
    monkeypatch.setenv("DOCKER_CONFIG", str(config))
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    with OwnRegistry(tmp_path / "stores", login=("stored", SECRET)).running() as registry:
        known = json.dumps({"ServerURL": registry.host, "Username": "stored", "Secret": SECRET})
        program = programs / "docker-credential-test"
        program.write_text(
            '#!/bin/sh\n[ "$1" = list ] && { echo \'' + json.dumps({registry.host: "stored"}) + "'; exit; }\nread where\n"
            f"[ \"$1 $where\" = 'get {registry.host}' ] && {{ echo '{known}'; exit; }}\n"
            "echo 'credentials not found in native keychain'; exit 1\n"
        )
        program.chmod(0o755)
        yield registry


@pytest.mark.parametrize(
    ("version", "arguments"),
    [("repo2docker", []), ("repo2docker_2024", []), ("repo2docker_2024", ["--label=by=repo2docker"])],
    ids=["buildx", "classic", "library"],
)
async def test_base_images_are_pulled_with_the_settings_logins_and_those_of_dockers_store(
    docker_builds: DockerBuilds,
    guarded: OwnRegistry,
    store: OwnRegistry,
    new_repository: New,
    request: pytest.FixtureRequest,
    version: str,
    arguments: list[str],
) -> None:
    """By Docker's own program, and by repo2docker itself, which the operator gives arguments."""
    for registry, name in ((guarded, "hub"), (store, "stored")):
        registry.push(SMALL_IMAGE, "base:1", (name, SECRET))
    dockerfile = f"FROM {store.host}/base:1 AS other\n{DOCKERFILE.replace(SMALL_IMAGE, f'{guarded.host}/base:1')}COPY --from=other /etc/hostname /\n"
    repository = new_repository({"Dockerfile": dockerfile, "single": SINGLEUSER})
    settings: dict[str, Any] = {"registry": "", "registry_credentials": login_to(guarded), "repo2docker": request.getfixturevalue(version)}
    made = await docker_builds.build(repository.url, repository.rev("main"), repo2docker_arguments=arguments, **settings)
    assert made.image, made.error


async def test_a_wrong_login_is_said_by_the_store_and_by_the_build(docker_builds: DockerBuilds, guarded: OwnRegistry, new_repository: New) -> None:
    wrong = login_to(guarded, "wrong")
    error = await failing(docker_builds, new_repository, DOCKERFILE, registry=guarded.host, registry_credentials=wrong)
    assert error["code"] == "registry_login_failed"
    images, _ = docker_builds.make(registry=guarded.host, registry_credentials=wrong)
    with pytest.raises(Unavailable) as caught:
        await images.exists(f"{guarded.host}/{docker_builds.prefix}x:1")
    assert caught.value.code == "registry_login_failed"
    assert guarded.host not in docker("image", "ls"), "what was not pushed is not kept either"


async def test_no_login_where_one_is_needed_is_said(docker_builds: DockerBuilds, guarded: OwnRegistry, new_repository: New) -> None:
    error = await failing(docker_builds, new_repository, DOCKERFILE, registry=guarded.host)
    assert error["code"] == "registry_login_failed"


async def test_a_push_that_is_not_allowed_is_said_before_anything_is_built(docker_builds: DockerBuilds, tmp_path: Path, new_repository: New) -> None:
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": SINGLEUSER})
    with OwnRegistry(tmp_path / "registry", denies_push=True).running() as registry:
        made = await docker_builds.build(repository.url, repository.rev("main"), registry=registry.host)
    assert made.error
    assert made.error["code"] == "push_denied"
    assert made.error["hint"]
    assert not made.phases
    assert not list((docker_builds.root / "builds").glob("*"))


async def test_a_registry_that_is_away_is_never_an_image_that_is_not_there(docker_builds: DockerBuilds, new_repository: New) -> None:
    images, _ = docker_builds.make(registry="127.0.0.1:9")
    with pytest.raises(Unavailable) as caught:
        await images.exists(f"127.0.0.1:9/{docker_builds.prefix}x:1")
    assert caught.value.code == "registry_unavailable"
    error = await failing(docker_builds, new_repository, DOCKERFILE, registry="127.0.0.1:9")
    assert error["code"] == "registry_unavailable"


async def test_a_registry_that_does_not_delete_says_so(docker_builds: DockerBuilds, tmp_path: Path, new_repository: New) -> None:
    with OwnRegistry(tmp_path / "registry", deletes=False).running() as registry:
        repository = new_repository({"Dockerfile": DOCKERFILE, "single": SINGLEUSER})
        made = await docker_builds.build(repository.url, repository.rev("main"), registry=registry.host)
        assert made.image, made.error
        images, _ = docker_builds.make(registry=registry.host)
        with pytest.raises(Exception, match="does not delete images") as caught:
            await images.delete(made.image.name)
        assert caught.value.code == "registry_cannot_delete"  # type: ignore[attr-defined]


# --- secrets -----------------------------------------------------------------------------------------------------------


async def test_a_password_is_nowhere_but_in_its_file(
    docker_builds: DockerBuilds, guarded: OwnRegistry, new_repository: New, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """Looks through log, image, history, state directory and, again and again while it builds, the process list."""
    look = f"while :; do cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' ' | grep -c '{SECRET[:7]}[-]'; sleep 0.02; done"
    with (tmp_path / "seen").open("w") as seen:
        watcher = subprocess.Popen(["sh", "-c", look], stdout=seen)
    repository = new_repository({"Dockerfile": DOCKERFILE + "RUN sleep 1\n", "single": SINGLEUSER})
    try:
        made: Made = await docker_builds.build(repository.url, repository.rev("main"), registry=guarded.host, registry_credentials=login_to(guarded))
    finally:
        watcher.kill()
        watcher.wait()
    assert made.image, made.error
    counts = (tmp_path / "seen").read_text().split()
    assert len(counts) > 5
    assert set(counts) == {"0"}
    assert SECRET not in made.text + caplog.text
    assert SECRET not in docker("image", "inspect", made.image.name) + docker("image", "history", "--no-trunc", made.image.name)
    files = [path for path in docker_builds.root.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
    assert files == [docker_builds.root / "registry-logins.json"]
    assert files[0].stat().st_mode & 0o777 == 0o600
