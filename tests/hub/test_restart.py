"""A build belongs to no process: the service can be killed in the middle of it."""

from __future__ import annotations

from collections.abc import Callable

import psutil

from tests.harness.gate import AFTER, BEFORE, Gate
from tests.harness.git_server import Repository
from tests.harness.hub import HubProcess
from tests.harness.waiting import wait_for


def test_a_service_killed_in_the_middle_goes_on_with_the_same_build(
    hub: HubProcess, alice: str, admin: str, gate: Gate, new_repository: Callable[..., Repository]
) -> None:
    repository = new_repository({"postBuild": gate.post_build})
    assert hub.start_server("bob", {"repo": repository.url}).is_success
    gate.wait_until_reached()
    build = hub.build(repository.url, alice)
    process = int((hub.state / "builds" / build["id"] / "pid").read_text().split()[0])

    before = hub.read_to(build["id"], alice, BEFORE)
    killed = hub.kill_service()
    assert psutil.pid_exists(process), "the build does not notice"
    gate.open()
    hub.wait_for_another_service(killed)

    event_log = hub.read_on(build["id"], alice, before)
    assert event_log[-1].data["state"] == "ready"
    texts = [event.data.get("text") for event in event_log]
    assert (texts.count(BEFORE), texts.count(AFTER)) == (1, 1)
    assert hub.follow(build["id"], alice) == event_log
    assert hub.service("POST", "/api/builds", alice, json={"repo": repository.url}).json()["id"] == build["id"]
    wait_for(lambda: hub.servers("bob").get("", {}).get("ready"), "the server whose build was interrupted")
    assert list(hub.progress("bob"))[-1]["ready"]
    hub.stop_server("bob")
