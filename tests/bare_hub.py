"""A real hub with a configuration of the test's own and nothing more, for tests of how a hub is configured and signed in to."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.harness.hub import JUPYTERHUB
from tests.harness.ports import free_ports
from tests.harness.processes import assert_none_left
from tests.harness.waiting import HANGS_SECONDS, wait_for

CONFIG = """\
c = get_config()  # noqa: F821
c.JupyterHub.bind_url = "http://127.0.0.1:{port}"
c.JupyterHub.hub_bind_url = "http://127.0.0.1:{hub_port}"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{proxy_port}"
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
"""


@dataclass(frozen=True)
class BareHub:
    """A running hub: its address and where its log and its files are."""

    url: str
    directory: Path

    def log(self) -> str:
        """Return everything that the hub wrote."""
        return (self.directory / "hub.log").read_text(errors="replace")

    def browser(self) -> httpx.Client:
        """Return a client that keeps cookies and follows no redirect; close it when done."""
        return httpx.Client(base_url=self.url, headers={"Sec-Fetch-Mode": "navigate"}, timeout=60)

    def answers(self) -> bool:
        """Whether the hub answers through its proxy."""
        try:
            return httpx.get(f"{self.url}/hub/health").status_code == 200
        except httpx.TransportError:
            return False


@contextmanager
def running(directory: Path, config: str) -> Iterator[BareHub]:
    """Run a hub in `directory` with `config` after the addresses; end it and fail if it leaves a process."""
    port, hub_port, proxy_port = free_ports(3)
    file = directory / "jupyterhub_config.py"
    file.write_text(CONFIG.format(port=port, hub_port=hub_port, proxy_port=proxy_port) + config)
    hub = BareHub(f"http://127.0.0.1:{port}", directory)
    with (directory / "hub.log").open("wb") as log:
        command = [*JUPYTERHUB, "-f", str(file)]
        process = subprocess.Popen(command, cwd=directory, env=os.environ, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: hub.answers() or process.poll() is not None, "the hub to answer")
        assert process.poll() is None, hub.log()
        yield hub
    finally:
        process.terminate()
        process.wait(HANGS_SECONDS)
        assert_none_left(directory)
