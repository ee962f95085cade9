"""Images that nodes pull ahead, against an API server that does as it is told."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.builders.kubernetes import Cluster, KubernetesSettings
from binderhub_service.builders.kubernetes.ahead import ImagesAhead, pull_manifest
from binderhub_service.common.credentials import hide_in_line
from tests.fake_cluster import NAMESPACE, PODS, FakeCluster
from tests.harness.waiting import until

IMAGE = "registry.example.org/binder-o-r:abc@sha256:" + "1" * 64
READY = [{"type": "Ready", "status": "True"}]
STARTED = [{"name": "pull", "state": {"terminated": {"reason": "StartError", "exitCode": 128}}}]
NOT_PULLED = [{"name": "pull", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such host"}}}]


@asynccontextmanager
async def ahead_of(cluster: FakeCluster, folder: Path, **settings: Any) -> AsyncIterator[ImagesAhead]:
    given = KubernetesSettings(**{"builder_image": "builder:1", "pull_ahead_to": "app=nodes", **settings})
    asked = Cluster(NAMESPACE, cluster.kubeconfig(folder))
    ahead = ImagesAhead(asked, given)
    try:
        yield ahead
    finally:
        await ahead.close()
        await asked.close()


async def put_nodes(cluster: FakeCluster, *names: str, **status: Any) -> None:
    for name in names:
        await cluster.put(f"on-{name}", spec={"nodeName": name}, **{"phase": "Running", "conditions": READY, **status})


def pulling(cluster: FakeCluster) -> dict[str, str]:
    """Return the pods that pull, by their node."""
    return {pod["spec"]["nodeName"]: name for name, pod in cluster.pods.items() if name.startswith("pull-")}


async def test_each_node_that_is_there_pulls_an_image_by_a_pod_that_is_removed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "binderhub_service")
    async with FakeCluster().running() as cluster, ahead_of(cluster, tmp_path) as ahead:
        await put_nodes(cluster, "one", "two", "full")
        await put_nodes(cluster, "away", conditions=[{"type": "Ready", "status": "False"}])
        ahead.pull(IMAGE)
        ahead.pull(IMAGE)
        await until(lambda: len(pulling(cluster)) == 3, "the pods")
        pods = pulling(cluster)
        assert pods.keys() == {"one", "two", "full"}
        await cluster.put(pods["full"], phase="Failed", reason="OutOfpods", message="Too many pods")
        await cluster.put(pods["one"], phase="Failed", containerStatuses=STARTED)
        await cluster.put(pods["two"], phase="Pending", containerStatuses=NOT_PULLED)
        await until(lambda: "1 of 3 nodes have the image" in caplog.text, "the end")
        assert "two has not pulled" in caplog.text
        assert "ErrImagePull: no such host" in caplog.text
        assert "OutOfpods: Too many pods" in caplog.text
        assert pulling(cluster) == {}
        assert cluster.count(f"POST {PODS}") == 3


async def test_a_node_that_says_nothing_is_given_up_and_as_many_pods_as_there_may_be_are_there_at_a_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nodes = [str(number) for number in range(9)]
    async with FakeCluster().running() as cluster, ahead_of(cluster, tmp_path, pull_ahead_seconds=0.3) as ahead:
        await put_nodes(cluster, *nodes)
        ahead.pull(IMAGE)
        await until(lambda: "0 of 9 nodes have the image" in caplog.text, "the end")
        assert pulling(cluster) == {}
        requests = [request.split()[0] for request in cluster.requests if request.startswith((f"POST {PODS}", f"DELETE {PODS}"))]
        assert requests.index("DELETE") == 8
        assert sorted(requests) == ["DELETE"] * 9 + ["POST"] * 9


async def test_what_the_cluster_refuses_goes_to_the_log_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "binderhub_service")
    async with FakeCluster().running() as cluster, ahead_of(cluster, tmp_path) as ahead:
        cluster.refusals[f"GET {PODS}"] = [403]
        ahead.pull(IMAGE)
        await until(lambda: "is not pulled ahead: The cluster refuses" in caplog.text, "the refusal")
        ahead.pull(IMAGE)
        await until(lambda: "is not pulled ahead: no pod with the labels app=nodes is ready" in caplog.text, "the lack of nodes")
        await put_nodes(cluster, "one")
        cluster.refusals[f"POST {PODS}"] = [403]
        ahead.pull(IMAGE)
        await until(lambda: "0 of 1 nodes have the image" in caplog.text, "the end")
        for number in range(40):
            ahead.pull(f"{IMAGE[:-2]}{number:02}")
        await until(lambda: cluster.count(f"POST {PODS}") == 1 + 8, "the pods")
        assert caplog.text.count("as 32 others are on their way") == 8
        assert [line for line in caplog.messages if hide_in_line(line) != line] == [], "names that the log can show"


async def test_without_the_setting_nothing_is_pulled_and_what_a_former_run_left_is_removed(tmp_path: Path) -> None:
    async with FakeCluster().running() as cluster, ahead_of(cluster, tmp_path, pull_ahead_to="") as ahead:
        await cluster.put("pull-left", phase="Pending")
        ahead.pull(IMAGE)
        await ahead.tidy()
        assert cluster.pods == {}
        assert [request for request in cluster.requests if "pull-left" not in request] == [f"GET {PODS}"]


@pytest.mark.parametrize("image", [IMAGE, "$(HOSTNAME)/x", 'a"}],"hostNetwork": true, "x": [{"', "../../x", "-v /:/host x\nkind: Pod"])
def test_a_pod_that_pulls_has_no_rights_and_runs_nothing_of_any_image(image: str) -> None:
    settings = KubernetesSettings(builder_image="b:1", pull_ahead_to="app=nodes", pull_ahead_secrets=["login"], pull_ahead_seconds=7)
    one, other = (pull_manifest("pull-1", "node-1", image, settings, "uid-1") for _ in range(2))
    [container] = one["spec"].pop("containers")
    assert container["image"] == image
    assert container["command"] != other["spec"]["containers"][0]["command"]
    assert container["securityContext"] == {
        "runAsUser": 65534,
        "runAsGroup": 65534,
        "runAsNonRoot": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container.keys() == {"name", "image", "imagePullPolicy", "command", "securityContext"}
    assert image not in str(one)
    assert one["spec"]["nodeName"] == "node-1"
    assert one["spec"]["imagePullSecrets"] == [{"name": "login"}]
    assert one["spec"]["activeDeadlineSeconds"] == 7
    assert not {"hostNetwork", "hostPID", "hostIPC", "volumes"} & one["spec"].keys()
    assert one["spec"]["automountServiceAccountToken"] is False
