"""Builds' event logs over the wire, and giving builds up, through the proxy."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.harness.hub import HubProcess
from tests.harness.processes import session_of
from tests.harness.waiting import wait_for
from tests.harness.wire import error_of


def test_an_event_log_is_numbered_from_one_and_ends_with_end(hub: HubProcess, alice: str, finished: dict[str, Any]) -> None:
    event_log = hub.follow(finished["id"], alice)
    assert [event.number for event in event_log] == list(range(1, len(event_log) + 1))
    assert {event.kind for event in event_log} <= {"phase", "log", "queue", "end"}
    assert [event.kind for event in event_log].count("end") == 1
    assert event_log[-1].kind == "end"
    assert set(event_log[-1].data) == {"state", "image", "environment", "error", "time"}
    assert (event_log[-1].data["state"], event_log[-1].data["image"]) == ("ready", finished["image"])
    phases = [event.data["phase"] for event in event_log if event.kind == "phase"]
    assert phases == sorted(set(phases), key=["queued", "fetching", "building", "pushing", "done"].index)
    assert finished["last_event"] == len(event_log)


@pytest.mark.parametrize("how", ["header", "argument"])
def test_an_event_log_resumes_where_the_reader_was(hub: HubProcess, alice: str, finished: dict[str, Any], how: str) -> None:
    whole = hub.follow(finished["id"], alice)
    asked: dict[str, Any] = {"headers": {"Last-Event-ID": "2"}} if how == "header" else {"params": {"after": 2}}
    reply = hub.service("GET", f"/api/builds/{finished['id']}/events", alice, **asked)
    numbers = [int(number) for number in re.findall(r"^id: ?(\d+)", reply.text, re.MULTILINE)]
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    assert numbers == [event.number for event in whole[2:]]


def test_after_the_end_there_is_nothing_and_the_stream_closes(hub: HubProcess, alice: str, finished: dict[str, Any]) -> None:
    assert hub.follow(finished["id"], alice, after=finished["last_event"]) == []


def test_the_log_is_the_lines_of_the_event_log(hub: HubProcess, alice: str, finished: dict[str, Any]) -> None:
    reply = hub.service("GET", f"/api/builds/{finished['id']}/log", alice)
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.text.splitlines() == [event.data["text"] for event in hub.follow(finished["id"], alice) if event.kind == "log"]


def test_events_and_log_come_while_the_build_runs(hub: HubProcess, alice: str, hanging: dict[str, Any]) -> None:
    events = hub.events(hanging["id"], alice)
    first = next(event for event in events if event.kind == "phase" and event.data["phase"] == "fetching")
    assert hub.service("GET", f"/api/builds/{hanging['id']}/log", alice).status_code == 200
    hub.service("DELETE", f"/api/builds/{hanging['id']}", alice)
    rest = list(events)
    assert [event.number for event in rest] == list(range(first.number + 1, first.number + 1 + len(rest)))
    assert rest[-1].data["state"] == "cancelled"


# Giving up


def test_cancelling_ends_the_build_once(hub: HubProcess, alice: str, hanging: dict[str, Any]) -> None:
    address = f"/api/builds/{hanging['id']}"
    assert hub.service("DELETE", address, alice).status_code == 200
    assert hub.follow(hanging["id"], alice)[-1].data["state"] == "cancelled"
    again = hub.service("DELETE", address, alice)
    assert (again.status_code, bool(error_of(again))) == (409, True)
    build = hub.service("GET", address, alice).json()
    assert (build["state"], build["error"]["code"]) == ("cancelled", "cancelled")


def test_a_cancelled_build_leaves_no_process(hub: HubProcess, alice: str, hanging: dict[str, Any]) -> None:
    pid_file = hub.state / "builds" / hanging["id"] / "pid"
    leader = int(wait_for(lambda: pid_file.exists() and pid_file.read_text().split(), "the build's process")[0])
    hub.service("DELETE", f"/api/builds/{hanging['id']}", alice)
    hub.follow(hanging["id"], alice)
    wait_for(lambda: not session_of(leader), "the end of the build's processes", 15)


def test_saying_that_one_does_not_need_it_ends_a_build_nobody_else_wants(hub: HubProcess, alice: str, bob: str, hanging: dict[str, Any]) -> None:
    hub.build(hanging["repo"], bob, ref=hanging["ref"])
    ask = f"/api/builds/{hanging['id']}/ask"
    assert hub.service("DELETE", ask, alice).json()["state"] in {"queued", "running"}
    assert hub.service("DELETE", ask, bob).status_code == 200
    assert hub.follow(hanging["id"], alice)[-1].data["state"] == "cancelled"
    assert hub.service("DELETE", ask, bob).status_code == 200, "also when it has ended"
