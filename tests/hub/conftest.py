"""A hub with narrow limits, and builds that several tests of the wire read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess


@pytest.fixture(scope="session")
def strict_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub that stops after one failed start, and whose service launches no server."""
    config, quota = "c.Spawner.consecutive_failure_limit = 1", {"LaunchQuota": {"total_quota": 0}}
    with HubProcess(tmp_path_factory.mktemp("strict"), config=config, more={"service": quota}) as hub:
        yield hub


@pytest.fixture(scope="package")
def lab_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub with a base URL that stops after five failed starts, and whose servers have JupyterLab."""
    config = "c.Spawner.consecutive_failure_limit = 5"
    with HubProcess(tmp_path_factory.mktemp("lab"), config=config, base_url="/jh/") as hub:
        yield hub
        hub.stop_servers()


@pytest.fixture(scope="session")
def finished(shared_hub: HubProcess, alice: str, git_server: GitServer) -> dict[str, Any]:
    """A build of alice's that ended well."""
    repository = git_server.create("api/finished", {"README.md": "hello\n"})
    build = shared_hub.finished(repository.url, alice)
    assert build["state"] == "ready", build["error"]
    return build


@pytest.fixture
def hanging(hub: HubProcess, alice: str, new_repository: Callable[..., Repository]) -> dict[str, Any]:
    """A build of alice's that goes on until the Git server answers, which it does not."""
    repository = new_repository({"a": "b"})
    commit = repository.rev("main")
    repository.hang()
    return hub.build(repository.url, alice, ref=commit)
