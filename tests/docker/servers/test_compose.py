"""The compose example, started as its page says; images that cannot be had everywhere have stand-ins made of Debian's packages."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.kernel import run_code
from tests.harness.ports import free_ports
from tests.harness.waiting import wait_for

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "examples/compose"
STAND_INS = Path(__file__).parent / "stand_ins"
GIT_SERVER = "git"
PASSWORD = "password of everybody"
LAUNCH_SECONDS = 240


def reason() -> str:
    """Return why this cannot run here; empty if it can."""
    if missing := reason_to_skip():
        return missing
    if not os.environ["DOCKER_HOST"].startswith("unix://"):
        return "needs the engine's socket"
    if shutil.which("docker") is None or subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode:
        return "needs Docker's compose plugin"
    return ""


pytestmark = [pytest.mark.skipif(bool(reason()), reason=reason()), pytest.mark.slow]


class Compose:
    """The example under a name of its own.

    Attributes:
        project: the name.
        url: where its hub is.
    """

    def __init__(self, folder: Path, project: str) -> None:
        self.project = project
        port, registry_port = free_ports(2)
        self.url = f"http://127.0.0.1:{port}"
        self._settings = folder / "env"
        words = {name: secrets.token_hex(16) for name in ("SERVICE_TOKEN", "DATABASE_PASSWORD", "ADMIN_PASSWORD")}
        images = {"IMAGE": f"{project}-hub", "REGISTRY_IMAGE": f"{project}-registry", "DATABASE_IMAGE": f"{project}-database"}
        more = {"PEOPLE_PASSWORD": PASSWORD, "PROJECT": project, "DOCKER_CLI": f"{project}-docker", "PORT": port, "REGISTRY_PORT": registry_port}
        socket = os.environ["DOCKER_HOST"].removeprefix("unix://")
        lines = {**words, **images, **more, "DOCKER_SOCKET": socket}
        self._settings.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))

    def __call__(self, *arguments: str) -> str:
        """Run docker compose and return what it prints."""
        command = ["docker", "compose", "--env-file", str(self._settings), *arguments]
        done = subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr + self.logs()
        return done.stdout

    def logs(self) -> str:
        """Return the end of what the containers wrote."""
        command = ["docker", "compose", "--env-file", str(self._settings), "logs", "--tail", "60"]
        return subprocess.run(command, cwd=EXAMPLE, capture_output=True, text=True, check=False).stdout

    def api(self, method: str, path: str, token: str = "", **more: Any) -> httpx.Response:
        """Ask the hub's REST API."""
        headers = {"Authorization": f"token {token}"} if token else {}
        return httpx.request(method, f"{self.url}/hub/api{path}", headers=headers, timeout=60, **more)


def build_images(project: str, folder: Path) -> None:
    """Build the stand-ins, and the project's own image."""
    for name in ("docker", "registry", "database"):
        context = shutil.copytree(STAND_INS / name, folder / name)
        if name == "docker":
            for program in (shutil.which("docker"), Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "cli-plugins/docker-buildx"):
                shutil.copy(str(program), context)
        _docker("build", "--network", "host", "--tag", f"{project}-{name}", str(context))
    _docker("build", "--network", "host", "--build-arg", f"DOCKER_CLI={project}-docker", "--tag", f"{project}-hub", str(ROOT))


def _docker(*arguments: str) -> None:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory, session_engine: TestEngine, jupyter_image: str) -> Iterator[Compose]:
    """The example, running, with a Git server beside it."""
    folder = tmp_path_factory.mktemp("compose")
    project = f"{session_engine.mark}-compose"
    build_images(project, folder)
    compose = Compose(folder, project)
    try:
        compose("up", "--detach", "--wait", "--no-build")
        _start_git_server(session_engine, compose, jupyter_image)
        yield compose
    finally:
        for name in session_engine.containers():
            if f"{project}-" in name and not name.endswith("-1"):
                session_engine.client.remove_container(name, force=True)
        compose("down", "--volumes")


def _start_git_server(engine: TestEngine, compose: Compose, image: str) -> None:
    commands = (
        "mkdir -p /tmp/git/o/r && cd /tmp/git/o/r && git init -q -b main",
        f"printf 'FROM {image}\\nCOPY --chown=jovyan . /home/jovyan/\\n' > Dockerfile",
        "echo forty-two > data.txt && git add . && git -c user.name=t -c user.email=t@example.org commit -qm first",
        "exec git daemon --reuseaddr --export-all --base-path=/tmp/git",
    )
    network = engine.client.create_networking_config({f"{compose.project}_inside": engine.client.create_endpoint_config(aliases=[GIT_SERVER])})
    host = engine.client.create_host_config(network_mode=f"{compose.project}_inside")
    command = ["sh", "-c", " && ".join(commands)]
    made = engine.client.create_container(image, command, name=f"{compose.project}-git", host_config=host, networking_config=network)
    engine.client.start(made["Id"])


def test_somebody_signs_in_and_a_repository_becomes_a_server_that_survives_the_hub(compose: Compose, session_engine: TestEngine) -> None:
    token = sign_in(compose, "alice")
    reply = compose.api("POST", "/users/alice/server", token, json={"repo": f"git://{GIT_SERVER}/o/r", "memory": "2G"})
    assert reply.is_success, reply.text

    def ready() -> bool:
        server = compose.api("GET", "/users/alice", token).json()["servers"].get("")
        assert server, last_words(compose, token)
        return bool(server["ready"])

    wait_for(ready, "the server", LAUNCH_SECONDS, every_seconds=1)
    server = f"{compose.url}/user/alice"
    assert run_code(server, token, "print(open('data.txt').read(), end='')") == "forty-two\n"
    container = session_engine.client.inspect_container(f"{compose.project}-alice")
    assert container["HostConfig"]["Memory"] == 2 * 2**30
    assert list(container["NetworkSettings"]["Networks"]) == [f"{compose.project}-servers"]
    assert [mount["Destination"] for mount in container["Mounts"]] == ["/home/person"]

    compose("restart", "hub")
    compose("up", "--detach", "--wait", "--no-build")
    assert compose.api("GET", "/users/alice", token).json()["servers"][""]["ready"]
    assert run_code(server, token, "print(1 + 1)") == "2\n"


def sign_in(compose: Compose, name: str) -> str:
    """Sign in as a browser does, and return a token."""
    with httpx.Client(base_url=compose.url, follow_redirects=True, timeout=60) as client:

        def proof() -> str:
            return next(cookie.value or "" for cookie in client.cookies.jar if cookie.name == "_xsrf" and cookie.path == "/hub/")

        client.get("/hub/login")
        form = {"username": name, "password": PASSWORD, "_xsrf": proof()}
        client.post("/hub/login", data=form, headers={"Sec-Fetch-Mode": "navigate"}).raise_for_status()
        made = client.post(f"/hub/api/users/{name}/tokens", json={}, headers={"X-XSRFToken": proof()}).raise_for_status()
        token: str = made.json()["token"]
        return token


def last_words(compose: Compose, token: str) -> str:
    """Return what the hub and the service say about a start that failed."""
    told = httpx.get(f"{compose.url}/hub/api/users/alice/server/progress", headers={"Authorization": f"token {token}"}, timeout=60).text
    return json.dumps(told.splitlines()[-4:], indent=1) + compose.logs()


def test_the_engines_socket_is_only_where_no_repositorys_code_runs(compose: Compose, session_engine: TestEngine) -> None:
    with_socket = [
        name
        for name in session_engine.containers()
        if any(mount["Destination"].endswith("docker.sock") for mount in session_engine.client.inspect_container(name)["Mounts"])
    ]
    assert with_socket == [f"{compose.project}-hub-1", f"{compose.project}-service-1"]
