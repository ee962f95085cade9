"""Images by repo2docker, from commits of a real Git server."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from contextlib import aclosing
from typing import Any

import httpx
import psutil
import pytest

from binderhub_service.common import labels
from binderhub_service.models import Image
from tests.docker.builds.docker_builds import DOCKERFILE, SINGLEUSER, DockerBuilds, containers, docker, inspect
from tests.harness.git_server import Repository
from tests.harness.waiting import until

New = Callable[..., Repository]
FILES = {"Dockerfile": DOCKERFILE, "single": SINGLEUSER}


async def test_a_dockerfile_becomes_an_image_in_the_registry(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository(FILES)
    made = await docker_builds.build(repository.url, repository.rev("main"))
    assert made.error is None
    assert made.image
    assert made.image.digest.startswith("sha256:")
    assert made.image.name.startswith(f"{docker_builds.registry}/{docker_builds.prefix}")
    assert made.phases == ["fetching", "building", "pushing", "made"]
    assert "The environment belongs to this commit alone: Dockerfile may copy any file." in made.log
    docker("pull", "--quiet", made.image.reference)
    assert docker("run", "--rm", made.image.reference, "jupyterhub-singleuser") == "9.9.9"


async def test_without_a_registry_the_image_stays_in_the_engine(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository(FILES)
    made = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image
    assert made.image.reference == made.image.name
    assert made.image.name.startswith(docker_builds.prefix)
    assert made.phases == ["fetching", "building", "made"]


async def test_an_old_repo2docker_builds_without_buildx(docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New) -> None:
    repository = new_repository(FILES)
    made = await docker_builds.build(repository.url, repository.rev("main"), repo2docker=repo2docker_2024, registry="")
    assert made.image
    assert "Step 1/" in made.text, "the engine's classic builder"
    assert inspect(made.image.name)["Config"]["Labels"][labels.COMMIT] == repository.rev("main")


@pytest.mark.parametrize("arguments", [[], ["--label=by=repo2docker"]], ids=["docker", "repo2docker"])
async def test_an_old_repo2docker_builds_on_as_many_processors_as_it_may(
    docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New, arguments: list[str]
) -> None:
    repository = new_repository({**FILES, "Dockerfile": DOCKERFILE + "RUN echo sees-$(nproc)-of-them\n"})
    settings: dict[str, Any] = {"repo2docker": repo2docker_2024, "registry": "", "repo2docker_arguments": arguments}
    made = await docker_builds.build(repository.url, repository.rev("main"), cpu_limit=1, **settings)
    assert made.image, made.error
    assert "sees-1-of-them" in made.log


async def test_labels_say_where_an_image_comes_from(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository(FILES)
    made = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert made.image
    written = inspect(made.image.name)["Config"]["Labels"]
    assert written[labels.REPOSITORY] == repository.url
    assert written[labels.COMMIT] == repository.rev("main")
    assert written[labels.ENVIRONMENT] == made.image.environment
    assert written[labels.BUILD]


async def test_exactly_the_commit_is_built_also_when_the_branch_moved_on(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({**FILES, "Dockerfile": DOCKERFILE + "COPY what /what\n", "what": "first"})
    first = repository.rev("main")
    repository.commit({"what": "second"})
    made = await docker_builds.build(repository.url, first, registry="")
    assert made.image
    assert docker("run", "--rm", made.image.name, "cat", "/what") == "first"


async def test_a_second_commit_finds_the_engines_layers(docker_builds: DockerBuilds, new_repository: New) -> None:
    dockerfile = "FROM debian:12\nRUN sleep 3 && echo slow layer\n" + DOCKERFILE.partition("\n")[2]
    repository = new_repository({**FILES, "Dockerfile": dockerfile})
    await docker_builds.build(repository.url, repository.rev("main"), registry="")
    made = await docker_builds.build(repository.url, repository.commit({"more": "text"}), registry="")
    assert made.image
    assert "CACHED" in made.text


async def test_settings_other_than_the_defaults_reach_the_build_and_the_name(docker_builds: DockerBuilds, new_repository: New) -> None:
    dockerfile = DOCKERFILE + "ARG NB_USER\nARG NB_UID\nARG COLOUR\nRUN echo $NB_USER $NB_UID $COLOUR > /said\n"
    repository = new_repository({**FILES, "Dockerfile": dockerfile})
    settings: dict[str, Any] = {"user_name": "ada", "user_id": 1234, "build_arguments": {"COLOUR": "blue"}, "registry": ""}
    made = await docker_builds.build(repository.url, repository.rev("main"), **settings)
    assert made.image
    assert docker("run", "--rm", made.image.name, "cat", "/said") == "ada 1234 blue"
    assert len(made.image.name.rpartition(":")[2]) == 40 + 1 + 8
    plain = await docker_builds.build(repository.url, repository.rev("main"), registry="")
    assert plain.image
    assert plain.image.name.rpartition(":")[2] == repository.rev("main")


async def test_repo2docker_is_installed_when_it_is_needed(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository(FILES)
    plain = await docker_builds.build(repository.url, repository.rev("main"), registry="", repo2docker="")
    assert plain.image, plain.error
    assert "Installing" not in plain.text, "Docker's own program builds a Dockerfile"
    needed: dict[str, Any] = {"registry": "", "repo2docker": "", "repo2docker_arguments": ["--debug"]}
    made = await docker_builds.build(repository.url, repository.rev("main"), **needed)
    assert made.image, made.error
    assert "Installing repo2docker 2026.4.0; this happens once." in made.log
    again = await docker_builds.build(repository.url, repository.rev("main"), **needed)
    assert "Installing" not in again.text


@pytest.mark.parametrize("version", ["repo2docker", "repo2docker_2024"])
async def test_a_dockerfile_becomes_the_image_that_repo2docker_would_make(
    docker_builds: DockerBuilds, new_repository: New, request: pytest.FixtureRequest, version: str
) -> None:
    dockerfile = "FROM debian:12\nARG NB_USER\nARG NB_UID\nARG COLOUR=red\nARG REPO_DIR=none\nENV SAID=$NB_USER-$NB_UID-$COLOUR-$REPO_DIR\n"
    dockerfile += "COPY . /all/\nRUN cp /all/single /usr/local/bin/jupyterhub-singleuser && chown -R $NB_UID /all\nUSER $NB_UID\n"
    files = {".binder/Dockerfile": dockerfile, "single": SINGLEUSER, "Dockerfile": "FROM nothing", "a/b": "c", ".dockerignore": "secret\n.git\n"}
    repository = new_repository({**files, "secret": "x"})
    settings: dict[str, Any] = {"registry": "", "repo2docker": request.getfixturevalue(version), "build_arguments": {"COLOUR": "blue"}}
    ours = await docker_builds.build(repository.url, repository.rev("main"), **settings)
    theirs = await docker_builds.build(repository.url, repository.rev("main"), **settings, repo2docker_arguments=["--debug"])
    assert ours.image, ours.error
    assert theirs.image, theirs.error
    assert ours.image.name != theirs.image.name
    images = [inspect(made.image.name) for made in (ours, theirs) if made.image]
    assert images[0]["Config"]["Env"][-1] == "SAID=jovyan-1000-blue-none"
    assert images[0]["RootFS"] == images[1]["RootFS"], "the same layers, from the cache"
    for image in images:
        del image["Config"]["Labels"][labels.BUILD], image["Config"]["Labels"][labels.ENVIRONMENT]
        image["Config"].pop("Image", None)  # the classic builder's trace of its last step
        image["Config"].pop("Hostname", None)
    assert images[0]["Config"] == images[1]["Config"]
    assert {key: images[0][key] for key in ("Architecture", "Os")} == {key: images[1][key] for key in ("Architecture", "Os")}
    assert "Using DockerBuildPack builder" in theirs.log
    assert "Using DockerBuildPack builder" not in ours.log


@pytest.mark.parametrize("version", ["repo2docker", "repo2docker_2024"])
async def test_steps_of_a_build_see_the_proxies_and_images_do_not_keep_them(
    docker_builds: DockerBuilds, new_repository: New, request: pytest.FixtureRequest, version: str
) -> None:
    address = "http://proxy.example.org:3128"
    repository = new_repository({**FILES, "Dockerfile": DOCKERFILE + "ARG MARK\nRUN echo said $HTTP_PROXY $https_proxy $NO_PROXY\n"})
    proxies = {"HTTP_PROXY": address, "HTTPS_PROXY": f"{address}/s", "NO_PROXY": "localhost"}
    settings: dict[str, Any] = {"registry": "", "repo2docker": request.getfixturevalue(version), "build_proxies": proxies}
    for arguments in ([], ["--debug"]):
        cold = {"build_arguments": {"MARK": secrets.token_hex(8)}}  # nothing of it is in the engine's cache
        made = await docker_builds.build(repository.url, repository.rev("main"), **settings, **cold, repo2docker_arguments=arguments)
        assert made.image, made.error
        assert f"said {address} {address}/s localhost" in made.text
        assert "proxy.example" not in docker("image", "inspect", made.image.name) + docker("image", "history", "--no-trunc", made.image.name)


async def test_a_stopped_build_ends_in_the_engine_and_leaves_nothing(docker_builds: DockerBuilds, new_repository: New) -> None:
    dockerfile = DOCKERFILE + "RUN echo begun-$((1+1)) && sleep 54321\n"
    repository = new_repository({**FILES, "Dockerfile": dockerfile})
    images, builder = docker_builds.make()
    build = docker_builds.ask(images, repository.url, repository.rev("main"))
    async with aclosing(builder.run(build)) as reports:
        async for report in reports:
            if "begun-2" in report.data.get("text", "") and "RUN" not in report.data["text"]:
                break
    assert _runs("sleep 54321")
    await builder.stop(build)
    await until(lambda: not _runs("sleep 54321"), "the end of the step")
    assert not containers()
    assert build.id not in docker("image", "ls", "--all")
    assert await images.exists(build.image.name) is None
    assert not (docker_builds.root / "builds" / build.id / "content").exists()


async def test_a_stopped_build_of_an_old_repo2docker_leaves_no_container(
    docker_builds: DockerBuilds, repo2docker_2024: str, new_repository: New
) -> None:
    repository = new_repository({**FILES, "Dockerfile": DOCKERFILE + "RUN echo begun-$((1+1)) && sleep 54322\n"})
    images, builder = docker_builds.make(repo2docker=repo2docker_2024)
    build = docker_builds.ask(images, repository.url, repository.rev("main"))
    async with aclosing(builder.run(build)) as reports:
        async for report in reports:
            if report.data.get("text", "").startswith("begun-2"):
                break
    await builder.stop(build)
    await until(lambda: not _runs("sleep 54322"), "the end of the step")
    await until(lambda: "54322" not in docker("ps", "--all", "--no-trunc"), "the end of its container")


async def test_a_forced_build_replaces_the_image_and_the_store_says_the_new_digest(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({**FILES, "Dockerfile": DOCKERFILE + "ADD time /\n", "time": "x"})
    images, builder = docker_builds.make(registry_answer_seconds=60)
    first = await docker_builds.follow(images, builder, docker_builds.ask(images, repository.url, repository.rev("main")))
    again = await docker_builds.follow(images, builder, docker_builds.ask(images, repository.url, repository.rev("main"), force=True))
    assert first.image
    assert again.image
    assert again.image.name == first.image.name
    assert again.image.digest != first.image.digest, "the label with the build's id is another"


async def test_an_image_like_a_checked_one_is_not_asked_again(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository({**FILES, "Dockerfile": DOCKERFILE})
    await docker_builds.build(repository.url, repository.rev("main"))
    answers = [path for path in docker_builds.root.rglob("checked-images/*") if path.read_text() == "9.9.9"]
    answers[0].write_text("8.8.8")
    again = await docker_builds.build(repository.url, repository.rev("main"), force=True)
    assert "jupyterhub-singleuser 8.8.8" in again.log
    assert again.image


async def test_nothing_is_asked_of_an_engine_for_an_image_that_the_registry_has(docker_builds: DockerBuilds, new_repository: New) -> None:
    repository = new_repository(FILES)
    made = await docker_builds.build(repository.url, repository.rev("main"))
    images, _ = docker_builds.make(engine_host="unix:///nowhere/docker.sock")
    assert made.image
    assert await images.exists(made.image.name) == made.image
    assert isinstance(made.image, Image)
    answer = httpx.get(f"http://{os.environ['TEST_REGISTRY']}/v2/{made.image.name.partition('/')[2].partition(':')[0]}/tags/list")
    assert answer.json()["tags"] == [repository.rev("main")]


def _runs(command: str) -> bool:
    return any(process.info["cmdline"] and " ".join(process.info["cmdline"]).endswith(command) for process in psutil.process_iter(["cmdline"]))
