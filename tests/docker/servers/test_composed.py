"""An operator's own containers beside those from repositories, in a real engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from dockerspawner import DockerSpawner

from spawner.composition import composed_class
from spawner.docker.spawner import DockerRepoSpawner
from tests.docker.servers.engine import TestEngine
from tests.harness.waiting import until
from tests.spawner.fakes import FakeService, Hub, ask_server, running_hub
from tests.spawner.servers import START_SECONDS, Servers

pytestmark = [
    pytest.mark.filterwarnings("default"),  # a whole hub runs in here
    pytest.mark.asyncio,
]


class ContainersOfTheirs(DockerSpawner):
    """An operator's class, which keeps containers."""

    def get_env(self) -> dict[str, str]:
        return {**super().get_env(), "OF_THEIR_CLASS": "yes"}


@pytest_asyncio.fixture
async def servers(tmp_path: Path, test_engine: TestEngine, fake_image: str) -> AsyncIterator[Servers]:
    service = FakeService()
    await service.start()
    settings: dict[str, dict[str, Any]] = {
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1, "cmd": ["jupyterhub-singleuser"]},
        "Spawner": {"start_timeout": START_SECONDS, "environment": {"OF_THE_OPERATOR": "yes"}},
        "DockerSpawner": {
            "image": fake_image,
            "cmd": ["jupyterhub-singleuser", "--theirs"],
            "remove": False,
            "name_template": f"{test_engine.mark}-theirs-{{username}}",
            "mem_limit": "300M",
        },
        "DockerRepoSpawner": {"prefix": test_engine.mark, "name_template": "{prefix}-{username}--{servername}"},
    }
    async with running_hub(tmp_path, composed_class(ContainersOfTheirs, DockerRepoSpawner), settings) as hub:
        yield Servers(hub, service)
        await hub.clear()
    await service.stop()


async def ordinary(hub: Hub) -> dict[str, Any]:
    """Start alice's ordinary server and return what it says about itself."""
    async with hub.api("alice") as api:
        await api.post("users/alice/server", json={"size": "big"})
    spawner = hub.user("alice").spawners[""]
    await until(lambda: not spawner.pending, "the end of a start")
    assert spawner.ready, spawner._spawn_future.exception()
    return await ask_server(spawner.server.url)


async def test_an_operators_containers_are_kept_beside_those_from_repositories(servers: Servers, test_engine: TestEngine, fake_image: str) -> None:
    hub, engine = servers.hub, test_engine.client
    theirs = f"{test_engine.mark}-theirs-alice"
    told = await ordinary(hub)
    assert told["arguments"][1:] == ["--theirs"]
    made = engine.inspect_container(theirs)
    await servers.stop()
    told = await servers.started(fake_image)
    assert "--theirs" not in told["arguments"]
    assert told["environment"].items() >= {"OF_THEIR_CLASS": "yes", "OF_THE_OPERATOR": "yes", "HOME": "/home/person"}.items()
    container = engine.inspect_container(hub.user("alice").spawners[""].get_state()["object_name"])
    assert container["HostConfig"]["Memory"] == made["HostConfig"]["Memory"] == 300 * 2**20
    assert (container["HostConfig"]["CapDrop"], made["HostConfig"]["CapDrop"]) == (["ALL"], None)
    await servers.stop()
    assert (await ordinary(hub))["environment"]["OF_THEIR_CLASS"] == "yes"
    assert engine.inspect_container(theirs)["Id"] == made["Id"], "the operator's container goes on where it was"
