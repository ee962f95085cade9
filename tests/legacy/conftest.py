"""One hub with all APIs of older services, for all their contract tests."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.hub_config import WITHOUT_LAB
from tests.harness.ports import free_ports
from tests.harness.waiting import wait_for

KEY = "the-key-of-clients-that-know-no-hub"


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """The ports on which each API is alone."""
    return dict(zip(("binder-build", "registry", "boatyard"), free_ports(3), strict=True))


@pytest.fixture(scope="session")
def legacy_hub(tmp_path_factory: pytest.TempPathFactory, git_server: GitServer, ports: dict[str, int]) -> Iterator[HubProcess]:
    """The hub, whose GitHub is the tests' Git server; no request may have been answered by a traceback."""
    apis = {"binder_build": True, "registry": True, "boatyard": True, "api_key": KEY, "ports": ports}
    settings = {"LegacyApis": apis, "GitHubProvider": {"url": git_server.url}, **WITHOUT_LAB}
    with HubProcess(tmp_path_factory.mktemp("legacy"), more={"service": settings}) as hub:
        yield hub
        assert "/binderhub_service/handlers/" not in hub.log()


@contextmanager
def serving_alone(name: str, state: Path, *settings: str, **environment: str) -> Iterator[int]:
    """Serve an API by the command line; give the port."""
    [port] = free_ports(1)
    command = [sys.executable, "-m", "binderhub_service", "serve", name, f"--port={port}", f"--state-dir={state}", *settings]
    with subprocess.Popen(command, env=os.environ | environment) as process:
        try:
            wait_for(lambda: answers(port), f"{name} on its port", 30, every_seconds=0.1)
            yield port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    """Whether something other than a service that starts answers."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/nothing").status_code != 503
    except httpx.TransportError:
        return False


@pytest.fixture(scope="session")
def port_beside(legacy_hub: HubProcess) -> Iterator[int]:
    """The port of a process beside the hub's service that serves the registry's API."""
    with serving_alone("registry", legacy_hub.state) as port:
        yield port


class Api:
    """An older service's API at its mount point, or alone on a port."""

    def __init__(self, hub: HubProcess, name: str, port: int = 0) -> None:
        self.mount = "" if port else f"/services/binder/{name}"
        self._url = f"http://127.0.0.1:{port}" if port else f"{hub.service_url}/{name}"

    def ask(self, method: str, path: str, authorization: str | None = None, **options: Any) -> httpx.Response:
        """Send a request with a value of the header ``Authorization``."""
        headers = options.pop("headers", {}) | ({} if authorization is None else {"Authorization": authorization})
        return httpx.request(method, self._url + path, headers=headers, timeout=60, **options)
