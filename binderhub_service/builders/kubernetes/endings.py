"""What a pod's status says about a build: where a step stands, what it waits for, and how it ended; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from ...common.json_object import json_object
from ...errors import INTERNAL_ERROR, BuildFailed, Unavailable
from ...worker.pod_job import Untried

Pod = Mapping[str, Any]
_KEY = re.compile(r"[0-9a-z]{1,64}")
_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_KILLED = 137
_IMAGE_TROUBLE = {"ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed"}
_HOPELESS_IMAGE = {"InvalidImageName", "ErrImageNeverPull"}
_START_TROUBLE = {"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PostStartHookError"}
_CANNOT_START = {"StartError", "ContainerCannotRun"}
_OWN_LIMIT = re.compile(r"exceed.{0,300}limit|emptydir", re.IGNORECASE)
_MAX_TOLD = 500


class Stand(StrEnum):
    """Where a step stands."""

    WAITING = "waiting"
    RUNNING = "running"
    ENDED = "ended"


class Cause(StrEnum):
    """What a step that has not started waits for."""

    NODE = "node"
    IMAGE = "image"
    START = "start"


@dataclass(frozen=True)
class Waiting:
    """Why a step has not started.

    Attributes:
        why: what the cluster says about it; empty if it does not complain.
        hopeless: whether waiting cannot help.
    """

    cause: Cause
    why: str = ""
    hopeless: bool = False


def stand(pod: Pod | None, step: str) -> Stand:
    """Return where a step stands; all steps of a pod that is gone or over have ended."""
    if pod is None or phase(pod) in {"Succeeded", "Failed"}:
        return Stand.ENDED
    state = _state(pod, step)
    return Stand.ENDED if "terminated" in state else Stand.RUNNING if "running" in state else Stand.WAITING


def phase(pod: Pod) -> str:
    """Return the pod's phase as Kubernetes names it."""
    return str(pod.get("status", {}).get("phase", ""))


def has_run(pod: Pod | None, step: str) -> bool:
    """Say whether there may be a log of a step."""
    return pod is not None and bool({"running", "terminated"} & _state(pod, step).keys())


def went_well(pod: Pod | None, step: str) -> bool:
    """Say whether a step has done what it was to do."""
    ended = _state(pod, step).get("terminated") if pod else None
    return ended is not None and ended["exitCode"] == 0 and "error" not in _message(ended)


def untried(pod: Pod | None, step: str) -> Untried | None:
    """Return what a step says that it has pushed and the next one tries."""
    told = _message(_state(pod, step).get("terminated", {})).get("untried") if pod else None
    if not told:
        return None
    key = told.get("environment") if isinstance(told, dict) else ""  # pods of an earlier version say true
    return Untried(key if isinstance(key, str) and _KEY.fullmatch(key) else "")


def reports_of(pod: Pod | None, step: str) -> int:
    """Return how many reports a step that ended says it wrote; 0 if it does not say."""
    told = _message(_state(pod, step).get("terminated", {})).get("reports") if pod else 0
    return told if isinstance(told, int) else 0


def waiting(pod: Pod, step: str) -> Waiting:
    """Return what a step waits for that has not started."""
    scheduled: Mapping[str, Any] = next((one for one in pod.get("status", {}).get("conditions", ()) if one["type"] == "PodScheduled"), {})
    if not pod["spec"].get("nodeName") and scheduled.get("status") != "True":
        return Waiting(Cause.NODE, scheduled.get("message", "")[:_MAX_TOLD])
    state = _state(pod, step).get("waiting", {})
    reason, message = state.get("reason", ""), state.get("message", "")[:_MAX_TOLD]
    if reason in _IMAGE_TROUBLE | _HOPELESS_IMAGE:
        return Waiting(Cause.IMAGE, f"{reason}: {message}" if message else reason, hopeless=reason in _HOPELESS_IMAGE)
    return Waiting(Cause.START, f"{reason}: {message}" if reason in _START_TROUBLE else "")


def note_of(waited: Waiting) -> str:
    """Return what people are told while a step waits."""
    if waited.cause is Cause.NODE:
        text = "Waiting for a node of the cluster with room for the build"
    elif waited.cause is Cause.IMAGE:
        text = "The image that builds run in cannot be pulled yet"
    else:
        text = "Waiting for the build pod to start on its node"
    return f"{text}: {waited.why}" if waited.why else f"{text}."


def never_started(waited: Waiting, seconds: float) -> Unavailable:
    """Return the error of a step that waited too long to start, or waits in vain."""
    if waited.cause is Cause.NODE:
        return Unavailable(
            f"No node of the cluster had room for the build within {seconds:g} seconds.",
            code="unschedulable",
            hint="Ask again when less is going on; if it stays so, ask an administrator.",
        )
    if waited.cause is Cause.IMAGE:
        return Unavailable("The image that builds run in cannot be pulled.", code="builder_image_pull_failed", hint="Tell an administrator.")
    return Unavailable(f"The build pod did not start within {seconds:g} seconds.", code="pod_cannot_start", hint="Tell an administrator.")


def failure(pod: Pod | None, step: str) -> BuildFailed | Unavailable:
    """Return why a build ended at a step that did not go well."""
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        return BuildFailed("The pod that made the build is gone.", code="builder_lost", hint="Ask again; it starts anew.")
    ended = _state(pod, step).get("terminated", {})
    told = _message(ended).get("error")
    return _of_pod(pod) or (_told(told) if told else None) or _of_container(pod, ended)


def _of_pod(pod: Pod) -> BuildFailed | None:
    """Return the error of a pod that its node, or the cluster, ended."""
    status = pod.get("status", {})
    reason, message = status.get("reason", ""), status.get("message", "")
    if reason == "DeadlineExceeded":
        return BuildFailed(
            "The build took longer than the cluster allows.",
            code="build_timeout",
            hint="Make the environment smaller, or ask an administrator for more time.",
        )
    if reason == "Evicted" and "low on resource" not in message and _OWN_LIMIT.search(message):
        return BuildFailed(
            "The build used more disk space than it may.",
            code="disk_limit_exceeded",
            hint="Make the repository or its environment smaller, or ask an administrator for more space.",
        )
    if reason == "Evicted" and "ephemeral-storage" in message:
        return BuildFailed("The disk of the build's node is full.", code="disk_full", hint="Ask an administrator to make space, then ask again.")
    if reason:
        return BuildFailed(f"The cluster took the build off its node ({reason}).", code="evicted", hint="Ask again; it starts anew.")
    return None


def _of_container(pod: Pod, ended: Mapping[str, Any]) -> BuildFailed | Unavailable:
    """Return the error of a container that ended without a word of its own."""
    if ended.get("exitCode") == _KILLED or any(one.get("reason") == "OOMKilled" for one in _all_ended(pod)):
        return BuildFailed(
            "The build used more memory than it may, and was ended.",
            code="out_of_memory",
            hint="Make the environment smaller, or ask an administrator for more memory.",
        )
    if ended.get("reason") in _CANNOT_START:
        return Unavailable("The build pod cannot be started.", code="pod_cannot_start", hint="Tell an administrator.")
    return BuildFailed(**INTERNAL_ERROR.as_dict())


def _told(error: object) -> BuildFailed | None:
    """Return the error that a step wrote down; what is no error is ignored, as strangers' code may have written it."""
    if not isinstance(error, dict):
        return None
    code, message, hint = (error.get(name) for name in ("code", "message", "hint"))
    if not isinstance(code, str) or not _CODE.fullmatch(code) or not isinstance(message, str):
        return None
    return BuildFailed(message, code=code, hint=hint if isinstance(hint, str) else None)


def _message(ended: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return json_object(ended.get("message", ""))
    except ValueError:
        return {}


def _state(pod: Pod, step: str) -> Mapping[str, Any]:
    return next((status.get("state", {}) for status in _statuses(pod) if status["name"] == step), {})


def _all_ended(pod: Pod) -> Iterator[Mapping[str, Any]]:
    return (status["state"]["terminated"] for status in _statuses(pod) if "terminated" in status.get("state", {}))


def _statuses(pod: Pod) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status", {})
    yield from status.get("initContainerStatuses", ())
    yield from status.get("containerStatuses", ())
