"""What a pod's status says about a build; statuses as real clusters write them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binderhub_service.builders.kubernetes.endings import (
    Cause,
    Stand,
    failure,
    has_run,
    never_started,
    note_of,
    reports_of,
    stand,
    waiting,
    went_well,
)
from binderhub_service.errors import BuildFailed, Unavailable


def pod(fetch: dict[str, Any] | None = None, *, node: str = "node", metadata: dict[str, Any] | None = None, **status: Any) -> dict[str, Any]:
    statuses = [{"name": "fetch", "state": fetch}] if fetch is not None else []
    return {
        "metadata": {"name": "build-1", **(metadata or {})},
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": "Pending", "initContainerStatuses": statuses, **status},
    }


def ended(status: int = 1, message: str = "", reason: str = "Error") -> dict[str, Any]:
    return {"terminated": {"exitCode": status, "reason": reason, **({"message": message} if message else {})}}


def not_scheduled(message: str) -> dict[str, Any]:
    return {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}]}


def evicted(message: str) -> dict[str, Any]:
    return pod(ended(137), phase="Failed", reason="Evicted", message=message)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (pod(), Stand.WAITING),
        (pod({"waiting": {"reason": "PodInitializing"}}), Stand.WAITING),
        (pod({"running": {"startedAt": "x"}}), Stand.RUNNING),
        (pod(ended(0)), Stand.ENDED),
        (pod(phase="Failed", reason="Evicted"), Stand.ENDED),
        (None, Stand.ENDED),
    ],
)
def test_where_a_step_stands(status: dict[str, Any] | None, expected: Stand) -> None:
    assert stand(status, "fetch") is expected


def test_a_step_that_never_ran_has_no_log() -> None:
    assert not has_run(None, "fetch")
    assert not has_run(pod(phase="Failed", reason="Evicted"), "fetch")
    assert not has_run(pod({"waiting": {}}), "fetch")
    assert has_run(pod(ended()), "fetch")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (pod(ended(0)), True),
        (pod(ended(0, "{}")), True),
        (pod(ended(0, "not JSON")), True),
        (pod(ended(0, '{"error": {"code": "x", "message": "x"}}')), False),
        (pod(ended(1)), False),
        (pod({"running": {}}), False),
        (pod(), False),
        (None, False),
    ],
)
def test_whether_a_step_went_well(status: dict[str, Any] | None, expected: bool) -> None:
    assert went_well(status, "fetch") is expected


ERROR = json.dumps({"error": {"code": "fetch_failed", "message": "No.", "hint": "Yes."}})
FAILURES = {
    "told": (pod(ended(1, ERROR)), "fetch_failed"),
    "told, and the pod is over": (pod(ended(1, ERROR), phase="Failed"), "fetch_failed"),
    "gone": (None, "builder_lost"),
    "being deleted": (pod(ended(137), metadata={"deletionTimestamp": "2026-03-01T12:00:00Z"}), "builder_lost"),
    "killed": (pod(ended(137)), "out_of_memory"),
    "out of memory": (pod(ended(1, reason="OOMKilled")), "out_of_memory"),
    "deadline": (pod(ended(137), phase="Failed", reason="DeadlineExceeded", message="Pod was active on the node longer than ..."), "build_timeout"),
    "pod's disk limit": (evicted("Pod ephemeral local storage usage exceeds the total limit of containers 20Mi. "), "disk_limit_exceeded"),
    "container's disk limit": (evicted('Container build exceeded its local ephemeral storage limit "20Mi". '), "disk_limit_exceeded"),
    "volume's limit": (evicted('Usage of EmptyDir volume "work" exceeds the limit "20Mi". '), "disk_limit_exceeded"),
    "node's disk": (
        evicted("The node was low on resource: ephemeral-storage. Threshold quantity: 1, available: 0. Container build was using 3Gi, request is 0."),
        "disk_full",
    ),
    "node's memory": (evicted("The node was low on resource: memory. Threshold quantity: 100Mi, available: 2Mi. "), "evicted"),
    "node shuts down": (pod(phase="Failed", reason="Terminated", message="Pod was terminated in response to imminent node shutdown."), "evicted"),
    "no room on the node": (pod(phase="Failed", reason="OutOfmemory", message="Node didn't have enough resource: memory"), "evicted"),
    "cannot start": (pod(ended(128, reason="StartError")), "pod_cannot_start"),
    "no word": (pod(ended(3)), "internal_error"),
    "no status": (pod(phase="Failed"), "internal_error"),
    "forged code": (pod(ended(1, '{"error": {"code": "No Code!", "message": "x"}}')), "internal_error"),
    "forged message": (pod(ended(1, '{"error": {"code": "x", "message": 5}}')), "internal_error"),
    "forged error": (pod(ended(1, '{"error": [1]}')), "internal_error"),
    "forged list": (pod(ended(1, "[]")), "internal_error"),
    "cut off": (pod(ended(1, ERROR[:30])), "internal_error"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_every_end_has_a_code_a_sentence_and_a_hint(case: str) -> None:
    status, code = FAILURES[case]
    error = failure(status, "fetch")
    assert isinstance(error, BuildFailed | Unavailable)
    assert error.code == code
    assert error.message.endswith(".")
    assert error.hint


def test_an_error_without_hint_is_told_without() -> None:
    error = failure(pod(ended(1, '{"error": {"code": "x", "message": "No.", "hint": null}}')), "fetch")
    assert error.as_dict() == {"code": "x", "message": "No.", "hint": None}


WAITS = {
    "nobody looked at it yet": (pod(node=""), Cause.NODE, "", False),
    "no room": (pod(node="", **not_scheduled("0/1 nodes are available")), Cause.NODE, "0/1 nodes are available", False),
    "a node, and no word yet": (pod(), Cause.START, "", False),
    "starting": (pod({"waiting": {"reason": "PodInitializing"}}), Cause.START, "", False),
    "pull failed": (pod({"waiting": {"reason": "ErrImagePull", "message": "not found"}}), Cause.IMAGE, "ErrImagePull: not found", False),
    "pull failed again": (pod({"waiting": {"reason": "ImagePullBackOff"}}), Cause.IMAGE, "ImagePullBackOff", False),
    "no image's name": (pod({"waiting": {"reason": "InvalidImageName"}}), Cause.IMAGE, "InvalidImageName", True),
    "no key": (
        pod({"waiting": {"reason": "CreateContainerConfigError", "message": "no such key"}}),
        Cause.START,
        "CreateContainerConfigError: no such key",
        False,
    ),
}


@pytest.mark.parametrize("case", WAITS)
def test_what_a_step_waits_for(case: str) -> None:
    status, cause, why, hopeless = WAITS[case]
    found = waiting(status, "fetch")
    assert (found.cause, found.why, found.hopeless) == (cause, why, hopeless)
    assert note_of(found).startswith(("Waiting", "The image"))


@pytest.mark.parametrize(
    ("case", "code"), [("no room", "unschedulable"), ("pull failed", "builder_image_pull_failed"), ("no key", "pod_cannot_start")]
)
def test_waiting_in_vain_is_the_operators_matter(case: str, code: str) -> None:
    error = never_started(waiting(WAITS[case][0], "fetch"), 5)
    assert isinstance(error, Unavailable)
    assert error.code == code
    assert error.hint


@pytest.mark.parametrize(("message", "number"), [('{"reports": 5}', 5), ("{}", 0), ('{"reports": "5"}', 0), ("", 0)])
def test_a_step_may_say_how_much_it_told(message: str, number: int) -> None:
    assert reports_of(pod(ended(0, message)), "fetch") == number
    assert reports_of(None, "fetch") == 0
