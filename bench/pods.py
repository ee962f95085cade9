"""200 build pods at a time, followed by one service, beside the same pods made and watched by hand.

Needs a cluster: KUBECONFIG and KUBE_TEST_HOST; without them there are no rows. API server and scheduler are real; the node is
`bench.fake_kubelet`, as no machine of this size runs 200 pods.
"""

from __future__ import annotations

import json
import os
import secrets
import select
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from bench.fake_kubelet import LABEL, STEPS
from bench.measure import Row, forget_peak, median, peak_megabytes, percentile, resident_megabytes
from tests.kubernetes.kubectl import fresh_namespace, kubectl, reason_to_skip

BUILDS = 200
GOAL_REQUESTS = 9
GOAL_THREADS = 10
GOAL_RATIO = 1.5
_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Made:
    """What one process needed for all builds."""

    seen: dict[str, Any]
    grown: float
    before: float


def run(folder: Path, *, quick: bool) -> Iterator[Row]:
    """Measure; nodes and pods of the bench are removed afterwards."""
    reason = reason_to_skip()
    if reason:
        sys.stderr.write(f"pods: {reason}\n")
        return
    builds = 20 if quick else BUILDS
    with _node(folder) as node:
        bare = _measure("bare", node, builds)
        ours = _measure("builder", node, builds)
    yield from _rows(builds, ours, bare)


def _rows(builds: int, ours: Made, bare: Made) -> Iterator[Row]:
    what = f"{builds} build pods"
    lines = sum(lines for _, lines in STEPS.values())
    seconds, by_hand = ours.seen["seconds"], bare.seen["seconds"]
    details = {"errors": ours.seen["errors"], "p95": percentile(seconds, 0.95), "p95 by hand": percentile(by_hand, 0.95)}
    yield Row(f"{what}: ended well", len(seconds), "builds", goal=builds, at_least=True, details=details)
    yield Row(f"{what}: lines told, each once", ours.seen["lines"], "lines", goal=builds * lines, at_least=True)
    yield Row(f"{what}: ask to end, median / by hand without logs", median(seconds), "s", GOAL_RATIO, median(by_hand), details=details)
    yield Row(f"{what}: requests a build", ours.seen["requests"] / builds, "requests", goal=GOAL_REQUESTS)
    yield Row(f"{what}: requests a build, by hand without logs", bare.seen["requests"] / builds, "requests")
    yield Row(f"{what}: growth of memory, peak / by hand without logs", ours.grown, "MB", baseline=bare.grown, details={"before": ours.before})
    yield Row(f"{what}: threads of the service, at most", ours.seen["threads"], "threads", goal=GOAL_THREADS)


def _measure(how: str, node: str, builds: int) -> Made:
    with fresh_namespace() as namespace:
        command = [sys.executable, "-m", "bench.pod_service", how, namespace, node, str(builds)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdin
            assert process.stdout
            try:
                assert process.stdout.readline() == "ready\n"
                before = resident_megabytes(process.pid)
                forget_peak(process.pid)
                process.stdin.write("go\n")
                process.stdin.flush()
                seen = json.loads(_line(process.stdout))
                grown = peak_megabytes(process.pid) - before
                process.communicate("end\n", timeout=10)
            finally:
                process.kill()
        return Made(seen, grown, before)


def _line(output: IO[str]) -> str:
    """Return the next line that a process writes; fail if it takes too long."""
    ready, _, _ = select.select([output], [], [], _TIMEOUT_SECONDS)
    assert ready, f"nothing was heard for {_TIMEOUT_SECONDS} s"
    return output.readline()


@contextmanager
def _node(folder: Path) -> Iterator[str]:
    """Give the name of a node that is there while the block runs."""
    name = f"bench-{secrets.token_hex(3)}"
    command = [sys.executable, "-m", "bench.fake_kubelet", name, os.environ["KUBE_TEST_HOST"], str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield name
        finally:
            process.communicate("", timeout=30)
            kubectl("delete", "pods", "--all-namespaces", f"--field-selector=spec.nodeName={name}", "--force", "--grace-period=0", check=False)
            kubectl("delete", "nodes", f"--selector={LABEL}={name}", check=False)
            process.kill()
