"""One hub with all APIs of older services, for all their contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.hub_config import free_ports

KEY = "the-key-of-clients-that-know-no-hub"


@pytest.fixture(scope="session")
def ports() -> dict[str, int]:
    """The ports on which each API is alone."""
    return dict(zip(("binder-build", "registry", "boatyard"), free_ports(3), strict=True))


@pytest.fixture(scope="session")
def legacy_hub(tmp_path_factory: pytest.TempPathFactory, git_server: GitServer, ports: dict[str, int]) -> Iterator[HubProcess]:
    """The hub, whose GitHub is the tests' Git server; no request may have been answered by a traceback."""
    apis = {"binder_build": True, "registry": True, "boatyard": True, "api_key": KEY, "ports": ports}
    settings = {"LegacyApis": apis, "GitHubProvider": {"url": git_server.url}}
    with HubProcess(tmp_path_factory.mktemp("legacy"), more={"service": settings}) as hub:
        yield hub
        assert "/binderhub_service/handlers/" not in hub.log()


class Api:
    """An older service's API at its mount point, or alone on a port."""

    def __init__(self, hub: HubProcess, name: str, port: int = 0) -> None:
        self.mount = "" if port else f"/services/binder/{name}"
        self._url = f"http://127.0.0.1:{port}" if port else f"{hub.service_url}/{name}"

    def ask(self, method: str, path: str, authorization: str | None = None, **options: Any) -> httpx.Response:
        """Send a request with a value of the header ``Authorization``."""
        headers = options.pop("headers", {}) | ({} if authorization is None else {"Authorization": authorization})
        return httpx.request(method, self._url + path, headers=headers, timeout=60, **options)
