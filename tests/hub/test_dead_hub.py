"""A hub that is killed in the middle of a start, and started again: no second server in one copy, no second service on one state."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.harness.git_server import Repository
from tests.harness.hub import RESTART_SECONDS, HubProcess
from tests.harness.waiting import wait_for

CONFIG = "c.JupyterHub.cleanup_servers = False\n"


def servers_in(copies: Path) -> list[psutil.Process]:
    """Return the processes that lead a server's group and work in one of these copies."""
    found = []
    for process in psutil.process_iter():
        try:
            here = Path(process.environ().get("JUPYTERHUB_ROOT_DIR", "/")).is_relative_to(copies)
        except psutil.Error:
            continue
        if here and process.status() != psutil.STATUS_ZOMBIE and process.pid == os.getpgid(process.pid):
            found.append(process)
    return found


@pytest.mark.timeout(400)
def test_a_server_whose_hub_was_killed_while_it_started_makes_way(
    start_hub: Callable[..., HubProcess], new_repository: Callable[..., Repository], tmp_path: Path
) -> None:
    opened = tmp_path / "open"
    repository = new_repository({"start": f"#!/bin/sh\nwhile [ ! -e '{opened}' ]; do sleep 0.1; done\nexec \"$@\"\n"})
    hub = start_hub(config=CONFIG)
    people = hub.state / "people"
    assert hub.start_server("bob", {"repo": repository.url}).is_success
    wait_for(lambda: len(servers_in(people)) == 1, "the start script", RESTART_SECONDS)
    [forgotten] = servers_in(people)

    hub.kill_hub_alone()
    assert forgotten.is_running(), "the start script does not notice"
    opened.touch()
    hub.start()
    assert hub.start_server("bob", {"repo": repository.url}).is_success
    wait_for(lambda: hub.servers("bob").get("", {}).get("ready"), "the server", RESTART_SECONDS)
    [running] = servers_in(people)
    assert running != forgotten
    hub.stop_server("bob")
