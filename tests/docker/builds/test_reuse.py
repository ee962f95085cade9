"""One environment for many commits: built once from its own files, with each commit's content on top."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.docker.builds.docker_builds import DockerBuilds, docker, runs_of
from tests.harness.git_server import Repository

New = Callable[..., Repository]


def content_of(image: str) -> str:
    """Return the files in an image's home, with their owners."""
    return docker("run", "--rm", image, "sh", "-c", "cd /home/jovyan && find . -name .git -prune -o -type f -printf '%P %U %m\\n' | sort")


async def test_the_next_commit_takes_the_environment_as_it_is(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    docker_builds = stand_in_builds
    repository = new_repository({"requirements.txt": "slow\n", "old.ipynb": "1", "keep.txt": "k"})
    begun = time.monotonic()
    first = await docker_builds.build(repository.url, repository.rev("main"))
    assert first.image, first.error
    commit = repository.commit({"old.ipynb": None, "new.ipynb": "2", "run.sh": "#!/bin/sh\n"})
    again = time.monotonic()
    second = await docker_builds.build(repository.url, commit)
    ended = time.monotonic()
    assert second.image, second.error
    assert len(runs_of(docker_builds.repo2docker)) == 1
    assert second.image.environment == first.image.environment
    assert second.image.digest != first.image.digest
    assert ("made" in first.phases, "made" in second.phases) == (True, False), "a server is tried once, while people have the image"
    assert any("nothing to install" in line for line in second.log)
    assert ended - again < again - begun, "the environment alone takes ten seconds"
    lines = content_of(second.image.name).splitlines()
    assert "new.ipynb 1000 644" in lines
    assert "run.sh 1000 755" in lines
    assert "keep.txt 1000 644" in lines
    assert not [line for line in lines if line.startswith("old.ipynb")], "nothing of another commit"


async def test_the_environment_is_built_from_its_own_files_alone(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"binder/requirements.txt": "numpy\n", "binder/apt.txt": "git\n", "data.csv": "secret of another commit"})
    made = await stand_in_builds.build(repository.url, repository.rev("main"))
    assert made.image, made.error
    assert runs_of(stand_in_builds.repo2docker) == [["apt.txt", "binder", "requirements.txt"]]
    assert "data.csv" in content_of(made.image.name)


async def test_an_environment_that_needs_more_than_its_files_is_built_with_all(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"install.R": "scan('needed')\n", "needed": "numpy"})
    made = await stand_in_builds.build(repository.url, repository.rev("main"))
    assert made.image, made.error
    assert runs_of(stand_in_builds.repo2docker) == [["install.R"], ["install.R", "needed"]]
    assert any("building once more, with the whole repository" in line for line in made.log)


async def test_a_start_script_is_executable_on_top_as_well(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"requirements.txt": "", "start": 'exec "$@"\n'})
    made = await stand_in_builds.build(repository.url, repository.rev("main"))
    assert made.image
    assert "start 1000 755" in content_of(made.image.name)


async def test_what_depends_on_the_tree_is_built_as_a_whole(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"requirements.txt": "-e ./package\n", "package/setup.py": ""})
    made = await stand_in_builds.build(repository.url, repository.rev("main"))
    assert made.image
    assert "package" in runs_of(stand_in_builds.repo2docker)[0]
    assert any("belongs to this commit alone: requirements.txt names a local path" in line for line in made.log)


async def test_a_setting_turns_it_off(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"requirements.txt": "", "data.csv": ""})
    made = await stand_in_builds.build(repository.url, repository.rev("main"), reuse_environments=False)
    assert made.image
    assert runs_of(stand_in_builds.repo2docker) == [["data.csv", "requirements.txt"]]
    assert any("does not share environments" in line for line in made.log)


async def test_another_machine_pulls_the_environment_from_the_registry(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    docker_builds = stand_in_builds
    repository = new_repository({"requirements.txt": ""})
    await docker_builds.build(repository.url, repository.rev("main"))
    names = docker("image", "ls", "--format={{.Repository}}:{{.Tag}}").splitlines()
    docker("image", "rm", "--force", *(name for name in names if docker_builds.prefix in name))
    made = await docker_builds.build(repository.url, repository.commit({"a": "b"}))
    assert made.image, made.error
    assert len(runs_of(docker_builds.repo2docker)) == 1


async def test_a_forced_build_makes_the_environment_anew(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"requirements.txt": ""})
    await stand_in_builds.build(repository.url, repository.rev("main"))
    made = await stand_in_builds.build(repository.url, repository.rev("main"), force=True)
    assert made.image
    assert "made" not in made.phases, "it is tried before it takes the place of another one"
    assert len(runs_of(stand_in_builds.repo2docker)) == 2


async def test_no_other_build_stands_on_an_environment_from_which_no_server_starts(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({"requirements.txt": "broken\n"})
    commits = [repository.rev("main"), repository.commit({"a": "b"})]
    for commit in commits:
        made = await stand_in_builds.build(repository.url, commit)
        assert (made.error or {}).get("code") == "no_singleuser"
        assert "made" in made.phases
    assert len(runs_of(stand_in_builds.repo2docker)) == 2
    assert f"{stand_in_builds.prefix}environment" not in docker("image", "ls")


async def test_an_environment_goes_with_its_last_image(stand_in_builds: DockerBuilds, new_repository: New) -> None:
    docker_builds = stand_in_builds
    repository = new_repository({"requirements.txt": ""})
    one = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    two = await docker_builds.build(repository.url, repository.commit({"a": "b"}), registry="")
    images, _ = docker_builds.make(registry="")
    assert one.image
    assert two.image
    assert {image.name for image in await images.all()} == {one.image.name, two.image.name}
    await images.delete(one.image.name)
    assert f"{docker_builds.prefix}environment" in docker("image", "ls")
    await images.delete(two.image.name)
    assert docker_builds.prefix not in docker("image", "ls")
