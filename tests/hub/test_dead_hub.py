"""A hub that is killed and started again: no second server in one copy, no second service on one state, and servers that ran go on."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from spawner.local.spawner import PROCESS_FILE
from tests.harness.git_server import GitServer
from tests.harness.hub import RESTART_SECONDS, HubProcess
from tests.harness.hub_config import WITHOUT_LAB
from tests.harness.waiting import wait_for

CONFIG = "c.JupyterHub.cleanup_servers = False\n"
# The program that the first releases started; today's command is another one.
FORMER = "#!/bin/sh\nexec jupyterhub-singleuser --allow-root\n"


@dataclass(frozen=True)
class Restarted:
    """A hub that was killed and has started again.

    Attributes:
        repo: whose server bob's is.
        pending: bob's server, which was starting when the hub was killed.
        former: alice's, which had started, with no more noted about it than the release of 21 November 2026 did.
    """

    hub: HubProcess
    repo: str
    pending: psutil.Process
    former: psutil.Process


def servers_of(hub: HubProcess, user: str) -> list[psutil.Process]:
    """Return the processes that lead a server's group and work in one of the user's copies."""
    found = []
    for process in psutil.process_iter():
        try:
            here = Path(process.environ().get("JUPYTERHUB_ROOT_DIR", "/")).is_relative_to(hub.state / "people" / user)
        except psutil.Error:
            continue
        if here and process.status() != psutil.STATUS_ZOMBIE and process.pid == os.getpgid(process.pid):
            found.append(process)
    return found


def note_as_the_first_release_did(hub: HubProcess, user: str, process: psutil.Process) -> None:
    """Leave of a server what that release stored in the hub's database, and nothing beside the copies."""
    [file] = (hub.state / "people" / user).rglob(PROCESS_FILE)
    file.unlink()
    with closing(sqlite3.connect(hub.directory / "hub.sqlite")) as database, database:
        where = "user_id = (SELECT id FROM users WHERE name = ?) AND name = ''"
        [[text]] = database.execute(f"SELECT state FROM spawners WHERE {where}", [user])
        build = json.loads(text)["binder"]
        state = {"pid": process.pid, "binder": {"id": build["id"], "image": build["image"]}}
        database.execute(f"UPDATE spawners SET state = ? WHERE {where}", [json.dumps(state), user])


@pytest.fixture(scope="module")
def restarted(tmp_path_factory: pytest.TempPathFactory, git_server: GitServer) -> Iterator[Restarted]:
    """The hub, one for all of these tests."""
    opened = tmp_path_factory.mktemp("gate") / "open"
    waiting = git_server.create("dead-hub/waiting", {"start": f"#!/bin/sh\nwhile [ ! -e '{opened}' ]; do sleep 0.1; done\nexec \"$@\"\n"})
    with HubProcess(tmp_path_factory.mktemp("hub"), config=CONFIG, more={"service": WITHOUT_LAB}) as hub:
        assert hub.launch("alice", {"repo": git_server.create("dead-hub/former", {"start": FORMER}).url})[-1]["ready"]
        [former] = servers_of(hub, "alice")
        assert hub.start_server("bob", {"repo": waiting.url}).is_success
        wait_for(lambda: len(servers_of(hub, "bob")) == 1, "the start script", RESTART_SECONDS)
        [pending] = servers_of(hub, "bob")
        hub.kill_hub_alone()
        note_as_the_first_release_did(hub, "alice", former)
        assert pending.is_running(), "the start script does not notice"
        opened.touch()
        hub.start()
        yield Restarted(hub, waiting.url, pending, former)


def test_a_server_whose_hub_was_killed_while_it_started_makes_way(restarted: Restarted) -> None:
    hub = restarted.hub
    assert hub.start_server("bob", {"repo": restarted.repo}).is_success
    wait_for(lambda: hub.servers("bob").get("", {}).get("ready"), "the server", RESTART_SECONDS)
    [running] = servers_of(hub, "bob")
    assert running != restarted.pending
    hub.stop_server("bob")


def test_a_server_that_the_first_release_started_is_reached_and_stopped(restarted: Restarted) -> None:
    hub, former = restarted.hub, restarted.former
    assert hub.servers("alice")[""]["ready"]
    reply = httpx.get(f"{hub.url}/user/alice/api/status", headers={"Authorization": f"token {hub.token('alice')}"}, timeout=60)
    assert reply.json()["started"]
    assert servers_of(hub, "alice") == [former]
    hub.stop_server("alice")
    assert servers_of(hub, "alice") == []
