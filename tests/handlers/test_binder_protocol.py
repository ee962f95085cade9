"""The events of BinderHub's ``/build`` as pure functions of ours."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binderhub_service.errors import INTERNAL_ERROR, InvalidRequest, NotAllowed
from binderhub_service.handlers.binder import protocol
from binderhub_service.models import Event, Kind


@pytest.mark.parametrize(
    ("kind", "payload", "told"),
    [
        (Kind.PHASE, {"phase": "fetching", "message": "Fetching"}, {"phase": "fetching", "message": "Fetching\n"}),
        (Kind.PHASE, {"phase": "building", "message": "Building"}, {"phase": "building", "message": "Building\n"}),
        (Kind.PHASE, {"phase": "pushing", "message": "Pushing"}, {"phase": "pushing", "message": "Pushing\n"}),
        (Kind.PHASE, {"phase": "done", "message": "Done"}, None),
        (Kind.LOG, {"text": "a line"}, {"phase": "building", "message": "a line\n"}),
        (Kind.QUEUE, {"position": 2, "estimate_seconds": None}, {"phase": "waiting", "message": "The build is number 2 in the queue.\n"}),
        (
            Kind.QUEUE,
            {"position": 2, "estimate_seconds": 40},
            {"phase": "waiting", "message": "The build is number 2 in the queue; it may take about 40 s until its turn.\n"},
        ),
        (Kind.END, {"state": "ready", "error": None}, None),
        (Kind.END, {"state": "failed", "error": {"message": "No.", "hint": "Do."}}, {"phase": "failed", "message": "No. Do.\n"}),
    ],
)
def test_events_of_builds_are_told_in_binderhubs_phases(kind: Kind, payload: dict[str, Any], told: dict[str, Any] | None) -> None:
    assert protocol.from_build(Event(1, kind, json.dumps(payload)), "building") == told


def test_an_error_is_told_with_its_status() -> None:
    assert protocol.failed(NotAllowed("Forbidden")) == {"phase": "failed", "message": "Forbidden\n", "status_code": 403}
    assert protocol.failed(InvalidRequest("No.", hint="Do."))["message"] == "No. Do.\n"
    assert protocol.failed(INTERNAL_ERROR)["status_code"] == 500


def test_a_server_that_is_ready_is_told_with_all_fields() -> None:
    told = protocol.ready_server("https://h/user/a/s/", "t", "image:1", "https://git/r", {"binder_request": "v2/git/r/main"})
    assert told == {
        "phase": "ready",
        "message": "server running at https://h/user/a/s/\n",
        "image": "image:1",
        "repo_url": "https://git/r",
        "token": "t",
        "binder_request": "v2/git/r/main",
        "url": "https://h/user/a/s/",
    }


def test_a_frame_is_one_line_of_json_whatever_is_in_it() -> None:
    frame = protocol.frame({"phase": "building", "message": "a\nb\r\n\ndata: x"}, "0abc", 7)
    assert frame.startswith(b"id: 0abc.7\ndata: {")
    assert frame.endswith(b"}\n\n")
    assert frame.count(b"\n") == 3
    assert b"\r" not in frame


@pytest.mark.parametrize(
    ("header", "place"),
    [("0abc.7", ("0abc", 7)), ("", ("", 0)), ("7", ("", 0)), ("0abc.", ("", 0)), ("0abc.7x", ("", 0)), ("../x.7", ("", 0)), ("0abc.٣", ("", 0))],
)
def test_a_client_goes_on_behind_the_event_that_it_saw_last(header: str, place: tuple[str, int]) -> None:
    assert protocol.resumed_from(header) == place


@pytest.mark.parametrize(
    ("accept", "accepts"),
    [
        ("text/event-stream", True),
        ("Text/Event-Stream;q=0.9", True),
        ("text/event-stream, */*", True),
        ("", False),
        ("*/*", False),
        ("text/html,application/xhtml+xml,*/*;q=0.8", False),
    ],
)
def test_a_client_has_to_accept_event_streams(accept: str, accepts: bool) -> None:
    assert protocol.accepts_events(accept) is accepts
