"""Reading a step's log, against an API server that breaks connections and loses lines."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builders.kubernetes import Cluster, logs
from binderhub_service.builders.kubernetes.logs import StepLog
from binderhub_service.builders.kubernetes.watch import FollowedPod
from binderhub_service.models import Kind
from tests.fake_cluster import NAMESPACE, PODS, FakeCluster

ENDED = {"name": "build", "state": {"terminated": {"exitCode": 0, "message": "{}"}}}


@pytest.fixture
async def cluster(fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(logs, "_FIRST_WAIT_SECONDS", 0.005)
    monkeypatch.setattr(logs, "_LONGEST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr(logs, "_END_SECONDS", 0.05)
    cluster = Cluster(NAMESPACE, fake.kubeconfig(tmp_path))
    yield cluster
    await cluster.close()


def pod_with(*statuses: dict[str, Any], **metadata: Any) -> FollowedPod:
    pod = FollowedPod("build-1")
    pod.set({"metadata": {"name": "build-1", **metadata}, "status": {"phase": "Running", "initContainerStatuses": list(statuses)}})
    return pod


def line(number: int, text: str = "") -> bytes:
    return json.dumps({"n": number, "kind": "log", "data": {"text": text or f"line {number}"}}).encode() + b"\n"


def many(first: int, last: int) -> bytes:
    return b"".join(line(number) for number in range(first, last + 1))


async def read(cluster: Cluster, pod: FollowedPod, known: int = 0) -> list[tuple[str, str]]:
    step = StepLog(cluster, pod, "build", known)
    return [(report.cursor, report.data["text"]) async for report in step.follow()]


def told(first: int, last: int) -> list[tuple[str, str]]:
    return [(f"build:{number}", f"line {number}") for number in range(first, last + 1)]


async def test_a_log_is_told_to_its_end(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["build"] = [[many(1, 3)]]
    assert await read(cluster, pod_with(ENDED)) == told(1, 3)


async def test_what_is_known_is_not_told_again(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["build"] = [[many(1, 5)]]
    assert await read(cluster, pod_with(ENDED), known=3) == told(4, 5)


async def test_a_log_that_breaks_off_in_the_middle_of_a_line_goes_on_without_gap_or_double(fake: FakeCluster, cluster: Cluster) -> None:
    whole = many(1, 9)
    fake.logs["build"] = [[whole[:100], None], [whole[:170], whole[170:230], None], [whole]]
    assert await read(cluster, pod_with(ENDED)) == told(1, 9)


async def test_a_log_that_ends_before_its_step_does_is_read_again(fake: FakeCluster, cluster: Cluster) -> None:
    running = {"name": "build", "state": {"running": {}}}
    pod = pod_with(running)
    fake.logs["build"] = [[many(1, 2)], [many(1, 4)]]
    seen = []
    async for report in StepLog(cluster, pod, "build").follow():
        seen.append((report.cursor, report.data["text"]))
        if len(seen) == 4:
            pod.set(pod_with(ENDED).now)
    assert seen == told(1, 4)


async def test_a_log_that_ends_before_the_last_report_that_was_written_is_read_again(fake: FakeCluster, cluster: Cluster) -> None:
    ended = {"name": "build", "state": {"terminated": {"exitCode": 0, "message": '{"reports": 4}'}}}
    fake.logs["build"] = [[many(1, 2)], [many(1, 4)]]
    assert await read(cluster, pod_with(ended)) == told(1, 4)


async def test_lines_that_the_cluster_has_thrown_away_are_counted(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["build"] = [[many(1, 2), None], [many(7, 8)]]
    seen = await read(cluster, pod_with(ENDED))
    assert [cursor for cursor, _ in seen] == ["build:1", "build:2", "build:6", "build:7", "build:8"]
    assert seen[2][1].startswith("4 lines of the log are missing")


async def test_lines_end_where_they_end_and_nowhere_else(fake: FakeCluster, cluster: Cluster) -> None:
    text = "a\rb\x0bc\u2028d\x85e"
    fake.logs["build"] = [[line(1, text), json.dumps({"n": 2, "kind": "log", "data": {"text": "ü\u2028"}}, ensure_ascii=False).encode() + b"\n"]]
    assert await read(cluster, pod_with(ENDED)) == [("build:1", text), ("build:2", "ü\u2028")]


async def test_a_line_without_end_does_not_fill_the_memory(fake: FakeCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "_MAX_LINE_BYTES", 1000)
    fake.logs["build"] = [[line(1), b"x" * 900, b"x" * 900, b"x" * 900 + b"\n", line(2), line(3, "y" * 2000), line(4)]]
    seen = await read(cluster, pod_with(ENDED))
    assert [text[:12] for _, text in seen] == ["line 1", "line 2", "1 lines of t", "line 4"]


@pytest.mark.parametrize(
    "foreign",
    [
        b"Traceback (most recent call last):",
        b"[]",
        b"null",
        b'{"n": "1", "kind": "log", "data": {"text": "x"}}',
        b'{"n": 0, "kind": "log", "data": {"text": "x"}}',
        b'{"n": 1, "kind": "log", "data": {"text": 5}}',
        b'{"n": 1, "kind": "log", "data": []}',
        b'{"n": 1, "kind": "end", "data": {"state": "ready"}}',
        b'{"n": 1, "kind": "phase", "data": {"phase": "nonsense"}}',
        b'{"n": 1, "kind": "phase", "data": {"phase": "building", "message": {}}}',
        b"\xff\xfe",
    ],
)
async def test_what_is_no_report_is_for_the_services_log_only(
    fake: FakeCluster, cluster: Cluster, caplog: pytest.LogCaptureFixture, foreign: bytes
) -> None:
    fake.logs["build"] = [[foreign + b"\n", line(1)]]
    with caplog.at_level(logging.WARNING, "binderhub_service"):
        assert await read(cluster, pod_with(ENDED)) == told(1, 1)
    assert "Build pod build-1, build: " in caplog.text


async def test_the_services_log_is_not_flooded_and_sees_no_credentials(fake: FakeCluster, cluster: Cluster, caplog: pytest.LogCaptureFixture) -> None:
    fake.logs["build"] = [[b"https://me:secret@git.example.org\n" * 1000]]
    assert await read(cluster, pod_with(ENDED)) == []
    assert "secret" not in caplog.text
    assert len(caplog.records) == 100


async def test_phases_keep_their_message(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["build"] = [[b'{"n": 1, "kind": "phase", "data": {"phase": "building", "message": "Building", "more": 1}}\n']]
    (report,) = [report async for report in StepLog(cluster, pod_with(ENDED), "build").follow()]
    assert (report.kind, report.data) == (Kind.PHASE, {"phase": "building", "message": "Building"})


async def test_a_log_that_cannot_be_read_any_more_is_given_up(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["build"] = []
    assert [text for _, text in await read(cluster, pod_with(ENDED), known=2)] == ["The rest of this step's log cannot be read."]


async def test_a_pod_that_goes_ends_its_log(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["build"] = [[many(1, 2), None]]
    pod = pod_with({"name": "build", "state": {"running": {}}})
    seen = []
    async for report in StepLog(cluster, pod, "build").follow():
        seen.append(report.cursor)
        pod.set(None)
    assert seen == ["build:1", "build:2"]


async def test_a_pod_on_a_node_that_does_not_answer_is_given_up_when_the_cluster_has(
    fake: FakeCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_DELETED_SECONDS", 0.05)
    fake.logs["build"] = []
    pod = pod_with({"name": "build", "state": {"running": {}}}, deletionTimestamp="2026-03-01T12:00:00Z")
    assert await read(cluster, pod) == []


async def test_a_log_that_its_node_does_not_give_is_told_once_and_read_on_when_it_does(
    fake: FakeCluster, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "_AWAY_SECONDS", 0)
    fake.logs["build"] = [[many(1, 2), None], [many(1, 3)]]
    fake.refusals[f"GET {PODS}/build-1/log"] = [500] * 3
    seen = await read(cluster, pod_with(ENDED))
    assert seen[0] == ("build:0", logs._AWAY)
    assert seen[1:] == told(1, 3)
