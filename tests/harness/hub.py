"""A real hub with the real proxy, started for tests and ended with everything it started."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import httpx
import psutil

from binderhub_service.images.server_packages import FOLDER, server_packages
from tests.harness import sse
from tests.harness.empty_database import write_empty_database
from tests.harness.hub_config import ADMIN, ADMIN_PASSWORD, PASSWORD, write_config
from tests.harness.lent_environments import lend_environments
from tests.harness.processes import assert_none_left, end_all, end_builds
from tests.harness.waiting import HANGS_SECONDS, wait_for

# The hub as `make run` starts it, but for what its help needs.
JUPYTERHUB = [sys.executable, str(Path(__file__).with_name("hub_program.py"))]
START_SECONDS = 60
REPLY_SECONDS = 60
LAUNCH_SECONDS = 300
RESTART_SECONDS = 75


class HubProcess:
    """`jupyterhub` of this Python with `configure` in its configuration, on free ports of loopback.

    Attributes:
        url: the hub's public address with its base URL, without a slash at the end.
        state: the directory given to `configure`.
        admin_token: of a hub service that may do everything.

    Args:
        config: more lines of its configuration.
        more: more arguments of `configure`.
        python: the Python that runs it.
    """

    def __init__(
        self,
        directory: Path,
        *,
        config: str = "",
        base_url: str = "/",
        outsiders: set[str] | None = None,
        more: Mapping[str, Any] | None = None,
        python: str = sys.executable,
    ) -> None:
        self.directory = directory
        self.state = directory / "state"
        written = write_config(directory, base_url=base_url, outsiders=outsiders or set(), extra=config, more=more)
        self.config_file, self.url, self.admin_token = written
        self.base_url = base_url
        self.service_url = f"{self.url}/services/binder"
        self._log_file = directory / "hub.log"
        self._python = python
        self._service_user = (more or {}).get("service_user", "")
        self._service_settings: Mapping[str, Any] = (more or {}).get("service", {})
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the hub and wait until it and its service answer."""
        if not shutil.which("configurable-http-proxy"):
            raise RuntimeError("configurable-http-proxy is not on PATH; `make test` puts it there")
        if not self._service_user:
            self._begin_state()
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "CONFIGPROXY_"))}
        with self._log_file.open("ab") as log:
            command = [self._python, *JUPYTERHUB[1:], "-f", str(self.config_file)]
            self._process = subprocess.Popen(command, cwd=self.directory, env=environment, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(self._is_up, "the hub and its service to answer", START_SECONDS, every_seconds=0.2)
        except BaseException:
            end_all(self.directory)
            sys.stderr.write(self.log())
            raise

    def _begin_state(self) -> None:
        """Put into a state directory that nothing has used yet what would take long to be made: bytecode, tables, JupyterHub's wheel."""
        is_new = not self.state.exists()
        lend_environments(self.state, self._service_settings)
        if is_new:
            self.state.mkdir(mode=0o700, exist_ok=True)
            write_empty_database(self.state / "service.sqlite")
            shutil.copytree(server_packages(Path(sys.prefix, "for-tests")), self.state / FOLDER)

    def stop(self) -> None:
        """End the hub as Ctrl-C does, then builds that go on without it; fail if anything else is left."""
        if self._process and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(HANGS_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        end_builds(self.state)
        assert_none_left(self.directory)

    def kill(self) -> None:
        """Kill the hub and all its processes without a warning; `start` starts it again."""
        end_all(self.directory)
        assert self._process
        self._process.wait()

    def kill_hub_alone(self) -> None:
        """Kill the hub's own process and its proxy, as running out of memory may; the service and builds are not touched."""
        assert self._process
        for child in psutil.Process(self._process.pid).children():
            if "configurable-http-proxy" in " ".join(child.cmdline()):
                child.kill()
        self._process.kill()
        self._process.wait()

    def is_running(self) -> bool:
        """Whether the hub itself lives."""
        return self._process is not None and self._process.poll() is None

    def log(self) -> str:
        """Return everything that the hub, its proxy and its service wrote."""
        return self._log_file.read_text(errors="replace")

    def _is_up(self) -> bool:
        if not self.is_running():
            raise RuntimeError("the hub ended while it started; see its log")
        try:
            hub = httpx.get(f"{self.url}/hub/health")
            return hub.is_success and self.service_is_up()
        except httpx.TransportError:
            return False

    def service_is_up(self) -> bool:
        """Whether the service answers through the proxy."""
        try:
            return httpx.get(f"{self.service_url}/health", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    # The service's process

    def service_pid(self) -> int | None:
        """Return the service's process id; None while there is none."""
        assert self._process
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended
                if child.status() != psutil.STATUS_ZOMBIE and "binderhub_service" in child.cmdline():
                    return child.pid
        return None

    def kill_service(self) -> int:
        """Kill the service without a warning and return the process id it had."""
        pid = self.service_pid()
        assert pid, "there is no service to kill"
        os.kill(pid, signal.SIGKILL)
        return pid

    def wait_for_another_service(self, killed_pid: int) -> None:
        """Wait until the hub, which looks after its service, has started it again and it answers."""
        wait_for(lambda: self.service_pid() not in {None, killed_pid} and self.service_is_up(), "the hub to start the service again", RESTART_SECONDS)

    # Asking, with tokens

    def api(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Ask the hub's REST API, as the administrator unless a `token` is given; `path` begins after ``/hub/api``."""
        return self._ask(method, f"{self.url}/hub/api{path}", token or self.admin_token, options)

    def service(self, method: str, path: str, token: str | None = None, **options: Any) -> httpx.Response:
        """Ask the service, without a login unless a `token` is given; `path` begins after ``/services/binder``."""
        return self._ask(method, f"{self.service_url}{path}", token, options)

    def token(self, user: str, scopes: list[str] | None = None) -> str:
        """Make a token of `user`'s that may what they may, or only `scopes`."""
        asked = {"note": "tests"} | ({"scopes": scopes} if scopes is not None else {})
        made: str = self._sure(self.api("POST", f"/users/{user}/tokens", json=asked)).json()["token"]
        return made

    def _ask(self, method: str, url: str, token: str | None, options: dict[str, Any]) -> httpx.Response:
        headers = {"Authorization": f"token {token}"} if token else {}
        headers |= options.pop("headers", {})
        return httpx.request(method, url, headers=headers, timeout=REPLY_SECONDS, **options)

    def _sure(self, reply: httpx.Response) -> httpx.Response:
        assert reply.is_success, f"{reply.request.method} {reply.url}: {reply.status_code} {reply.text}"
        return reply

    # Asking, as a browser does

    @contextmanager
    def login(self, user: str) -> Iterator[httpx.Client]:
        """Give a client in which `user` has signed in to the hub."""
        with httpx.Client(follow_redirects=True, timeout=REPLY_SECONDS) as client:
            client.get(f"{self.url}/hub/login")
            form = {"username": user, "password": ADMIN_PASSWORD if user == ADMIN else PASSWORD, "_xsrf": self.xsrf(client, "/hub/")}
            reply = self._sure(client.post(f"{self.url}/hub/login", data=form, headers={"Sec-Fetch-Mode": "navigate"}))
            assert "/login" not in reply.url.path, f"{user} could not sign in"
            yield client

    @contextmanager
    def login_to_service(self, user: str) -> Iterator[httpx.Client]:
        """Give a client in which `user` is signed in to the hub and has opened the service's first page, and so has its cookies."""
        with self.login(user) as client:
            self._sure(client.get(f"{self.service_url}/"))
            yield client

    def xsrf(self, client: httpx.Client, path: str) -> str:
        """Return the value of the XSRF cookie for `path` (e.g. ``/services/binder/``)."""
        wanted = self.base_url.rstrip("/") + path
        return next(cookie.value or "" for cookie in client.cookies.jar if cookie.name == "_xsrf" and cookie.path == wanted)

    # Builds

    def build(self, repo: str, token: str, **asked: Any) -> dict[str, Any]:
        """Ask for a build and return it as it is at once."""
        build: dict[str, Any] = self._sure(self.service("POST", "/api/builds", token, json={"repo": repo} | asked)).json()
        return build

    def follow(self, build_id: str, token: str, after: int = 0, comments: list[str] | None = None) -> list[sse.Sent]:
        """Read a build's events until the service closes the stream."""
        return list(self.events(build_id, token, after, comments))

    def events(self, build_id: str, token: str, after: int = 0, comments: list[str] | None = None) -> Iterator[sse.Sent]:
        """Yield a build's events as they come; close the iterator to go away."""
        address = f"{self.service_url}/api/builds/{build_id}/events"
        with self._stream(address, token, {"after": after} if after else {}) as lines:
            yield from sse.read(lines, comments)

    def read_to(self, build_id: str, token: str, text: str) -> list[sse.Sent]:
        """Return a build's events up to a line that ends with `text`, and go away."""
        seen: list[sse.Sent] = []
        for event in self.events(build_id, token):
            seen.append(event)
            if str(event.data.get("text")).endswith(text):
                break
        return seen

    def read_on(self, build_id: str, token: str, seen: list[sse.Sent]) -> list[sse.Sent]:
        """Return all events of a build whose beginning was read before, none of them missing or told twice."""
        event_log = seen + self.follow(build_id, token, after=seen[-1].number)
        assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
        return event_log

    def finished(self, repo: str, token: str, **asked: Any) -> dict[str, Any]:
        """Ask for a build, follow it to its end and return it as it is then."""
        build = self.build(repo, token, **asked)
        self.follow(build["id"], token)
        ended: dict[str, Any] = self._sure(self.service("GET", f"/api/builds/{build['id']}", token)).json()
        return ended

    # Servers

    def start_server(self, user: str, options: dict[str, Any], name: str = "") -> httpx.Response:
        """Ask the hub to start `user`'s server `name`."""
        return self.api("POST", self._server(user, name), json=options)

    def progress(self, user: str, name: str = "", token: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield what the hub tells about a pending spawn, until it closes the stream."""
        with self._stream(f"{self.url}/hub/api{self._server(user, name)}/progress", token or self.admin_token, {}) as lines:
            yield from (sent.data for sent in sse.read(lines))

    def launch(self, user: str, options: dict[str, Any], name: str = "") -> list[dict[str, Any]]:
        """Start a server and return everything that the hub told about it; the last says ``ready`` or ``failed``."""
        reply = self.start_server(user, options, name)
        if reply.is_client_error:
            return [{"failed": True, "progress": 100, "message": reply.json()["message"], "status": reply.status_code}]
        self._sure(reply)
        return list(self.progress(user, name))

    def stop_server(self, user: str, name: str = "") -> None:
        """Stop a server and wait until the hub has forgotten it."""
        self._sure(self.api("DELETE", self._server(user, name)))
        wait_for(lambda: name not in self.servers(user), f"the end of {user}'s server {name!r}", every_seconds=0.2)

    def servers(self, user: str) -> dict[str, dict[str, Any]]:
        """Return `user`'s servers that run or are about to, by name."""
        found: dict[str, dict[str, Any]] = self._sure(self.api("GET", f"/users/{user}")).json()["servers"]
        return found

    def stop_servers(self, *users: str) -> None:
        """Stop these users' servers, or everybody's."""
        for user in users or [user["name"] for user in self._sure(self.api("GET", "/users")).json()]:
            for name in self.servers(user):
                self.stop_server(user, name)

    def _server(self, user: str, name: str) -> str:
        return f"/users/{user}/servers/{name}" if name else f"/users/{user}/server"

    @contextmanager
    def _stream(self, address: str, token: str, query: dict[str, Any]) -> Iterator[Iterator[str]]:
        headers = {"Authorization": f"token {token}", "Accept": "text/event-stream"}
        with httpx.stream("GET", address, headers=headers, params=query, timeout=LAUNCH_SECONDS) as reply:
            if not reply.is_success:
                reply.read()
            self._sure(reply)
            yield reply.iter_lines()
