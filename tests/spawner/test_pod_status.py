"""What a pod's status says about a server that is being started."""

from __future__ import annotations

from typing import Any

import pytest

from spawner.kubernetes import pod_status

NOT_FOUND = 'failed to pull and unpack image "r:5000/x@sha256:0": failed to resolve reference: not found'


def pod(phase: str = "Pending", **status: Any) -> dict[str, Any]:
    return {"metadata": {"uid": "u"}, "status": {"phase": phase, **status}}


def waits(reason: str, message: str = "", name: str = "notebook") -> dict[str, Any]:
    return {"name": name, "image": "r:5000/x@sha256:0", "state": {"waiting": {"reason": reason, "message": message}}}


def ended(status: int, reason: str = "Error", message: str = "", name: str = "notebook", state: str = "state") -> dict[str, Any]:
    return {"name": name, "image": "i", state: {"terminated": {"exitCode": status, "reason": reason, "message": message}}}


@pytest.mark.parametrize(
    "fine",
    [
        pod(),
        pod(containerStatuses=[waits("ContainerCreating")]),
        pod(containerStatuses=[waits("PodInitializing")], initContainerStatuses=[ended(0, "Completed", name="chown")]),
        pod("Running", containerStatuses=[{"name": "notebook", "state": {"running": {}}}]),
        pod("Running", containerStatuses=[{"name": "notebook", "state": {"running": {}}}, ended(0, name="sidecar")]),
    ],
)
def test_a_pod_that_comes_up_is_no_trouble(fine: dict[str, Any]) -> None:
    assert pod_status.trouble(fine) is None
    assert pod_status.last_words(fine) == ""


@pytest.mark.parametrize(
    ("status", "sentence", "final"),
    [
        (waits("ErrImagePull", NOT_FOUND), "made anew", True),
        (waits("ImagePullBackOff", f'Back-off pulling image "x": ErrImagePull: {NOT_FOUND}'), "made anew", True),
        (waits("ErrImagePull", "pull access denied"), "does not let this hub pull", True),
        (waits("ErrImagePull", "dial tcp: connection refused"), "connection refused", False),
        (waits("ImagePullBackOff"), "ImagePullBackOff", False),
        (waits("CreateContainerConfigError", 'secret "s" not there'), 'secret "s" not there', False),
        (ended(3, message="no such extension"), "status 3 while it started. It said last: no such extension", True),
        (ended(0, "Completed"), "ended with status 0", True),
        (ended(137, "OOMKilled"), "more memory", True),
        (ended(127, message="binder: missing program: jupyterhub-singleuser"), "pip install jupyterhub", True),
        (ended(127, message="sh: jq: not found"), "status 127", True),
        (ended(128, "StartError", 'exec: "sh": executable file not found'), "cannot be started", True),
        ({**waits("CrashLoopBackOff"), **ended(1, message="oh", state="lastState")}, "It said last: oh", True),
        ({"name": "notebook", "state": {"running": {}}, **ended(1, message="oh", state="lastState")}, "It said last: oh", True),
        (ended(1, message="no rights", name="chown"), "The container chown, which the server needs", True),
    ],
)
def test_trouble_is_a_sentence(status: dict[str, Any], sentence: str, final: bool) -> None:
    trouble = pod_status.trouble(pod(containerStatuses=[status]))
    assert trouble is not None
    assert sentence in trouble.rejection.jupyterhub_message
    assert trouble.rejection.status_code < 500
    assert trouble.final is final


def test_a_pod_that_the_cluster_ends_says_why() -> None:
    trouble = pod_status.trouble(pod("Failed", reason="Evicted", message="The node was low on resource: memory."))
    assert trouble is not None
    assert "Evicted: The node was low on resource: memory." in trouble.rejection.jupyterhub_message


def test_a_pod_that_is_being_deleted_is_gone() -> None:
    trouble = pod_status.trouble({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {}})
    assert trouble is not None
    assert "was deleted" in trouble.rejection.jupyterhub_message


def test_a_pod_that_found_no_place_in_time_says_so() -> None:
    condition = {"type": "PodScheduled", "status": "False", "message": "0/3 nodes are available: 3 Insufficient memory."}
    rejection = pod_status.not_ready(pod(conditions=[condition]), 300)
    assert rejection is not None
    assert "no room in the cluster for this server in 300 seconds" in rejection.jupyterhub_message
    assert "Insufficient memory" in rejection.jupyterhub_message


def test_a_pod_that_was_not_ready_in_time_says_what_it_waited_for() -> None:
    condition = {"type": "PodScheduled", "status": "True"}
    rejection = pod_status.not_ready(pod(conditions=[condition], containerStatuses=[waits("ContainerCreating")]), 300)
    assert rejection is not None
    assert rejection.jupyterhub_message.endswith("The cluster says: ContainerCreating")
    assert pod_status.not_ready(pod("Succeeded"), 300) is None


def test_a_pod_that_runs_and_has_not_answered_in_time_says_so() -> None:
    rejection = pod_status.not_ready(pod("Running"), 300)
    assert rejection is not None
    assert "The server runs, but did not answer within 300 seconds." in rejection.jupyterhub_message


def test_the_last_words_of_a_server_are_how_it_ended_and_what_it_said() -> None:
    assert pod_status.last_words(pod(containerStatuses=[ended(1, message="oh"), ended(2, name="sidecar")])) == "Error, status 1\noh"
