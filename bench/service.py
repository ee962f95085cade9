"""The real service as a process of its own, without a hub around it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

import httpx

from bench.hub_api import TOKEN
from tests.harness.ports import free_ports
from tests.harness.processes import end_builds
from tests.harness.waiting import wait_for

PREFIX = "/services/binder/"
HEADERS = {"Authorization": f"token {TOKEN}"}


class Service:
    """``python -m binderhub_service`` on loopback, as a hub would start it.

    Args:
        state: its state directory.
        hub_api: the address of the hub's REST API.
        settings: more settings, by class.

    Attributes:
        start_seconds: how long it took from its start until it answered.
    """

    def __init__(self, state: Path, hub_api: str, settings: dict[str, Any] | None = None) -> None:
        self.state = state
        self.port = free_ports(1)[0]
        self.url = f"http://127.0.0.1:{self.port}{PREFIX}"
        self.start_seconds = 0.0
        self._hub_api = hub_api
        # Environments hold only pip: what is measured with this service does not depend on what is in them.
        ours = {"BinderService": {"state_dir": str(state)}, "EmbeddedMode": {"base_requirements": ["pip"]}}
        self._settings = ours | (settings or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process
        return self._process.pid

    def __enter__(self) -> Self:
        self.state.mkdir(parents=True, exist_ok=True)
        begun = time.perf_counter()
        with (self.state.parent / f"{self.state.name}.log").open("ab") as log:
            command = [sys.executable, "-m", "binderhub_service"]
            self._process = subprocess.Popen(command, env=self._environment(), stdout=log, stderr=log, start_new_session=True)
        wait_for(self._answers, "the service", timeout_seconds=120, every_seconds=0.01)
        self.start_seconds = time.perf_counter() - begun
        return self

    def __exit__(self, *problem: object) -> None:
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        end_builds(self.state)

    def ask(self, repo: str, ref: str = "") -> dict[str, Any]:
        """Ask for a build."""
        reply = httpx.post(f"{self.url}api/builds", json={"repo": repo, "ref": ref}, headers=HEADERS, timeout=60)
        build: dict[str, Any] = reply.raise_for_status().json()
        return build

    def get(self, path: str) -> httpx.Response:
        """Ask for anything below the service's address."""
        return httpx.get(f"{self.url}{path}", headers=HEADERS, timeout=60).raise_for_status()

    def finished(self, build: dict[str, Any], timeout_seconds: float = 120) -> dict[str, Any]:
        """Wait until a build has ended; return it as it is then."""

        def ended() -> dict[str, Any] | None:
            known: dict[str, Any] = self.get(f"api/builds/{build['id']}").json()
            return known if known["finished"] else None

        known = wait_for(ended, "the end of a build", timeout_seconds, every_seconds=0.1)
        assert known is not None
        assert known["state"] == "ready", known["error"]
        return known

    def _answers(self) -> bool:
        assert self._process
        assert self._process.poll() is None, "the service ended while it started"
        try:
            return httpx.get(f"{self.url}health", timeout=5).is_success
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("JUPYTERHUB_", "BINDERHUB_"))}
        scopes = json.dumps(["access:services!service=binder", "access:services"])
        return kept | {
            "JUPYTERHUB_API_TOKEN": "token-of-the-service",
            "JUPYTERHUB_API_URL": self._hub_api,
            "JUPYTERHUB_BASE_URL": "/",
            "JUPYTERHUB_CLIENT_ID": "service-binder",
            "JUPYTERHUB_OAUTH_ACCESS_SCOPES": scopes,
            "JUPYTERHUB_OAUTH_SCOPES": scopes,
            "JUPYTERHUB_SERVICE_NAME": "binder",
            "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{self.port}",
            "BINDERHUB_SERVICE_CONFIG": json.dumps(self._settings),
        }
