"""Kubernetes mode as a whole: hub and service on this machine, builds and servers in the cluster; a cell runs in the end."""

from __future__ import annotations

import secrets
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.archives import archive_of
from tests.harness.boatyard import PASSWORD, begun, ended, is_pushed, logs_of
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code
from tests.harness.registries import OwnRegistry
from tests.harness.waiting import wait_for
from tests.harness.web_files import serving
from tests.kubernetes.chart.release import little_dockerfile
from tests.kubernetes.conftest import GIT_PASSWORD
from tests.kubernetes.images import registry, singleuser_image
from tests.kubernetes.kubectl import found, reason_to_skip, until_found
from tests.legacy.conftest import KEY, Api

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
]
BUILD_SECONDS = 300


@pytest.fixture
def hub(kubernetes_hub: HubProcess) -> Iterator[HubProcess]:
    """The hub, with what it logged during the test when the test fails."""
    before = len(kubernetes_hub.log())
    yield kubernetes_hub
    sys.stdout.write(kubernetes_hub.log()[before:])
    if kubernetes_hub.is_running():
        kubernetes_hub.stop_servers()


@pytest.fixture
def dockerfile() -> str:
    """A Dockerfile that installs nothing and takes the repository in."""
    return f"FROM {singleuser_image()}\nCOPY --chown=jovyan . /home/jovyan/\n"


@pytest.fixture
def little(base: str) -> str:
    """A Dockerfile of an image that servers could start from, of which none does."""
    program = "/usr/local/bin/jupyterhub-singleuser"
    return f"FROM {base}\nRUN printf '#!/bin/sh\\necho 5.5.0\\n' > {program} && chmod +x {program}\nWORKDIR /home/jovyan\nCOPY . .\n"


@pytest.fixture
def repository(git_server: GitServer, dockerfile: str) -> Repository:
    """A repository that pods reach."""
    files = {"Dockerfile": dockerfile + "RUN echo built here\n", "data.txt": "forty-two\n", "analysis.ipynb": "{}"}
    return git_server.create(f"work-{secrets.token_hex(4)}", files)


def told(events: list[dict[str, Any]]) -> str:
    return "\n".join(str(event.get("message")) for event in events)


def test_a_repository_becomes_a_pod_in_which_a_cell_runs(hub: HubProcess, repository: Repository, builds_namespace: str) -> None:
    events = hub.launch("alice", {"repo": repository.url, "ref": "main", "path": "analysis.ipynb"})
    assert events[-1].get("ready"), told(events)
    assert "built here" in told(events)
    server, alice = f"{hub.url}{events[-1]['url']}".rstrip("/"), hub.token("alice")
    assert run_code(server, alice, "print(6 * 7, open('data.txt').read(), end='')") == "42 forty-two\n"
    assert run_code(server, alice, "import os; print(os.getuid(), os.environ['JUPYTERHUB_DEFAULT_URL'])") == "1000 /lab/tree/analysis.ipynb\n"
    [pod] = found("pods", builds_namespace, "--selector=component=singleuser-server")
    assert "@sha256:" in pod["spec"]["containers"][0]["image"]
    assert pod["metadata"]["annotations"]["binder.commit"] == repository.rev("main")
    until_found(lambda: not found("pods,secrets", builds_namespace, "--selector=component=binderhub-build"), "the end of what the build used")


def test_a_private_repository_is_built_and_its_password_is_nowhere(hub: HubProcess, git_server: GitServer, little: str) -> None:
    steps = f"RUN (env; cat /git/* /registry/*) 2>&1 | grep -c {GIT_PASSWORD} || true\n"
    repository = git_server.create(f"private-{secrets.token_hex(4)}", {"Dockerfile": little + steps}, login=("robot", GIT_PASSWORD))
    alice = hub.token("alice")
    build = hub.finished(repository.url, alice)
    assert build["state"] == "ready", build
    event_log = "\n".join(str(event.data) for event in hub.follow(build["id"], alice))
    assert GIT_PASSWORD not in event_log.replace(steps.strip(), "")
    assert GIT_PASSWORD not in hub.log()


def test_files_are_built_and_boatyard_pushes_and_deletes(hub: HubProcess, little: str, base: str, builds_namespace: str, tmp_path: Path) -> None:
    boatyard, alice, mark = Api(hub, "boatyard"), hub.token("alice"), secrets.token_hex(4)
    with OwnRegistry(tmp_path / "theirs", login=("me", PASSWORD)).running() as theirs:
        target, login = f"{theirs.host}/me/new-{mark}:1", {"username": "me", "password": PASSWORD}
        text = f"FROM {base}\nRUN echo built in a pod {mark}; (env; cat /registry/* /git/*) 2>&1 | grep -c {PASSWORD} || true\n"
        sources = {
            "Finished": {"dockerfile": text},
            "Failed: The registry": {"dockerfile": text, "password": "wrong"},
        }
        jobs = {status: begun(boatyard, json={"image_name": target} | login | source) for status, source in sources.items()}
        archive = archive_of({"Dockerfile": little + "RUN cat data.txt\n", "data.txt": f"in the archive {mark}\n"})
        with serving({"/course.tar.xz": archive}) as address:
            build = hub.finished(f"{address}/course.tar.xz", alice)
        sent = hub.service("POST", "/api/files", alice, content=archive)
        again = hub.finished(sent.json()["upload"], alice)
        for status, job in jobs.items():
            assert ended(boatyard, job).startswith(status), logs_of(boatyard, job)
        assert is_pushed(target, ("me", PASSWORD))
    assert (build["state"], build["provider"]) == ("ready", "archive"), build
    assert (again["state"], again["image"]) == ("ready", build["image"]), "the same bytes are the same image"
    assert f"in the archive {mark}" in "\n".join(str(event.data) for event in hub.follow(build["id"], alice))
    assert f"built in a pod {mark}" in logs_of(boatyard, jobs["Finished"])
    assert boatyard.ask("DELETE", f"/api/v1/{jobs['Failed: The registry']}/image", KEY).status_code in {200, 404}
    images = [image["name"] for image in hub.service("GET", "/api/images", hub.token("root-admin")).json()]
    assert [("context" in name, "archive" in name) for name in images if "context" in name or "archive" in name] == [(False, True)], images
    until_found(lambda: not found("pods,secrets", builds_namespace, "--selector=component=binderhub-build"), "the end of what builds used")
    kept = httpx.get(f"http://{registry()}/v2/{build['image'].partition('/')[2].partition('archive')[0]}given/tags/list")
    assert not kept.json().get("tags"), kept.text
    assert PASSWORD not in hub.log()


def test_a_templates_pod_has_its_command_and_at_most_its_limits(hub: HubProcess, builds_namespace: str) -> None:
    words = ["jupyterhub-singleuser", "--ServerApp.custom_display_url=$(HOME) by template"]
    template = {"name": "small", "image-name": singleuser_image(), "command": shlex.join(words), "limits": {"memory": 2**29, "cpu_shares": 100}}
    assert Api(hub, "registry").ask("POST", "/templates", f"token {KEY}", json=template).status_code == 201
    reply = hub.service("POST", "/api/launches", hub.token("alice"), json={"template": "small"})
    assert reply.status_code == 201, reply.text
    told = list(hub.progress("alice", reply.json()["server"]))
    assert told[-1].get("ready"), told
    [pod] = found("pods", builds_namespace, "--selector=component=singleuser-server")
    container = pod["spec"]["containers"][0]
    assert [word.replace("$$", "$") for word in container["args"][-2:]] == words
    assert container["resources"]["limits"]["memory"] == str(2**29)
    assert container["resources"]["requests"]["cpu"] in {"97656250n", "98m"}, "100 of 1024 shares, and not the operator's 200m"


def test_an_image_that_is_there_is_used_again_and_kept_while_a_server_runs(hub: HubProcess, git_server: GitServer) -> None:
    repository = git_server.create(f"again-{secrets.token_hex(4)}", {"Dockerfile": little_dockerfile(0)})
    assert hub.launch("alice", {"repo": repository.url})[-1].get("ready")
    assert hub.launch("bob", {"repo": repository.url})[-1].get("ready")
    assert hub.finished(repository.url, hub.token("alice"))["state"] == "ready", "it was tried meanwhile"
    admin = hub.token("root-admin")
    assert [build["repo"] for build in hub.service("GET", "/api/builds", admin).json()].count(repository.url) == 1
    [image] = [one for one in hub.service("GET", "/api/images", admin).json() if "alice/" in one["used_by"]]
    assert image["used_by"] == ["alice/", "bob/"]
    reply = hub.service("DELETE", f"/api/images/{image['name']}", admin)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "image_in_use")
    hub.stop_servers()
    assert hub.service("DELETE", f"/api/images/{image['name']}", admin).is_success


def test_a_service_killed_during_a_build_goes_on_with_the_same_pod(hub: HubProcess, git_server: GitServer, dockerfile: str) -> None:
    line = f"standing in the build {secrets.token_hex(8)}"
    repository = git_server.create(f"long-{secrets.token_hex(4)}", {"Dockerfile": f"{dockerfile}RUN echo {line} && sleep 10 && echo went on\n"})
    alice = hub.token("alice")
    assert hub.start_server("alice", {"repo": repository.url}).is_success
    build = hub.build(repository.url, alice)
    seen = hub.read_to(build["id"], alice, line)
    hub.wait_for_another_service(hub.kill_service())
    event_log = hub.read_on(build["id"], alice, seen)
    lines = [str(event.data.get("text")) for event in event_log]
    assert len(lines) - len(set(lines) - {"None"}) == lines.count("None"), "no line twice"
    assert event_log[-1].data["state"] == "ready", event_log[-1].data
    wait_for(lambda: hub.servers("alice").get("", {}).get("ready"), "the server whose build was interrupted", BUILD_SECONDS, every_seconds=0.5)
    assert run_code(f"{hub.url}/user/alice", alice, "print(1 + 1)") == "2\n"


def test_a_start_that_is_cancelled_takes_its_build_with_it(hub: HubProcess, git_server: GitServer, little: str, builds_namespace: str) -> None:
    repository = git_server.create(f"cancelled-{secrets.token_hex(4)}", {"Dockerfile": little + "RUN sleep 600\n"})
    assert hub.start_server("alice", {"repo": repository.url}).is_success
    until_found(lambda: found("pods", builds_namespace, "--selector=component=binderhub-build") != [], "the build's pod")
    assert hub.api("DELETE", "/users/alice/server").is_success
    until_found(lambda: found("pods", builds_namespace) == [], "the end of the build's pod")
    assert hub.servers("alice") == {}


def test_five_builds_that_fail_do_not_end_the_hub(hub: HubProcess, git_server: GitServer) -> None:
    for number in range(5):
        repository = git_server.create(
            f"bad-{number}-{secrets.token_hex(4)}", {"Dockerfile": f"FROM {registry()}/debian:12\nRUN echo it is number {number} && false\n"}
        )
        events = hub.launch("alice", {"repo": repository.url})
        assert events[-1].get("failed"), events[-1]
        assert "whole log" in str(events[-1].get("html_message", events[-1]["message"]))
        assert "exit status 1" in events[-1]["message"]
    assert hub.is_running()
    assert hub.servers("alice") == {}
