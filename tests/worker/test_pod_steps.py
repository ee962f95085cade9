"""The steps of a build pod as processes: plans, reports, and how they end."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builders.kubernetes import GivenFiles
from binderhub_service.clients import contents
from binderhub_service.clients.credentials import Credentials
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.models import Build, Image, Phase, Source, State, now
from binderhub_service.worker.image_settings import DEFAULT_REPO2DOCKER
from binderhub_service.worker.pod_job import PodSettings
from binderhub_service.worker.recipes.pod_engine import engine_settings
from tests.harness.archives import archive_of
from tests.harness.git_server import Repository
from tests.harness.pod import STAND_INS, Pod
from tests.harness.registries import OwnRegistry

New = Callable[..., Repository]


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real registry that lets everybody in."""
    with OwnRegistry(tmp_path_factory.mktemp("registry") / "r").running() as running:
        yield running.host


@pytest.fixture
def pod(tmp_path: Path, registry: str) -> Pod:
    """A pod of a test's own."""
    return Pod(tmp_path, registry)


def lines(reports: list[dict[str, Any]]) -> list[str]:
    return [report["data"]["text"] for report in reports if report["kind"] == "log"]


def test_the_first_step_leaves_the_checkout_and_a_plan(pod: Pod, new_repository: New) -> None:
    pod.give(new_repository({"Dockerfile": "FROM x\n", "start": "x"}))
    status, reports, end = pod.do("fetch")
    assert status == 0
    assert end == {"reports": len(reports)}
    assert [report["n"] for report in reports] == list(range(1, len(reports) + 1))
    assert [report["data"]["phase"] for report in reports if report["kind"] == "phase"] == ["fetching", "building"]
    assert (pod.place / "work" / "content" / "Dockerfile").read_text() == "FROM x\n"
    assert pod.plan["key"] == ""
    assert len(pod.plan["whole_key"]) == 32


def test_a_commit_that_is_not_there_ends_the_first_step(pod: Pod, new_repository: New) -> None:
    pod.give(new_repository({"a": "b"}), "0" * 40)
    status, reports, end = pod.do("fetch")
    assert status == 1
    assert end["error"]["code"] == "fetch_failed"
    assert end["reports"] == len(reports)


def test_a_private_repository_is_fetched_with_the_login_of_its_server_and_no_other(pod: Pod, new_repository: New) -> None:
    repository = new_repository({"Dockerfile": "x"}, login=("me", "a password"))
    pod.give(repository)
    logins = pod.place / "git-credentials"
    logins.write_text("")
    assert pod.do("fetch")[2]["error"]["code"] == "fetch_failed"
    (pod.place / "work" / "content").rename(pod.place / "first")
    logins.write_text(repository.url.replace("//", "//me:a%20password@").partition("/o/")[0] + "\n")
    status, reports, _ = pod.do("fetch")
    assert status == 0, reports
    assert "password" not in json.dumps(reports)


def test_a_check_whose_words_are_lost_is_made_again(tmp_path: Path, registry: str, new_repository: New) -> None:
    programs = {**STAND_INS, "buildah": STAND_INS["buildah"].replace("run) echo 9.9.9;", "run) [ -e NOTES.run ] && echo 9.9.9; touch NOTES.run;")}
    pod = Pod(tmp_path, registry, programs)
    pod.give(new_repository({"Dockerfile": "FROM x\n"}))
    for step in ("fetch", "build", "try"):
        status, reports, end = pod.do(step)
        assert status == 0, (reports, end)
    assert pod.noted.count("buildah run") == 2


def given(pod: Pod, kind: str, content: bytes) -> None:
    """Give a file as the service does, by way of the registry."""

    async def hand_over() -> None:
        client = RegistryClient(Credentials())
        digest = contents.Contents(pod.place / "service").put(content)
        pod.give_source(kind, digest)
        asked = Build("1", Source("upload", "u", kind, "archive", "HEAD", digest), Image(pod.image), State.RUNNING, Phase.FETCHING, "alice", now())
        await GivenFiles(contents.Contents(pod.place / "service"), client, pod.prefix).hand_over(asked, None)
        await client.close()

    asyncio.run(hand_over())


def test_an_archive_that_somebody_gave_is_taken_for_a_checkout(pod: Pod) -> None:
    given(pod, contents.ARCHIVE, archive_of({"requirements.txt": "numpy", "notes.md": "x"}))
    status, reports, _ = pod.do("fetch")
    assert status == 0, reports
    assert {path.name for path in (pod.place / "work" / "content").iterdir()} == {"requirements.txt", "notes.md"}
    assert not (pod.place / "work" / contents.FOLDER).exists()
    assert pod.plan["key"]


def test_a_context_is_built_as_docker_alone_would(pod: Pod) -> None:
    given(pod, contents.CONTEXT, b"FROM x")
    assert [pod.do(step)[0] for step in ("fetch", "build", "try")] == [0, 0, 0]
    assert pod.plan["key"] == ""
    assert f"--file={pod.place}/work/content/Dockerfile" in pod.noted
    assert "repo2docker" not in pod.noted.replace("repo2docker.re", "")
    assert "jupyterhub-singleuser" not in pod.noted
    assert (pod.place / "image" / "whole").is_dir()


def test_a_context_without_a_dockerfile_is_refused(pod: Pod) -> None:
    given(pod, contents.CONTEXT, archive_of({"notes.md": "x"}))
    assert pod.do("fetch")[0] == 0
    assert pod.do("build")[2]["error"]["code"] == "dockerfile_missing"


def test_a_file_that_the_registry_does_not_have_ends_the_first_step(pod: Pod) -> None:
    pod.give_source(contents.ARCHIVE, "0" * 64)
    assert pod.do("fetch")[2]["error"]["code"] == "content_not_found"


def test_a_registry_that_is_away_is_said_before_anything_is_built(pod: Pod, new_repository: New) -> None:
    pod.registry = "127.0.0.1:1"
    pod.give(new_repository({"requirements.txt": "numpy"}))
    status, _, end = pod.do("fetch")
    assert (status, end["error"]["code"]) == (1, "registry_unavailable")


def planned(pod: Pod, repository: Repository, **settings: Any) -> None:
    """Do the first step."""
    pod.give(repository, **settings)
    assert pod.do("fetch")[0] == 0


def test_a_found_environment_leaves_nothing_to_build(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"requirements.txt": "numpy"}))
    (pod.place / "work" / "plan.json").write_text(json.dumps(pod.plan | {"found": True}))
    assert pod.do("build") == (0, [], {"reports": 0})
    assert pod.noted == ""


def test_an_environment_is_built_from_its_own_files_alone(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"requirements.txt": "numpy", "data.csv": ""}), plain_http_registries=("r:5000",), base_image="base:1")
    status, reports, _ = pod.do("build")
    assert status == 0, reports
    assert lines(reports)[-1] == "Packing the image."
    assert "buildah run" not in pod.noted, "what somebody waits for is tried last"
    registries = (pod.place / "image" / "environment" / "index.json").read_text()
    status, reports, _ = pod.do("try")
    assert (status, lines(reports)) == (0, ["jupyterhub-singleuser 9.9.9"])
    assert "--engine=buildah" in pod.noted
    assert "requirements.txt" in pod.noted
    assert "data.csv" not in pod.noted
    assert "-- /entry jupyterhub-singleuser --version" in pod.noted
    assert 'unqualified-search-registries = ["docker.io"]' in registries
    assert '[[registry]]\nlocation = "r:5000"\ninsecure = true' in registries
    assert "c.Repo2Docker.base_image = 'base:1'" in (pod.place / "image" / "aside" / "repo2docker_config.py").read_text()


def test_an_environment_that_needs_more_than_its_files_is_built_with_all(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"install.R": "scan('needed')", "needed": ""}))
    status, reports, _ = pod.do("build")
    assert status == 0, reports
    assert any("building once more, with the whole repository" in line for line in lines(reports))
    assert not (pod.place / "image" / "environment").exists()
    assert (pod.place / "image" / "whole").is_dir()


def test_a_failure_is_the_last_word(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"Dockerfile": "x", "fail": ""}))
    status, _, end = pod.do("build")
    assert status == 1
    assert end["error"]["message"] == "The instruction RUN x failed with exit status 7."
    assert not (pod.place / "image" / "whole").exists()


def test_a_new_image_must_answer_in_time(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"Dockerfile": "x"}), singleuser_seconds=0.5)
    assert pod.do("build")[0] == 0
    assert "buildah run" not in pod.noted, "what somebody waits for is tried last"
    status, _, end = pod.do("try", {"CHECK_SECONDS": "60"})
    assert (status, end["error"]["code"]) == (1, "no_singleuser")
    assert "did not end within 0.5 seconds" in end["error"]["message"]


def test_an_image_that_is_not_there_cannot_be_pushed(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"Dockerfile": "x"}))
    status, _, end = pod.do("push")
    assert (status, end["error"]["code"]) == (1, "builder_lost")


def test_an_engine_that_builds_instead_is_asked_in_the_step_that_has_the_logins(pod: Pod, new_repository: New) -> None:
    planned(pod, new_repository({"requirements.txt": "numpy"}), engine_host="tcp://127.0.0.1:1")
    assert pod.do("build") == (0, [], {"reports": 0})
    status, _, end = pod.do("push")
    assert (status, end["error"]["code"]) == (1, "engine_unavailable")


def test_an_engine_makes_images_of_the_same_names(tmp_path: Path) -> None:
    settings = PodSettings(image_prefix="r/binder-", appendix="RUN true", repo2docker_arguments=("--debug",), engine_host="tcp://engine:2375")
    made = engine_settings(settings, tmp_path, {"DOCKER_CONFIG": "/somewhere"})
    assert made.engine.host == "tcp://engine:2375"
    assert made.push
    assert made.docker_config == "/somewhere"
    assert made.environment_text() == settings.environment_text()
    assert made.name_text() == settings.name_text()


def test_only_steps_are_done() -> None:
    done = subprocess.run([sys.executable, "-m", "binderhub_service.worker.pod", "other"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "fetch|build|push|try" in done.stderr


def test_the_builder_image_holds_the_repo2docker_that_names_say() -> None:
    dockerfile = Path(__file__).parents[2] / "chart" / "images" / "builder" / "Dockerfile"
    assert f"ARG REPO2DOCKER={DEFAULT_REPO2DOCKER}\n" in dockerfile.read_text()
