"""Registries of a test's own: with a login (by password or by token), without deleting, or denying every push."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import bcrypt
import httpx
import pytest

from binderhub_service.clients.credentials import Login
from binderhub_service.clients.engine import Engine, EngineAddress
from tests.harness.ports import free_ports
from tests.harness.token_server import TokenServer
from tests.harness.waiting import wait_for
from tests.harness.web_thread import in_thread


class OwnRegistry:
    """A real registry, or for `denies_push` a server that answers as a registry that lets nobody push.

    Args:
        login: the one name and password that it knows.
        tokens: whether it sends people for a token, to a server that asks for the login.
        address: where it listens.
    """

    def __init__(
        self,
        folder: Path,
        *,
        login: tuple[str, str] | None = None,
        tokens: bool = False,
        deletes: bool = True,
        denies_push: bool = False,
        address: str = "127.0.0.1",
    ) -> None:
        self._folder = folder
        self._login = login
        self._tokens = tokens
        self._deletes = deletes
        self._denies_push = denies_push
        self.host = f"{address}:{free_ports(1)[0]}"

    @contextmanager
    def running(self) -> Iterator[OwnRegistry]:
        """Serve until the block ends."""
        if self._denies_push:
            with _denying(self.host):
                yield self
            return
        program = shutil.which("docker-registry")
        if program is None:
            pytest.skip("no docker-registry")
        with ExitStack() as stack:
            process = subprocess.Popen([program, "serve", str(self._config(stack))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_for(self._answers, "the registry", 20)
                yield self
            finally:
                process.terminate()
                process.wait()

    def push(self, image: str, name: str, login: tuple[str, str]) -> None:
        """Push an image of the engine's under another name, and take that name from the engine again."""
        full = f"{self.host}/{name}"
        engine = Engine(EngineAddress(os.environ["DOCKER_HOST"]))
        engine.tag(image, full)
        said = list(engine.push(full, Login(self.host, *login)))
        engine.remove_image(full)
        assert not [line for line in said if "error" in line], said

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://{self.host}/v2/").status_code in {200, 401}
        except httpx.TransportError:
            return False

    def _config(self, stack: ExitStack) -> Path:
        self._folder.mkdir(parents=True)
        content = {
            "version": 0.1,
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}, "delete": {"enabled": self._deletes}},
            "http": {"addr": self.host},
        }
        if self._login and self._tokens:
            server = TokenServer(self._folder, self._login)
            stack.enter_context(server.running())
            content["auth"] = server.settings
        elif self._login:
            name, password = self._login
            (self._folder / "htpasswd").write_text(f"{name}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n")
            content["auth"] = {"htpasswd": {"realm": "test", "path": str(self._folder / "htpasswd")}}
        config = self._folder / "config.yml"
        config.write_text(json.dumps(content))  # JSON is YAML
        return config


class _Denying(BaseHTTPRequestHandler):
    def _answer(self, status: int, code: str = "") -> None:
        body = json.dumps({"errors": [{"code": code, "message": "requested access to the resource is denied"}]}).encode() if code else b"{}"
        self.send_response(status)
        self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        self._answer(200) if self.path == "/v2/" else self._answer(404, "MANIFEST_UNKNOWN")

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self._answer(403, "DENIED")

    do_PUT = do_PATCH = do_POST

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _denying(host: str) -> Iterator[None]:
    with in_thread(ThreadingHTTPServer(("127.0.0.1", int(host.rpartition(":")[2])), _Denying)):
        yield
