"""The real service in a process of its own, to be asked, killed, stopped and started again."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.faults.program import UV_VARIABLE
from tests.harness import sse
from tests.harness.empty_database import write_empty_database
from tests.harness.ports import free_ports
from tests.harness.waiting import within

ROOT = Path(__file__).parents[2]
PREFIX = "/services/binder/"
REPLY_SECONDS = 60


class Service:
    """One service and its directory; it is started by `start`, as often as one likes.

    Attributes:
        state: the service's `state_dir`.
        settings: traitlets settings by class.
        source: the working tree whose code runs; this one unless a test names another.
        uv: a program to use as uv; the real one if empty.

    Args:
        address: where it listens; a free port of loopback if empty.
        token: its own, at the hub.
    """

    def __init__(self, directory: Path, hub_api_url: str, *, address: str = "", token: str = "of-the-service") -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.state = directory / "state"
        self.settings: dict[str, dict[str, Any]] = {"EmbeddedMode": {"base_requirements": ["base"]}}
        self.uv = ""
        self.source = ROOT
        self.address = address or f"http://127.0.0.1:{free_ports(1)[0]}"
        self._token = token
        self._hub_api_url = hub_api_url
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process's id."""
        assert self._process, "the service was never started"
        return self._process.pid

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Start it, and wait until it serves."""
        self.spawn()
        await self.answers()

    def spawn(self) -> None:
        """Start it; the first time with a database that has its tables already, unless the test has its own or other code runs."""
        if self.source == ROOT and "database_url" not in self.settings.get("BinderService", {}) and not self.state.exists():
            self.state.mkdir(mode=0o700)
            write_empty_database(self.state / "service.sqlite")
        command = [sys.executable, "-m", "tests.faults.program"]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(command, cwd=self.source, env=os.environ | self.environment(), stdout=log, stderr=log)

    def environment(self) -> dict[str, str]:
        """Return what a hub would put into its environment."""
        settings = {"BinderService": {"state_dir": str(self.state)}} | self.settings
        return {
            "JUPYTERHUB_API_URL": self._hub_api_url,
            "JUPYTERHUB_API_TOKEN": self._token,
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "service-binder",
            "JUPYTERHUB_SERVICE_NAME": "binder",
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_SERVICE_URL": self.address,
            "BINDERHUB_SERVICE_CONFIG": json.dumps(settings),
            UV_VARIABLE: self.uv,
        }

    async def answers(self) -> None:
        """Wait until it serves; while it waits for something, it answers 503."""
        async with within(), httpx.AsyncClient() as client:
            while True:
                assert self.is_running(), f"the service ended while it started: {self.log()}"
                with contextlib.suppress(httpx.TransportError):
                    if (await client.get(f"{self.address}{PREFIX}metrics")).is_success:
                        return
                await asyncio.sleep(0.05)

    def pause(self) -> None:
        """Let the process stand still."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let the process go on."""
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End the process without a warning, if it runs."""
        if self._process:
            self._process.kill()
            self._process.wait()

    async def stop(self) -> None:
        """End the process in good order."""
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        status = await asyncio.to_thread(self._process.wait, 30)
        assert status == 0, f"the service did not end in good order: {self.log()}"

    def build_pid(self, build_id: str) -> int | None:
        """Return the id of a build's process, if it was ever noted."""
        try:
            return int((self.state / "builds" / build_id / "pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    def resident_bytes(self) -> int:
        """Return how much memory the process has."""
        memory: int = psutil.Process(self.pid).memory_info().rss
        return memory

    def log(self) -> str:
        """Return what the process wrote."""
        path = self.directory / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    async def ask(self, method: str, path: str, user: str = "alice", **options: Any) -> httpx.Response:
        """Ask the API; `path` begins after ``api/``."""
        async with httpx.AsyncClient(timeout=REPLY_SECONDS, headers=_headers(user)) as client:
            return await client.request(method, f"{self.address}{PREFIX}api/{path}", **options)

    async def build(self, repo: str, user: str = "alice", **asked: Any) -> dict[str, Any]:
        """Ask for a build and return it as it is at once."""
        reply = await self.ask("POST", "builds", user, json={"repo": repo} | asked)
        assert reply.is_success, reply.text
        build: dict[str, Any] = reply.json()
        return build

    async def get(self, build_id: str) -> dict[str, Any]:
        """Return a build."""
        reply = await self.ask("GET", f"builds/{build_id}", "root-admin")
        assert reply.is_success, reply.text
        build: dict[str, Any] = reply.json()
        return build

    async def event_log(self, build_id: str, after: int = 0) -> list[sse.Sent]:
        """Return a build's events until the service closes the stream."""
        lines: list[str] = []
        async with (
            httpx.AsyncClient(timeout=REPLY_SECONDS, headers=_headers("root-admin")) as client,
            client.stream("GET", f"{self.address}{PREFIX}api/builds/{build_id}/events", params={"after": after}) as reply,
        ):
            assert reply.is_success
            lines += [line async for line in reply.aiter_lines()]
        return list(sse.read(lines))

    async def finished(self, repo: str, user: str = "alice", **asked: Any) -> tuple[dict[str, Any], list[sse.Sent]]:
        """Ask for a build; return it as it is when it has ended, and its event log."""
        build = await self.build(repo, user, **asked)
        event_log = await self.event_log(build["id"])
        return await self.get(build["id"]), event_log


def log_of(event_log: list[sse.Sent]) -> list[str]:
    """Return the lines of the log in an event log."""
    return [event.data["text"] for event in event_log if event.kind == "log"]


def _headers(user: str) -> Mapping[str, str]:
    return {"Authorization": f"token token-of-{user}"}
