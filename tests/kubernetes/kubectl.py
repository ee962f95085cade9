"""The cluster of the tests, by kubectl."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from tests.harness.waiting import wait_for

T = TypeVar("T")


def reason_to_skip() -> str:
    """Return why there is no cluster to test with; empty if there is one."""
    missing = [name for name in ("KUBECONFIG", "KUBE_TEST_REGISTRY", "KUBE_TEST_HOST") if not os.environ.get(name)]
    return f"no cluster: {' and '.join(missing)} not set" if missing else ""


def kubectl(*arguments: str, content: Any = None, check: bool = True) -> str:
    """Run kubectl and return what it prints.

    Args:
        content: given to it as JSON on its standard input.
    """
    given = None if content is None else json.dumps(content)
    done = subprocess.run(["kubectl", *arguments], input=given, capture_output=True, text=True)
    assert not check or not done.returncode, f"kubectl {' '.join(arguments)}: {done.stderr}"
    return done.stdout.strip()


def found(kind: str, namespace: str, *arguments: str) -> list[dict[str, Any]]:
    """Return all objects of a kind in a namespace."""
    items: list[dict[str, Any]] = json.loads(kubectl("get", kind, f"--namespace={namespace}", "--output=json", *arguments))["items"]
    return items


def processes_of(pod: dict[str, Any]) -> list[int]:
    """Return the ids of the processes of a pod's containers; the cluster's nodes are this machine."""
    uid = pod["metadata"]["uid"]
    names = {uid, uid.replace("-", "_")}
    groups = (group for group in Path("/proc").glob("[0-9]*/cgroup") if any(name in _read(group) for name in names))
    return [int(group.parent.name) for group in groups]


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def until_found(condition: Callable[[], T], what: str, timeout_seconds: float = 60) -> T:
    """Wait as `wait_for` does, for what takes kubectl: each of its starts costs a tenth of a second of a processor that pods want."""
    return wait_for(condition, what, timeout_seconds, every_seconds=0.5)


def make_volume(name: str, storage_class: str, **source: Any) -> None:
    """Make a persistent volume of 1 GiB that stays when its claim goes; `source` says where it is, as in its specification."""
    spec = {
        "storageClassName": storage_class,
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": "Retain",
        **source,
    }
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": spec}
    kubectl("create", "--filename=-", content=volume)


@contextmanager
def fresh_namespace() -> Iterator[str]:
    """Give a namespace that is there while the block runs, with all that pods need."""
    name = f"test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    try:
        until_found(lambda: kubectl("get", "serviceaccount", "default", f"--namespace={name}", "--output=name", check=False), "its service account")
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


def run(namespace: str, image: str, name: str, *command: str) -> str:
    """Run a command in a pod, in an image, and return what it prints.

    Raises:
        AssertionError: it did not end in 90 seconds; the message holds what the cluster says of the pod.
    """
    there = f"--namespace={namespace}"
    spec = {"restartPolicy": "Never", "containers": [{"name": "one", "image": image, "command": list(command)}]}
    kubectl("apply", there, "--filename=-", content={"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    phase = ("get", "pod", name, there, "--output=jsonpath={.status.phase}")
    try:
        until_found(lambda: kubectl(*phase) in {"Succeeded", "Failed"}, "the pod's end", 90)
    except TimeoutError as error:
        raise AssertionError(f"{error}\n{kubectl('describe', 'pod', name, there)}") from None
    return kubectl("logs", name, there)
