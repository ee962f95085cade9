"""A hub that is there gets servers from repositories by one call, and goes back, while people's servers run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.hub_config import WITHOUT_LAB
from tests.spawner.fakes import make_environment

OPERATORS = """
from jupyterhub.spawner import SimpleLocalProcessSpawner

class TheirSpawner(SimpleLocalProcessSpawner):
    def get_env(self):
        return {{**super().get_env(), "OF_THEIR_CLASS": "yes"}}

c.JupyterHub.spawner_class = TheirSpawner
c.JupyterHub.allow_named_servers = True
c.JupyterHub.cleanup_servers = False
c.TheirSpawner.home_dir_template = "{homes}/{{username}}"
c.TheirSpawner.cmd = ["{program}"]
c.Spawner.notebook_dir = "/their/notebooks"
"""


class ExistingHub(HubProcess):
    """A hub that an operator has, with the call of `configure` or without."""

    def __init__(self, directory: Path) -> None:
        program = make_environment(directory / "environment") / "bin" / "jupyterhub-singleuser"
        config = OPERATORS.format(homes=directory / "homes", program=program)
        super().__init__(directory, config=config, more={"required": False, "service": WITHOUT_LAB})
        self._with_call = self.config_file.read_text()
        self._called = True

    def call(self, *, configure: bool) -> None:
        """Write the configuration with the call or without."""
        lines = [line for line in self._with_call.splitlines() if configure or not line.startswith(("configure(", "from spawner"))]
        self.config_file.write_text("\n".join(lines))
        self._called = configure

    def again(self, *, configure: bool) -> None:
        """Start the hub anew, with the call or without, while servers run."""
        self.kill_hub_alone()
        self.call(configure=configure)
        self.start()

    def service_is_up(self) -> bool:
        return not self._called or super().service_is_up()

    def told(self, server: str, token: str) -> dict[str, Any]:
        """Return what a server of alice's says about itself."""
        told: dict[str, Any] = httpx.get(f"{self.url}/user/alice/{server}", headers={"Authorization": f"token {token}"}).raise_for_status().json()
        return told


@pytest.fixture
def existing(tmp_path: Path) -> Iterator[ExistingHub]:
    hub = ExistingHub(tmp_path)
    hub.call(configure=False)
    with hub:
        yield hub
        hub.stop_servers()


def test_running_servers_stay_when_repositories_come_and_when_they_go(existing: ExistingHub, git_server: GitServer) -> None:
    hub = existing
    token = hub.token("alice")
    assert hub.launch("alice", {})[-1].get("ready")
    before = hub.told("", token)
    hub.again(configure=True)
    assert hub.servers("alice")[""]["ready"]
    assert hub.told("", token)["pid"] == before["pid"]

    repository = git_server.create("existing/plain", {"README.md": "hello"})
    launch = hub.service("POST", "/api/launches", token, json={"repo": repository.url}).raise_for_status().json()["server"]
    assert list(hub.progress("alice", launch))[-1].get("ready")
    assert hub.launch("alice", {}, "ordinary")[-1].get("ready")
    after = hub.told("ordinary/", token)
    assert after["arguments"] == before["arguments"]
    assert after["cwd"] == before["cwd"] == str(hub.directory / "homes" / "alice")
    assert after["environment"].keys() == before["environment"].keys()
    same = {"OF_THEIR_CLASS", "HOME", "PATH", "USER", "JUPYTERHUB_ROOT_DIR"}
    assert same <= before["environment"].keys()
    assert all(after["environment"][name] == before["environment"][name] for name in same)

    hub.again(configure=False)
    assert {name: server["ready"] for name, server in hub.servers("alice").items()} == {"": True, "ordinary": True, launch: True}
    hub.stop_server("alice", launch)
    assert hub.launch("alice", {}, "later")[-1].get("ready")
