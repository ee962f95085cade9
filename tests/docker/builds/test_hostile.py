"""Repositories that mean harm: to the machine that builds, to the engine, to the log."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.docker.builds.docker_builds import DOCKERFILE, SINGLEUSER, DockerBuilds, docker, inspect, runs_of
from tests.harness.git_server import Repository

New = Callable[..., Repository]


def commit_link(repository: Repository, path: str, target: str) -> str:
    """Commit a symbolic link on top of main; return the commit."""
    stream = f"commit refs/heads/main\ncommitter A <a@b> 1700009999 +0000\ndata 4\nlink\nfrom {repository.rev('main')}\n"
    stream += f"M 120000 inline {path}\ndata {len(target)}\n{target}\n"
    subprocess.run(["git", "fast-import", "--quiet", "--force"], cwd=repository.directory, input=stream.encode(), check=True)
    return repository.rev("main")


async def test_a_configuration_of_repo2docker_in_the_repository_is_not_run(docker_builds: DockerBuilds, new_repository: New, tmp_path: Path) -> None:
    mark = tmp_path / "harm"
    code = f"open({str(mark)!r}, 'w').write('harm')\n"
    files = {"repo2docker_config.py": code, "repo2docker.py": code, "traitlets.py": code, "sitecustomize.py": code, "docker.py": code}
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": SINGLEUSER, **files})
    made = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image, made.error
    assert not mark.exists()


@pytest.mark.parametrize("name", ["Dockerfile", "requirements.txt", "apt.txt", "environment.yml", "runtime.txt", ".dockerignore"])
async def test_a_link_to_a_file_of_the_machine_is_refused(stand_in_builds: DockerBuilds, new_repository: New, name: str) -> None:
    repository = new_repository({"README.md": ""})
    made = await stand_in_builds.build(repository.url, commit_link(repository, name, "/etc/passwd"), registry="")
    assert made.error
    assert made.error["code"] == "environment_invalid"
    assert f"{name} leads out of the repository" in made.error["message"]
    assert "root:" not in made.text
    assert not runs_of(stand_in_builds.repo2docker)


async def test_a_folder_that_leads_out_is_refused(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"README.md": ""})
    made = await stand_in_builds.build(repository.url, commit_link(repository, "binder", "/etc"), registry="")
    assert made.error
    assert made.error["code"] == "environment_invalid"


async def test_links_in_the_content_stay_links_in_the_image(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"requirements.txt": ""})
    made = await stand_in_builds.build(repository.url, commit_link(repository, "notes", "/etc/shadow"), registry="")
    assert made.image, made.error
    assert docker("run", "--rm", made.image.name, "readlink", "/home/jovyan/notes") == "/etc/shadow"


async def test_file_names_are_only_names(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    names = ["--privileged", "-v", "$(touch x)", "a b", "é", "`id`", "{foo}"]
    repository = new_repository({"requirements.txt": "", **{f"data/{name}": "x" for name in names}})
    made = await stand_in_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image, made.error
    listed = docker("run", "--rm", made.image.name, "ls", "-1", "/home/jovyan/data").splitlines()
    assert sorted(listed) == sorted(names)


async def test_an_address_is_no_option_and_no_instruction(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    """The canonical address comes from a provider; a builder does not rely on that."""
    repository = new_repository({"postBuild": ""})
    images, builder = stand_in_builds.make(registry="")
    build = stand_in_builds.ask(images, repository.url, repository.rev("main"))
    hostile = '--push x"\nRUN touch /harm $HOME'
    made = await stand_in_builds.follow(images, builder, replace(build, source=replace(build.source, repo=hostile, ref="--privileged")))
    assert made.image, made.error
    assert inspect(made.image.name)["Config"]["Labels"]["binder.repository"] == "--push x__RUN touch /harm _HOME"


async def test_what_is_built_may_not_reach_the_engine_or_have_rights(docker_builds: DockerBuilds, new_repository: New) -> None:
    look = "RUN test ! -e /var/run/docker.sock && test ! -e /run/docker.sock && ! mount -t tmpfs none /mnt 2>/dev/null\n"
    repository = new_repository({"Dockerfile": DOCKERFILE + look, "single": SINGLEUSER})
    made = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image, made.error


async def test_the_question_to_a_new_image_has_no_network_and_no_rights_over_the_machine(docker_builds: DockerBuilds, new_repository: New) -> None:
    """The server program of the image says what it can see."""
    sees_nothing = "test $(grep -c : /proc/net/dev) = 1 && test ! -e /var/run/docker.sock"
    program = f"#!/bin/sh\n{sees_nothing} && ! mount -t tmpfs none /mnt 2>/dev/null && echo 9.9.9 harmless\n"
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": program})
    made = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image, made.error
    assert "jupyterhub-singleuser 9.9.9 harmless" in made.log


async def test_the_first_start_of_an_image_has_no_more_rights_than_a_server_and_no_network(docker_builds: DockerBuilds, new_repository: New) -> None:
    look = "#!/bin/sh\necho 9.9.9 $(grep -hE 'CapEff|NoNewPrivs' /proc/self/status) $(ls /sys/class/net)\n"
    repository = new_repository({"Dockerfile": DOCKERFILE, "single": look})
    made = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image, made.error
    assert "jupyterhub-singleuser 9.9.9 CapEff: 0000000000000000 NoNewPrivs: 1 lo" in made.log
