"""What a pod's status says about the server that is being started in it; pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..docker.pull import may_pass, pull_problem
from ..rejection import FAILED_DEPENDENCY, Rejection, cannot_be_started, server_ended, server_silent

SERVER = "notebook"  # KubeSpawner's name of the container

_Pod = Mapping[str, Any]
_NOT_PULLED = frozenset({"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError", "RegistryUnavailable"})
_NOT_MADE = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_NOT_STARTED = frozenset({"StartError", "ContainerCannotRun"})


@dataclass(frozen=True)
class Trouble:
    """Why a pod does not come up.

    Attributes:
        rejection: what it means for the start.
        final: whether it will stay like this, so that waiting makes no sense.
    """

    rejection: Rejection
    final: bool


def trouble(pod: _Pod) -> Trouble | None:
    """Return what keeps the server from running, as far as the cluster knows; None while it simply is not there yet, and once it runs."""
    status = pod["status"]
    if status.get("phase") == "Failed" and status.get("reason"):
        return Trouble(_ended_by_cluster(f"{status['reason']}: {status.get('message', '')}"), final=True)
    if pod["metadata"].get("deletionTimestamp"):
        return Trouble(gone(), final=True)
    for container in _containers(pod):
        if ended := _ended(container):
            return Trouble(_why_ended(container["name"], ended), final=True)
        if waiting := container.get("state", {}).get("waiting"):
            reason, said = waiting.get("reason", ""), waiting.get("message", "")
            if reason in _NOT_PULLED:
                return Trouble(pull_problem(said or reason, container.get("image", "")), final=not may_pass(said))
            if reason in _NOT_MADE:
                return Trouble(Rejection(FAILED_DEPENDENCY, f"The cluster cannot make the server's container: {said or reason}"), final=False)
    return None


def not_ready(pod: _Pod, seconds: float) -> Rejection | None:
    """Return the rejection of a pod that has not come up in all the time it had; None if it has ended."""
    status = pod["status"]
    if status.get("phase") == "Running":
        return server_silent(seconds)
    if status.get("phase") != "Pending":
        return None
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            sentence = (
                f"There was no room in the cluster for this server in {seconds:g} seconds. Try again later, or ask for less. The cluster says: "
            )
            return Rejection(FAILED_DEPENDENCY, sentence + str(condition.get("message", "")))
    waiting = [container.get("state", {}).get("waiting") or {} for container in _containers(pod)]
    said = next((f" The cluster says: {one.get('message') or one.get('reason')}" for one in waiting if one), "")
    return Rejection(FAILED_DEPENDENCY, f"The server's pod was not ready in {seconds:g} seconds. Start the server again.{said}")


def last_words(pod: _Pod) -> str:
    """Return how the server ended and what it said last; empty if it has not ended."""
    for container in _containers(pod):
        if container["name"] == SERVER and (ended := _ended(container, anyhow=True)):
            return f"{ended.get('reason', '')}, status {ended.get('exitCode')}\n{ended.get('message', '')}"
    return ""


def not_told_about(seconds: float) -> Rejection:
    """Return the rejection of a pod that the cluster has said nothing about in all the time it had."""
    return Rejection(FAILED_DEPENDENCY, f"The cluster said nothing about the server's pod in {seconds:g} seconds. Start the server again.")


def gone() -> Rejection:
    """Return the rejection of a pod that somebody has deleted."""
    return Rejection(FAILED_DEPENDENCY, "The server's pod was deleted while it started. Start the server again.")


def _containers(pod: _Pod) -> Iterator[Mapping[str, Any]]:
    """Yield the status of each container, those that prepare the others first."""
    yield from pod["status"].get("initContainerStatuses") or ()
    yield from pod["status"].get("containerStatuses") or ()


def _ended(container: Mapping[str, Any], anyhow: bool = False) -> Mapping[str, Any] | None:
    """Return how a container ended, also if it was started again since; None if it has not, or well as only others than the server may."""
    states = (container.get(name, {}).get("terminated") for name in ("state", "lastState"))
    ended: Mapping[str, Any] | None = next((one for one in states if one), None)
    well = ended is not None and ended.get("exitCode") == 0 and container["name"] != SERVER
    return None if well and not anyhow else ended


def _why_ended(name: str, ended: Mapping[str, Any]) -> Rejection:
    reason, status, said = ended.get("reason", ""), int(ended.get("exitCode", 1)), str(ended.get("message") or "").strip()
    if name != SERVER:
        return Rejection(FAILED_DEPENDENCY, f"The container {name}, which the server needs, ended with status {status}. It said last: {said}")
    if reason in _NOT_STARTED:
        return cannot_be_started(said)
    return server_ended(status, said, out_of_memory=reason == "OOMKilled")


def _ended_by_cluster(said: str) -> Rejection:
    return Rejection(FAILED_DEPENDENCY, f"The cluster ended the server's pod while it started. Start the server again. The cluster says: {said}")
