"""Docker mode as a whole: a real hub, service, repo2docker, engine and registry; a repository becomes a server in which a cell runs."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pytest

from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.archives import archive_of
from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code
from tests.harness.waiting import wait_for

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip(registry=True)), reason=reason_to_skip(registry=True)),
]
NewRepository = Callable[..., Repository]
BUILD_SECONDS = 300


@pytest.fixture(scope="module")
def docker_hub(tmp_path_factory: pytest.TempPathFactory, session_engine: TestEngine, jupyter_image: str, test_registry: str) -> Iterator[HubProcess]:
    """A hub in docker mode whose images, containers and volumes bear the run's mark."""
    assert jupyter_image
    settings = {
        "DockerMode": {"image_prefix": f"{session_engine.mark}-"},
        "ImageProvider": {"allowed_images": [f"{test_registry}/{session_engine.mark}-*"]},
    }
    config = f'c.DockerRepoSpawner.prefix = "{session_engine.mark}"\nc.Spawner.consecutive_failure_limit = 5\nc.Spawner.start_timeout = 120'
    more = {"mode": "docker", "registry": test_registry, "service": settings}
    with HubProcess(tmp_path_factory.mktemp("docker-hub"), config=config, more=more) as hub:
        yield hub
        hub.stop_servers()
        assert session_engine.containers() == []


@pytest.fixture
def hub(docker_hub: HubProcess) -> Iterator[HubProcess]:
    """The hub, with what it logged during the test when the test fails."""
    before = len(docker_hub.log())
    yield docker_hub
    sys.stdout.write(docker_hub.log()[before:])
    if docker_hub.is_running():
        docker_hub.stop_servers()


@pytest.fixture
def alice(hub: HubProcess) -> str:
    """A token of alice's."""
    return hub.token("alice")


@pytest.fixture
def dockerfile(jupyter_image: str) -> str:
    """A Dockerfile that installs nothing and takes the repository in, as repo2docker's documentation asks for."""
    return f"FROM {jupyter_image}\nCOPY --chown=jovyan . /home/jovyan/\n"


def launched(hub: HubProcess, user: str, options: dict[str, Any], name: str = "") -> str:
    """Launch a server and return its address."""
    events = hub.launch(user, options, name)
    assert events[-1].get("ready"), "\n".join(str(event.get("message")) for event in events)
    return f"{hub.url}{events[-1]['url']}".rstrip("/")


def test_a_repository_with_a_dockerfile_becomes_a_server_in_which_a_cell_runs(
    hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str, test_registry: str, session_engine: TestEngine
) -> None:
    repository = new_repository({"Dockerfile": dockerfile + "RUN echo built here\n", "data.txt": "forty-two\n", "analysis.ipynb": "{}"})
    events = hub.launch("alice", {"repo": repository.url, "ref": "main", "path": "analysis.ipynb"})
    told = "\n".join(str(event.get("message")) for event in events)
    assert events[-1].get("ready"), told
    assert "built here" in told
    server = f"{hub.url}{events[-1]['url']}".rstrip("/")
    assert run_code(server, alice, "print(6 * 7, open('data.txt').read(), end='')") == "42 forty-two\n"
    assert run_code(server, alice, "import os; print(os.getuid(), os.path.exists('/var/run/docker.sock'))") == "1000 False\n"
    assert run_code(server, alice, "import os; print(os.environ['JUPYTERHUB_DEFAULT_URL'])") == "/lab/tree/analysis.ipynb\n"
    container = session_engine.client.inspect_container(f"{session_engine.mark}-alice")
    assert container["Config"]["Image"].startswith(f"{test_registry}/{session_engine.mark}-")
    assert "@sha256:" in container["Config"]["Image"]
    assert container["Config"]["Labels"]["binder.commit"] == repository.rev("main")


def test_an_image_that_is_there_already_is_launched_by_name_where_the_operator_allows_it(
    hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str
) -> None:
    image = hub.finished(new_repository({"Dockerfile": dockerfile}).url, alice)["image"].partition("@")[0]
    server = launched(hub, "alice", {"image": image})
    assert run_code(server, alice, "print(6 * 7)") == "42\n"
    [build, *_] = hub.service("GET", "/api/builds", alice).json()
    assert (build["repo"], build["provider"], build["state"]) == (f"docker://{image}", "image", "ready")
    assert hub.launch("alice", {"image": "debian:12"}, "other")[-1]["message"].startswith("This image may not be launched here.")
    reply = hub.service("POST", "/api/launches", alice, json={"image": image})
    assert reply.status_code == 201
    assert list(hub.progress("alice", reply.json()["server"]))[-1].get("ready")


def test_what_a_person_changed_is_there_again_and_the_image_is_not_built_again(
    hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str
) -> None:
    options = {"repo": new_repository({"Dockerfile": dockerfile, "data.txt": "theirs"}).url}
    run_code(launched(hub, "alice", options), alice, "open('data.txt', 'w').write('mine')")
    hub.stop_server("alice")
    server = launched(hub, "alice", options)
    assert [build["repo"] for build in hub.service("GET", "/api/builds", alice).json()].count(options["repo"]) == 1
    assert run_code(server, alice, "print(open('data.txt').read())") == "mine\n"


def test_servers_of_two_people_reach_the_hub_and_not_each_other(
    hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str, session_engine: TestEngine
) -> None:
    options = {"repo": new_repository({"Dockerfile": dockerfile}).url}
    servers = {name: (launched(hub, name, options), hub.token(name)) for name in ("alice", "bob")}
    inspected = {name: session_engine.client.inspect_container(f"{session_engine.mark}-{name}") for name in servers}
    addresses = {name: next(iter(found["NetworkSettings"]["Networks"].values()))["IPAddress"] for name, found in inspected.items()}
    ask = "import os, urllib.request\ntry:\n    print(urllib.request.urlopen({}, timeout=3).status)\nexcept OSError as error:\n    print(error)"
    for name, other in (("alice", "bob"), ("bob", "alice")):
        server, token = servers[name]
        assert run_code(server, token, ask.format("os.environ['JUPYTERHUB_API_URL']")) == "200\n"
        assert "200" in run_code(server, token, ask.format(f"'http://{addresses[name]}:8888/user/{name}/api'")), "its own"
        assert "timed out" in run_code(server, token, ask.format(f"'http://{addresses[other]}:8888/user/{other}/api'"))
        assert inspected[name]["HostConfig"]["PidsLimit"] == 4096


def test_a_server_that_runs_keeps_its_image(hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str) -> None:
    repository = new_repository({"Dockerfile": dockerfile, "data.txt": "kept"})
    launched(hub, "alice", {"repo": repository.url})
    hub.finished(repository.url, alice)  # the image has been tried
    admin = hub.token("root-admin")
    [image] = [one for one in hub.service("GET", "/api/images", admin).json() if one["used_by"] == ["alice/"]]
    reply = hub.service("DELETE", f"/api/images/{image['name']}", admin)
    assert (reply.status_code, reply.json()["error"]["code"]) == (409, "image_in_use")


@pytest.mark.parametrize(("number", "text"), list(enumerate(["{0.__class__}", "$(touch x)", "`id`", "';id;'"])))
def test_a_branch_and_a_path_that_look_like_code_are_a_branch_and_a_path(
    hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str, number: int, text: str
) -> None:
    repository = new_repository({"Dockerfile": dockerfile, f"{text}.txt": "as it is"}, f"odd-{number}")
    branch = text.replace(" ", "-")
    repository.branch(branch)
    server = launched(hub, "alice", {"repo": repository.url, "ref": branch, "path": f"{text}.txt"})
    assert run_code(server, alice, f"import os; print(os.environ['BINDER_REF'], open({text!r} + '.txt').read())") == f"{branch} as it is\n"


@pytest.mark.parametrize(
    "options",
    [
        {"ref": "--build-arg=x"},
        {"ref": "-v/:/host"},
        {"repo": "--config=/etc/passwd"},
        {"repo": "-oProxyCommand=id"},
        {"path": "../../etc/passwd"},
        {"image": "debian:12"},
        {"cmd": ["id"]},
        {"volumes": {"/": "/host"}},
    ],
)
def test_options_that_mean_harm_are_refused(hub: HubProcess, new_repository: NewRepository, dockerfile: str, options: dict[str, Any]) -> None:
    repository = new_repository({"Dockerfile": dockerfile})
    reply = hub.start_server("alice", {"repo": repository.url, **options})
    assert reply.status_code == 400, reply.text
    assert hub.servers("alice") == {}


def test_five_builds_that_fail_do_not_end_the_hub(hub: HubProcess, new_repository: NewRepository, jupyter_image: str) -> None:
    for number in range(5):
        repository = new_repository({"Dockerfile": f"FROM {jupyter_image}\nRUN echo it is number {number} && false\n"}, f"bad-{number}")
        events = hub.launch("alice", {"repo": repository.url})
        assert events[-1].get("failed"), events[-1]
        assert "whole log" in str(events[-1].get("html_message", events[-1]["message"]))
    assert hub.is_running()
    assert hub.servers("alice") == {}


def test_an_image_without_a_server_in_it_says_how_to_add_one(hub: HubProcess, new_repository: NewRepository) -> None:
    events = hub.launch("alice", {"repo": new_repository({"Dockerfile": "FROM debian:12\nRUN useradd -m -u 1000 jovyan\nUSER jovyan\n"}).url})
    assert events[-1].get("failed"), events[-1]
    assert "jupyterhub" in events[-1]["message"]
    assert "install" in events[-1]["message"]


def test_a_service_killed_during_a_build_goes_on_with_the_same_build(
    hub: HubProcess, alice: str, new_repository: NewRepository, jupyter_image: str
) -> None:
    line = f"standing in the build {secrets.token_hex(8)}"  # never cached
    step = f"RUN echo {line} && sleep 10 && echo went on"
    repository = new_repository({"Dockerfile": f"FROM {jupyter_image}\n{step}\nCOPY --chown=jovyan . /home/jovyan/\n"})
    assert hub.start_server("alice", {"repo": repository.url}).is_success
    build = hub.build(repository.url, alice)
    seen = hub.read_to(build["id"], alice, line)
    hub.wait_for_another_service(hub.kill_service())
    event_log = hub.read_on(build["id"], alice, seen)
    assert event_log[-1].data["state"] == "ready", event_log[-1].data
    wait_for(lambda: hub.servers("alice").get("", {}).get("ready"), "the server whose build was interrupted", BUILD_SECONDS)
    assert run_code(f"{hub.url}/user/alice", alice, "print(1 + 1)") == "2\n"


def test_a_hub_that_was_killed_finds_its_servers_again(hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str) -> None:
    server = launched(hub, "alice", {"repo": new_repository({"Dockerfile": dockerfile, "data.txt": "here"}).url})
    hub.kill()
    hub.start()
    assert hub.servers("alice")[""]["ready"]
    assert run_code(server, alice, "print(open('data.txt').read())") == "here\n"
    hub.stop_server("alice")


def test_nothing_secret_is_in_the_containers_environment(hub: HubProcess, alice: str, new_repository: NewRepository, dockerfile: str) -> None:
    server = launched(hub, "alice", {"repo": new_repository({"Dockerfile": dockerfile}).url})
    names = run_code(server, alice, "import os; print(' '.join(os.environ))").split()
    assert not [name for name in names if name.startswith(("DOCKER_", "BINDERHUB_", "CONTAINER_ENGINE_", "CONFIGPROXY_"))]
    assert os.environ["DOCKER_HOST"] not in run_code(server, alice, "import os; print(os.environ)")


def test_a_dockerfile_alone_becomes_a_server_and_the_same_text_the_same_image(hub: HubProcess, alice: str, jupyter_image: str) -> None:
    text = f"FROM {jupyter_image}\nRUN echo by text > /home/jovyan/made.txt\n"
    build = hub.finished(text, alice, provider="dockerfile")
    assert (build["state"], build["provider"], build["commit"]) == ("ready", "dockerfile", sha256(text.encode()).hexdigest()), build["error"]
    assert build["repo"] == f"dockerfile:{build['commit']}"
    assert hub.build(text, alice, provider="dockerfile")["id"] == build["id"]
    server = launched(hub, "alice", {"repo": build["repo"], "provider": "dockerfile"})
    assert run_code(server, alice, "print(open('made.txt').read())") == "by text\n\n"


def test_an_uploaded_archive_with_a_dockerfile_becomes_an_image(hub: HubProcess, alice: str, dockerfile: str) -> None:
    sent = hub.service("POST", "/api/files", alice, content=archive_of({"course/Dockerfile": dockerfile, "course/data.txt": "sent"}))
    assert sent.status_code == 201, sent.text
    build = hub.finished(sent.json()["upload"], alice)
    assert (build["state"], build["provider"]) == ("ready", "upload"), build["error"]
    assert hub.service("POST", "/api/files", alice, content=b"").status_code == 400
