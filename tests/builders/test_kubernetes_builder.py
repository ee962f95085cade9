"""The life of a build's pod as its builder sees it, against an API server that says what it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builders.kubernetes import Cluster, KubernetesBuilder, KubernetesSettings, logs
from binderhub_service.builders.kubernetes import builder as builders
from binderhub_service.clients.credentials import Credentials
from binderhub_service.errors import BinderError, BuildFailed, Unavailable
from binderhub_service.models import Report
from binderhub_service.worker.pod_job import PodSettings
from tests.fake_cluster import NAMESPACE, FakeCluster
from tests.harness.following import followed
from tests.harness.records import build as a_build
from tests.harness.waiting import until, within

BUILD = a_build()
POD = f"build-{BUILD.id}"
STEPS = ("fetch", "build", "push", "try")
NO_ROOM = {"conditions": [{"type": "PodScheduled", "status": "False", "message": "0/1 nodes are available"}]}


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeCluster]:
    monkeypatch.setattr(builders, "_SETTLED_SECONDS", 0.05)
    monkeypatch.setattr(builders, "_GONE_SECONDS", 0.05)
    monkeypatch.setattr(logs, "_DELETED_SECONDS", 0.05)
    async with FakeCluster().running() as fake:
        yield fake


@pytest.fixture
async def make(fake: FakeCluster, tmp_path: Path) -> AsyncIterator[Any]:
    made = []

    def builder(on_tried: Any = None, **settings: Any) -> KubernetesBuilder:
        cluster = Cluster(NAMESPACE, fake.kubeconfig(tmp_path))
        pods = KubernetesSettings(builder_image="builder:1", **settings)
        made.append(KubernetesBuilder(cluster, pods, PodSettings(image_prefix="r/x-"), Credentials(), on_tried=on_tried))
        return made[-1]

    yield builder
    for one in made:
        await one.close()


def statuses(*states: dict[str, Any]) -> dict[str, Any]:
    all_states = [*states, *[{"waiting": {"reason": "PodInitializing"}}] * (len(STEPS) - len(states))]
    named = [{"name": step, "state": state} for step, state in zip(STEPS, all_states, strict=True)]
    return {"initContainerStatuses": named[:-1], "containerStatuses": named[-1:]}


def line(number: int) -> bytes:
    return json.dumps({"n": number, "kind": "log", "data": {"text": f"line {number}"}}).encode() + b"\n"


WELL = {"terminated": {"exitCode": 0, "message": '{"reports": 1}'}}


async def test_the_steps_are_told_in_their_order(fake: FakeCluster, make: Any) -> None:
    fake.logs = {step: [[line(1)]] for step in STEPS}
    await fake.put(POD, phase="Succeeded", **statuses(WELL, WELL, WELL))
    reports, error = await followed(make(), BUILD)
    assert error is None
    assert [report.cursor for report in reports] == ["fetch:1", "build:1", "push:1"]
    reports, error = await followed(make(), BUILD, "build:1")
    assert error is None
    assert [report.cursor for report in reports] == ["push:1"]


async def test_an_image_that_was_pushed_untried_is_tried_in_a_step_of_its_own(fake: FakeCluster, make: Any) -> None:
    fake.logs = {step: [[line(1)]] for step in STEPS}
    untried = {"terminated": {"exitCode": 0, "message": '{"reports": 1, "untried": {"environment": ""}}'}}
    bad = {"terminated": {"exitCode": 1, "message": '{"reports": 1, "error": {"code": "no_singleuser", "message": "No."}}'}}
    await fake.put(POD, phase="Failed", **statuses(WELL, WELL, untried, bad))
    for after, cursors in (("build:1", ["push:1", "try:1"]), ("push:1", ["try:1"]), ("try:1", [])):
        reports, error = await followed(make(), BUILD, after)
        assert [report.cursor for report in reports] == cursors
        assert error
        assert error.code == "no_singleuser"


def tried(told: object, last: dict[str, Any]) -> dict[str, Any]:
    push = {"terminated": {"exitCode": 0, "message": json.dumps({"reports": 1, "untried": told})}}
    return statuses(WELL, WELL, push, last)


@pytest.mark.parametrize(("told", "named"), [({"environment": "ab1"}, [("ab1", BUILD.id)]), ({"environment": ""}, []), (True, []), ("ab1", [])])
async def test_a_shared_environment_is_named_when_it_was_tried_also_by_the_next_service(
    fake: FakeCluster, make: Any, told: object, named: list[tuple[str, str]]
) -> None:
    for after in ("", "push:1", "try:1"):
        fake.logs = {step: [[line(1)]] for step in STEPS}
        await fake.put(POD, phase="Succeeded", **tried(told, WELL))
        seen: list[tuple[str, str]] = []

        async def note(key: str, build_id: str, seen: list[tuple[str, str]] = seen) -> None:
            seen.append((key, build_id))

        _, error = await followed(make(on_tried=note), BUILD, after)
        assert (error, seen) == (None, named)


async def test_an_environment_from_which_no_server_starts_is_not_named(fake: FakeCluster, make: Any) -> None:
    bad = {"terminated": {"exitCode": 1, "message": '{"reports": 1, "error": {"code": "no_singleuser", "message": "No."}}'}}
    fake.logs = {step: [[line(1)]] for step in STEPS}
    await fake.put(POD, phase="Failed", **tried({"environment": "ab1"}, bad))

    async def note(key: str, build_id: str) -> None:
        raise AssertionError(f"{key} of {build_id} was named")

    _, error = await followed(make(on_tried=note), BUILD)
    assert error
    assert error.code == "no_singleuser"


@pytest.mark.parametrize("error", [Unavailable("The registry is away."), BuildFailed("The registry is away.")])
async def test_a_registry_that_takes_no_name_is_told_and_the_build_ends_well(fake: FakeCluster, make: Any, error: BinderError) -> None:
    fake.logs = {step: [[line(1)]] for step in STEPS}
    await fake.put(POD, phase="Succeeded", **tried({"environment": "ab1"}, WELL))

    async def refuse(key: str, build_id: str) -> None:
        raise error

    reports, failure = await followed(make(on_tried=refuse), BUILD)
    assert failure is None
    assert reports[-1].data["text"] == "The environment is not kept for other commits: The registry is away."
    assert reports[-1].cursor == "try:1"


async def test_each_reason_for_waiting_is_told_once_also_after_a_restart(fake: FakeCluster, make: Any) -> None:
    await fake.put(POD, phase="Pending", **NO_ROOM)
    fake.pods[POD]["spec"] = {}
    following = asyncio.create_task(followed(make(unschedulable_seconds=0.3), BUILD))
    reports, error = await following
    assert [(report.cursor, report.data["text"]) for report in reports] == [
        ("fetch:0:node", "Waiting for a node of the cluster with room for the build: 0/1 nodes are available")
    ]
    assert error
    assert error.code == "unschedulable"
    reports, error = await followed(make(unschedulable_seconds=0.1), BUILD, "fetch:0:node")
    assert reports == []
    assert error
    assert error.code == "unschedulable"


async def test_another_reason_has_its_own_time_and_its_own_line(fake: FakeCluster, make: Any) -> None:
    pulling = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
    await fake.put(POD, phase="Pending", **NO_ROOM)
    fake.pods[POD]["spec"] = {}
    reports: list[Report] = []
    following = asyncio.create_task(followed(make(unschedulable_seconds=60, image_pull_seconds=0.3), BUILD, reports=reports))
    await until(lambda: fake.count("WATCH") and reports, "the watch, and the first reason")
    await fake.put(POD, phase="Pending", **statuses(pulling))
    _, error = await following
    assert [report.cursor for report in reports] == ["fetch:0:node", "fetch:0:image"]
    assert error
    assert error.code == "builder_image_pull_failed"


async def test_an_image_without_a_possible_name_is_not_waited_for(fake: FakeCluster, make: Any) -> None:
    await fake.put(POD, phase="Pending", **statuses({"waiting": {"reason": "InvalidImageName"}}))
    async with within():
        _, error = await followed(make(), BUILD)
    assert error
    assert error.code == "builder_image_pull_failed"


async def test_a_slow_start_is_told_and_ends_when_it_takes_too_long(fake: FakeCluster, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builders, "_SLOW_START_SECONDS", 0.1)
    await fake.put(POD, phase="Pending", **statuses())
    reports, error = await followed(make(image_pull_seconds=0.3), BUILD)
    assert [report.data["text"] for report in reports] == ["Waiting for the build pod to start on its node."]
    assert error
    assert error.code == "pod_cannot_start"


async def test_a_pod_that_the_cluster_rejects_before_any_step_ends_the_build(fake: FakeCluster, make: Any) -> None:
    await fake.put(POD, phase="Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu")
    reports, error = await followed(make(), BUILD)
    assert reports == []
    assert error
    assert error.code == "evicted"


async def test_a_pod_whose_node_is_gone_ends_the_build(fake: FakeCluster, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.builders.kubernetes.cluster._WAITS_SECONDS", ())
    await fake.put(POD, phase="Running", metadata={"deletionTimestamp": "2026-03-01T12:00:00Z"}, **statuses({"running": {}}))
    async with within():
        _, error = await followed(make(), BUILD, "fetch:1")
    assert error
    assert error.code == "builder_lost"


async def test_a_pod_that_is_gone_is_not_made_again(fake: FakeCluster, make: Any) -> None:
    _, error = await followed(make(), BUILD, "fetch:1")
    assert error
    assert error.code == "builder_lost"
    assert fake.count("POST") == 0


async def test_why_a_step_was_ended_is_waited_for(fake: FakeCluster, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of a container may be known before the pod says that it was evicted."""
    monkeypatch.setattr(builders, "_SETTLED_SECONDS", 5)
    fake.logs["fetch"] = [[line(1)]]
    killed = {"terminated": {"exitCode": 137}}
    await fake.put(POD, phase="Pending", **statuses(killed))
    following = asyncio.create_task(followed(make(), BUILD))
    await until(lambda: fake.count("WATCH"), "the watch")
    await asyncio.sleep(0.1)
    await fake.put(POD, phase="Failed", reason="Evicted", message="The node was low on resource: memory.", **statuses(killed))
    _, error = await following
    assert error
    assert error.code == "evicted"


async def test_a_pod_that_does_not_end_is_deleted_by_force(fake: FakeCluster, make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await fake.put(POD, phase="Running", **statuses({"running": {}}))
    deleted: list[int] = []
    builder = make()

    async def delete_pod(name: str, grace_seconds: int) -> None:
        deleted.append(grace_seconds)

    monkeypatch.setattr(builder._cluster, "delete_pod", delete_pod)
    await builder.stop(BUILD)
    assert deleted == [1, 0]


async def test_no_build_is_begun_without_the_login_that_it_needs(fake: FakeCluster, make: Any, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("no JSON")
    builder = make()
    builder._credentials = Credentials(docker_config=tmp_path)
    _, error = await followed(builder, BUILD)
    assert error
    assert error.code == "registry_credentials_unusable"
    assert fake.pods == {}


async def test_stopping_deletes_the_pod_and_stopping_again_does_nothing(fake: FakeCluster, make: Any) -> None:
    builder = make()
    await builder._create(BUILD)
    await builder.stop(BUILD)
    assert fake.pods == {}
    await builder.stop(BUILD)
    assert fake.count("DELETE") == 1


async def test_pods_of_builds_that_have_ended_are_removed(fake: FakeCluster, make: Any) -> None:
    builder, other = make(), a_build(2)
    await builder._create(BUILD)
    await builder._create(other)
    await builder.forget_all_but({other.id})
    assert list(fake.pods) == [f"build-{other.id}"]
    await builder.check()


async def test_a_check_says_that_what_builds_belong_to_is_gone(fake: FakeCluster, make: Any) -> None:
    with pytest.raises(Unavailable, match="The cluster lacks what a build needs"):
        await make(owner="gone").check()
