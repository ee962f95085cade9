"""What happens to a build and a launch, in the events of BinderHub's ``/build``; pure.

Clients end at the phases ``failed`` and ``ready`` and only show the others. Every event has a message, and ends it with a line feed,
since clients print messages as they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from ...errors import INTERNAL_ERROR, BinderError
from ...models import Event, Kind, Phase

Told = dict[str, Any]

WAITING = "Waiting for build to start..."
FOUND = "Found built image, launching..."
BUILT = "Built image, launching..."
LAUNCHING = "Launching server..."
BUILD_ONLY_FOUND = "Done! Found built image"
BUILD_ONLY_BUILT = "Done! Image built"
UNHANDLED = BinderError("Unhandled error watching for build events. Please try again.")
_ID = re.compile(r"([0-9a-f]{1,32})\.([0-9]{1,9})(?:\.([a-z0-9._-]{1,100}))?")


def told(phase: str, message: str, **more: Any) -> Told:
    """Return an event."""
    return {"phase": phase, "message": f"{message}\n", **more}


def failed(error: BinderError) -> Told:
    """Return the last event of a request that was refused or could not be answered, with its HTTP status."""
    status = 500 if error is INTERNAL_ERROR else error.status
    return told("failed", f"{error.message} {error.hint}" if error.hint else error.message, status_code=status)


def from_build(event: Event, phase: str) -> Told | None:
    """Return what a build's event is for BinderHub's clients; None where they have nothing like it.

    Args:
        phase: of the build's last event that told one.
    """
    payload = event.payload
    if event.kind is Kind.LOG:
        return told(phase, payload["text"])
    if event.kind is Kind.QUEUE:
        return told("waiting", place("build", payload["position"], payload.get("estimate_seconds")))
    if event.kind is Kind.PHASE:
        return _from_phase(payload)
    return _from_end(payload)


def _from_phase(payload: Mapping[str, Any]) -> Told | None:
    return None if payload["phase"] == Phase.DONE else told(payload["phase"], payload["message"])


def _from_end(payload: Mapping[str, Any]) -> Told | None:
    error = payload.get("error")
    if not error:
        return None
    return told("failed", f"{error['message']} {error['hint']}" if error.get("hint") else error["message"])


def place(what: str, position: int, seconds: float | None) -> str:
    """Return what is told of a place in a queue, 1 for the next; `seconds` is how long it may take, None if that is not known."""
    estimate = "" if seconds is None else f"; it may take about {max(1, round(seconds))} s until its turn"
    return f"The {what} is number {position} in the queue{estimate}."


def renamed_head(refusal: str, ref: str) -> Told:
    """Return what is told where a ref is not there that was the default branch of most repositories, and the default branch is taken."""
    return told(
        "waiting",
        f'{refusal}\nGitHub has changed default branches from "master" to "main". '
        "Tip: HEAD will always resolve to a repository's default branch.\n"
        f"Trying again with HEAD instead of {ref}. Please update your links.",
    )


def ready_image(image: str, *, is_new: bool) -> Told:
    """Return the last event of a request that wants an image and no server."""
    return told("ready", BUILD_ONLY_BUILT if is_new else BUILD_ONLY_FOUND, imageName=image)


def built(image: str, *, is_new: bool) -> Told:
    """Return the event between a build and a launch."""
    return told("built", BUILT if is_new else FOUND, imageName=image)


def ready_server(url: str, token: str, image: str, repo_url: str, links: Mapping[str, str]) -> Told:
    """Return the last event of a launch.

    Args:
        url: the server's whole address; ends with a slash.
        token: what the server takes as ``?token=``; empty where people sign in by the hub.
        links: the fields ``binder_...``.
    """
    return told("ready", f"server running at {url}", image=image, repo_url=repo_url, token=token, **links, url=url)


def frame(event: Told, build_id: str = "", number: int = 0, launch: str = "") -> bytes:
    """Return an event as it is sent; with a build's id and the number of its last event, a client that was cut off goes on behind it.

    Args:
        launch: what such a client shows to have its own launch again; empty for none.
    """
    name = f"id: {build_id}.{number}{f'.{launch}' if launch else ''}\n" if build_id else ""
    return f"{name}data: {json.dumps(event)}\n\n".encode()


def resumed_from(last_event_id: str) -> tuple[str, int]:
    """Return the build and the number that a ``Last-Event-ID`` names; neither, if it is none of ours."""
    match = _ID.fullmatch(last_event_id)
    return (match[1], int(match[2])) if match else ("", 0)


def resumed_launch(last_event_id: str) -> str:
    """Return what a ``Last-Event-ID`` says of a launch; empty if it names none."""
    match = _ID.fullmatch(last_event_id)
    return match[3] or "" if match else ""


def accepts_events(accept: str) -> bool:
    """Say whether an ``Accept`` header names event streams; BinderHub knows them only alone or before parameters."""
    kinds = re.split("[,;]", accept)
    return any(kind.strip().lower() == "text/event-stream" for kind in kinds)
