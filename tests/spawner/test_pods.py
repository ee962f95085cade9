"""PodSpawner's starts, with a stand-in for the cluster: what a real one does not do on demand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from kubernetes_asyncio.client import ApiException
from traitlets.config import Config

from spawner.kubernetes import base
from spawner.kubernetes.base import PodSpawner
from spawner.rejection import Rejection
from tests.spawner.cluster import NAMESPACE, Cluster, stand_in

RUNNING = {"phase": "Running", "podIP": "127.0.0.1", "containerStatuses": [{"name": "notebook", "ready": True, "state": {"running": {}}}]}
REFUSES = {"waiting": {"reason": "ErrImagePull", "message": "connection refused"}}


@pytest_asyncio.fixture(loop_scope="function")
async def cluster(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with stand_in(tmp_path) as cluster:
        yield cluster


@pytest_asyncio.fixture(loop_scope="function")
async def spawner(cluster: Cluster) -> PodSpawner:
    made: PodSpawner = PodSpawner(_mock=True, namespace=NAMESPACE, start_timeout=30, image="i", cmd=["run"])
    made.api = cluster
    return made


@pytest_asyncio.fixture(loop_scope="function")
async def port(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[int]:
    """The port of a server that runs."""

    def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    number: int = server.sockets[0].getsockname()[1]
    monkeypatch.setattr(PodSpawner, "_get_pod_port", lambda _self, _pod: number)
    yield number
    server.close()
    await server.wait_closed()


def refused(status: int, message: str) -> ApiException:
    error = ApiException(status=status, reason="No")
    error.body = json.dumps({"message": message})
    return error


@pytest.mark.usefixtures("cluster")
async def test_a_request_may_take_longer_than_an_admission_webhook_unless_an_operator_says_otherwise() -> None:
    spawner = PodSpawner(_mock=True)
    assert spawner.k8s_api_request_timeout > 10
    assert spawner.k8s_api_request_retry_timeout >= 2 * spawner.k8s_api_request_timeout
    assert PodSpawner(_mock=True, config=Config({"KubeSpawner": {"k8s_api_request_timeout": 5}})).k8s_api_request_timeout == 5


async def test_a_start_ends_when_the_server_answers(spawner: PodSpawner, cluster: Cluster, port: int) -> None:
    cluster.status = RUNNING
    assert await spawner.start() == f"http://127.0.0.1:{port}"
    assert await spawner.poll() is None
    assert cluster.removed == []


@pytest.mark.parametrize(
    ("problem", "sentence"),
    [
        (refused(403, 'pods "x" is forbidden: exceeded quota: q'), "is used up. Try again later"),
        (refused(422, "spec: invalid"), "The cluster refuses the server. Ask an administrator. The cluster says: spec: invalid"),
        (refused(500, "etcd is away"), "could not start the server. Try again. The cluster says: etcd is away"),
        (ApiException(status=401, reason="Unauthorized"), "The cluster says: Unauthorized"),
        (aiohttp.ServerDisconnectedError(), "The cluster does not answer"),
        (TimeoutError(), "The cluster does not answer in time"),
    ],
)
async def test_what_the_cluster_refuses_is_a_sentence(spawner: PodSpawner, cluster: Cluster, problem: BaseException, sentence: str) -> None:
    cluster.problem = problem
    spawner.k8s_api_request_retry_timeout = 1
    with pytest.raises(Rejection, match=sentence):
        await spawner.start()
    assert cluster.pods == {}


async def test_what_may_pass_is_waited_for(spawner: PodSpawner, cluster: Cluster, port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster.status = {"phase": "Pending", "containerStatuses": [{"name": "notebook", "image": "r/i", "state": REFUSES}]}
    starting = asyncio.ensure_future(spawner.start())
    await asyncio.sleep(3 * base.WATCH_SECONDS)
    cluster.pods[f"{NAMESPACE}/{spawner.pod_name}"]["status"] = RUNNING
    assert await starting
    monkeypatch.setattr(base, "PATIENCE_SECONDS", 0.5)
    with pytest.raises(Rejection, match="connection refused"):
        await spawner.start()
    assert cluster.pods == {}


@pytest.mark.parametrize(
    ("status", "sentence"),
    [
        (RUNNING, "The server runs, but did not answer within 2 seconds"),
        ({"phase": "Pending"}, "The server's pod was not ready in 2 seconds"),
    ],
)
async def test_a_pod_has_the_time_to_start_and_the_time_to_answer_together(
    spawner: PodSpawner, cluster: Cluster, status: dict[str, Any], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PodSpawner, "_get_pod_port", lambda _self, _pod: 9)
    spawner.start_timeout, spawner.http_timeout, cluster.status = 1, 1, status
    loop = asyncio.get_running_loop()
    begun = loop.time()
    with pytest.raises(Rejection, match=sentence):
        await spawner.start()
    assert loop.time() - begun >= 2, "KubeSpawner alone gives up after a second"
    assert spawner.start_timeout == 1
    assert cluster.pods == {}


async def test_pods_are_watched_anew_if_nothing_is_told_about_one_that_is_there(
    spawner: PodSpawner, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def made(_name: str, _namespace: str) -> Any:
        return SimpleNamespace(metadata=SimpleNamespace(uid="uid-1"))

    anew: list[bool] = []

    async def watch(replace: bool = False) -> None:
        anew.append(replace)

    monkeypatch.setattr(cluster, "read_namespaced_pod", made)
    monkeypatch.setattr(spawner, "_start_watching_pods", watch)
    monkeypatch.setattr(base, "ASK_EVERY_SECONDS", 0.5)
    cluster.tells, spawner.start_timeout, spawner.http_timeout = False, 1, 1
    with pytest.raises(Rejection, match="The cluster said nothing about the server's pod in 2 seconds"):
        await spawner.start()
    assert True in anew


async def test_what_the_cluster_does_not_tell_about_is_asked_for(spawner: PodSpawner, cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base, "ASK_EVERY_SECONDS", 0.5)
    cluster.tells = False
    with pytest.raises(Rejection, match="was deleted while it started"):
        await spawner.start()


async def test_a_pod_of_the_same_name_makes_way(spawner: PodSpawner, cluster: Cluster, port: int) -> None:
    cluster.add(spawner.pod_name, "old")
    cluster.status = RUNNING
    await spawner.start()
    assert cluster.removed == [spawner.pod_name]
    assert cluster.pods[f"{NAMESPACE}/{spawner.pod_name}"]["metadata"]["uid"] == spawner._pod_uid == "uid-2"


async def test_a_start_that_is_cancelled_leaves_no_pod(spawner: PodSpawner, cluster: Cluster) -> None:
    starting = spawner.start()
    await asyncio.sleep(2 * base.WATCH_SECONDS)
    assert cluster.pods
    starting.cancel()  # type: ignore[attr-defined]  # it is a future
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert cluster.pods == {}


async def test_a_start_that_is_cancelled_while_it_asks_leaves_no_pod(spawner: PodSpawner, cluster: Cluster) -> None:
    cluster.answers.clear()
    starting = spawner.start()
    while not cluster.made:
        await asyncio.sleep(0.01)
    starting.cancel()  # type: ignore[attr-defined]  # it is a future
    await asyncio.sleep(0.05)
    assert not starting.done()  # type: ignore[attr-defined]
    cluster.answers.set()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert (len(cluster.made), cluster.pods) == (1, {})


async def test_a_pod_that_cannot_be_removed_is_left_to_the_next_start(
    spawner: PodSpawner, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refuse(*_: Any, **__: Any) -> None:
        raise ApiException(status=500)

    monkeypatch.setattr(cluster, "delete_namespaced_pod", refuse)
    cluster.status = {"phase": "Failed", "reason": "Evicted"}
    with pytest.raises(Rejection, match="Evicted"):
        await spawner.start()
    assert "could not be removed" in caplog.text


async def test_events_are_those_of_this_starts_pod(spawner: PodSpawner, cluster: Cluster, port: int) -> None:
    cluster.status = RUNNING
    cluster.events = [
        {"involvedObject": {"name": spawner.pod_name, "uid": uid}, "metadata": {"uid": uid}, "lastTimestamp": "1", "type": "Normal", "message": uid}
        for uid in ("uid-0", "uid-1")
    ]
    assert spawner.events == []
    await spawner.start()
    assert [event["message"] for event in spawner.events] == ["uid-1"]
    assert [event["message"] async for event in spawner.progress()] == ["1 [Normal] uid-1"]


async def test_a_server_that_the_cluster_ended_leaves_no_pod(
    spawner: PodSpawner, cluster: Cluster, port: int, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.status = RUNNING
    await spawner.start()
    cluster.pods[f"{NAMESPACE}/{spawner.pod_name}"]["status"] = {"phase": "Failed", "reason": "Evicted"}
    caplog.set_level("INFO")
    assert await spawner.poll() == 1
    assert "has ended: Evicted" in caplog.text
    assert cluster.pods == {}
    assert await spawner.poll() == 1


async def test_only_what_the_operator_wrote_refers_to_other_variables(spawner: PodSpawner, monkeypatch: pytest.MonkeyPatch) -> None:
    spawner.environment = {"THEIRS": "$(HOME)/{username}", "CALLED": lambda _: "$(HOME)", "SECRET": {"valueFrom": {"secretKeyRef": {"name": "s"}}}}
    monkeypatch.setattr(spawner.user, "name", "$(HOME)")
    written = {variable.name: variable.value for variable in (await spawner.get_pod_manifest()).spec.containers[0].env}
    assert written["THEIRS"].startswith("$(HOME)/home---")
    assert (written["CALLED"], written["JUPYTERHUB_USER"], written["SECRET"]) == ("$$(HOME)", "$$(HOME)", None)
