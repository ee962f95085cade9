"""A real hub's servers, counted for quotas."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from binderhub_service.errors import Unavailable
from binderhub_service.launches.running_servers import HubServers
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess


@pytest.fixture
def started(hub: HubProcess, git_server: GitServer) -> Iterator[str]:
    """Start two servers of bob's for one repository; return its address."""
    url = git_server.create("running/servers", {"README.md": "hello\n"}).url
    for name in ("one", "two"):
        assert hub.launch("bob", {"repo": url}, name)[-1].get("ready")
    yield url
    hub.stop_servers("bob")


async def test_servers_are_counted_with_the_scopes_for_it_and_not_without(hub: HubProcess, alice: str, started: str) -> None:
    servers = HubServers(f"{hub.url}/hub/api", hub.admin_token)
    running = await servers.running()
    assert sum(started in server.repos for server in running) == 2
    assert {server.key for server in running} >= {("bob", "one"), ("bob", "two")}
    with pytest.raises(Unavailable):
        await HubServers(f"{hub.url}/hub/api", alice).count()
