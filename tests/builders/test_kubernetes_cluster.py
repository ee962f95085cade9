"""Questions to an API server, and what is made of its answers."""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest
from kubernetes_asyncio.config import incluster_config

from binderhub_service.builders.kubernetes import Cluster, KubernetesBuilder, KubernetesSettings
from binderhub_service.builders.kubernetes import cluster as clusters
from binderhub_service.clients.credentials import Credentials
from binderhub_service.errors import Unavailable
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.pod_job import PodSettings
from tests.fake_cluster import NAMESPACE, PODS, FakeCluster
from tests.harness.records import build as a_build

POD = {"metadata": {"name": "build-1", "labels": {}}}


@pytest.fixture
async def cluster(fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Cluster]:
    monkeypatch.setattr(clusters, "_WAITS_SECONDS", (0.01, 0.01))
    cluster = Cluster(NAMESPACE, fake.kubeconfig(tmp_path))
    yield cluster
    await cluster.close()


async def test_a_pod_that_is_there_already_is_returned(cluster: Cluster) -> None:
    first = await cluster.create_pod(POD)
    assert (await cluster.create_pod(POD))["metadata"]["uid"] == first["metadata"]["uid"]


async def test_a_secret_that_is_there_already_is_left_alone(fake: FakeCluster, cluster: Cluster) -> None:
    fake.refusals["POST"] = [409]
    await cluster.create_secret({"metadata": {"name": "build-1"}})


async def test_what_is_not_there_is_none_and_deleting_it_does_nothing(cluster: Cluster) -> None:
    assert await cluster.pod("build-1") is None
    await cluster.delete_pod("build-1", 0)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_what_passes_is_waited_for(fake: FakeCluster, cluster: Cluster, status: int) -> None:
    fake.refusals[f"GET {PODS}"] = [status, status]
    assert (await cluster.pods("x=y"))[0] == []
    assert cluster.requests == 3


@pytest.mark.parametrize(
    ("status", "code"), [(403, "cluster_refused"), (422, "cluster_refused"), (401, "cluster_refused"), (503, "cluster_unavailable")]
)
async def test_what_does_not_pass_is_said_with_a_code_and_a_hint(fake: FakeCluster, cluster: Cluster, status: int, code: str) -> None:
    fake.refusals["POST"] = [status] * 9
    for ask in (cluster.create_pod, cluster.create_secret):
        with pytest.raises(Unavailable) as caught:
            await ask(POD)
        assert caught.value.code == code
        assert caught.value.hint
    for asked in (cluster.pod("x"), cluster.delete_pod("x", 0), cluster.check("x=y")):
        fake.refusals = {"GET": [status] * 3, "DELETE": [status] * 3}
        with pytest.raises(Unavailable):
            await asked


@pytest.mark.parametrize(
    ("status", "told", "code"),
    [
        (403, 'pods "build-1" is forbidden: violates PodSecurity "baseline:latest": seccompProfile (...)', "pod_not_admitted"),
        (400, 'admission webhook "policy.example.org" denied the request: no root', "pod_not_admitted"),
        (403, 'pods "build-1" is forbidden: exceeded quota: small, requested: pods=1, used: pods=1, limited: pods=1', "cluster_quota_exceeded"),
        (403, 'pods "build-1" is forbidden: maximum memory usage per Container is 1Gi, but limit is 4Gi', "pod_not_admitted"),
        (422, "pods \"build-1\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no", "pod_not_admitted"),
        (422, 'Pod "build-1" is invalid: spec.priority: Forbidden: as the class says', "pod_not_admitted"),
        (404, 'configmaps "binder-builds" not found', "cluster_refused"),
        (403, 'pods is forbidden: User "me" cannot create resource "pods" in API group ""', "cluster_refused"),
        (403, "<html>", "cluster_refused"),
    ],
)
async def test_what_admission_refuses_is_said_by_name(fake: FakeCluster, cluster: Cluster, status: int, told: str, code: str) -> None:
    fake.told, fake.refusals["POST"] = told, [status]
    with pytest.raises(Unavailable) as caught:
        await cluster.create_pod(POD)
    assert caught.value.code == code
    is_shown = code != "cluster_refused" or status == 404
    assert (told.rpartition("denied")[2].rpartition("forbidden: ")[2].rpartition("invalid: ")[2] in caught.value.message) is is_shown


async def test_a_webhook_that_is_away_and_a_login_that_has_ended_are_told_from_a_cluster_that_is_busy(fake: FakeCluster, cluster: Cluster) -> None:
    away = 'Internal error occurred: failed calling webhook "policy.example.org": failed to call webhook: service "nowhere" not found'
    for status, told, words in ((500, away, "The webhook policy.example.org"), (401, "Unauthorized", "its account or its token is gone")):
        fake.told, fake.refusals["POST"] = told, [status]
        with pytest.raises(Unavailable, match=words):
            await cluster.check_admission(POD)


async def test_whether_pods_are_admitted_is_asked_without_making_one(fake: FakeCluster, cluster: Cluster) -> None:
    await cluster.check_admission(POD)
    assert fake.pods == {}
    for status, told in ((403, "x is forbidden: exceeded quota: small"), (400, 'admission webhook "x" does not support dry run')):
        fake.told, fake.refusals["POST"] = told, [status]
        await cluster.check_admission(POD)
    fake.told, fake.refusals["POST"] = 'x is forbidden: violates PodSecurity "baseline"', [403]
    with pytest.raises(Unavailable, match="does not admit the build's pod: violates PodSecurity"):
        await cluster.check_admission(POD)


async def test_a_check_does_not_wait(fake: FakeCluster, cluster: Cluster) -> None:
    fake.refusals["GET"] = [503]
    with pytest.raises(Unavailable):
        await cluster.check("x=y")
    await cluster.check("x=y")


async def test_a_server_that_is_away_is_unavailable(fake: FakeCluster, tmp_path: Path) -> None:
    fake.url = "http://127.0.0.1:9"
    cluster = Cluster(NAMESPACE, fake.kubeconfig(tmp_path))
    with pytest.raises(Unavailable) as caught:
        await cluster.check("x=y")
    assert caught.value.code == "cluster_unavailable"
    with pytest.raises(Unavailable):
        async with aclosing(cluster.log("build-1", "fetch")) as chunks:
            await anext(chunks)
    await cluster.close()


async def test_no_cluster_at_all_is_unavailable(tmp_path: Path) -> None:
    cluster = Cluster(NAMESPACE, str(tmp_path / "nothing"))
    with pytest.raises(Unavailable) as caught:
        await cluster.check("x=y")
    assert caught.value.code == "cluster_unavailable"
    await cluster.close()


async def test_an_answer_that_makes_no_sense_is_unavailable(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["fetch"] = [[b"<html>"]]
    with pytest.raises(Unavailable):
        await cluster._ask("read_namespaced_pod_log", "build-1", NAMESPACE, container="fetch")


async def test_in_a_pod_the_service_account_is_used_and_its_token_is_kept_fresh(
    fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token, certificate = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    certificate.write_text("not empty")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(certificate))
    monkeypatch.setattr(incluster_config, "TOKEN_REFRESH_PERIOD", datetime.timedelta(0))
    configuration = await clusters._configuration("")
    assert configuration.host == "https://10.0.0.1:443"
    token.write_text("second")
    assert (await configuration.auth_settings())["BearerToken"]["value"] == "Bearer second"


async def test_a_pod_that_cannot_be_forgotten_now_is_with_the_next(fake: FakeCluster, cluster: Cluster) -> None:
    settings = KubernetesSettings(builder_image="builder:1")
    builder = KubernetesBuilder(cluster, settings, PodSettings(image_prefix="r/x-"), Credentials(), ProcessLimits())
    first, second = a_build(1), a_build(2)
    for build in (first, second):
        await builder._create(build)
    fake.refusals["DELETE"] = [503] * 3
    await builder.forget(first)
    assert len(fake.pods) == 2
    await builder.forget(second)
    assert fake.pods == {}
    fake.refusals["GET"] = [503] * 3
    await builder.forget_all_but(set())
    await builder.close()


async def test_closing_twice_does_nothing(cluster: Cluster) -> None:
    await cluster.check("x=y")
    await cluster.close()
    await cluster.close()


async def test_any_number_of_logs_is_followed_at_a_time(fake: FakeCluster, cluster: Cluster) -> None:
    fake.logs["fetch"] = [[b"x\n"] * 50]
    async with asyncio.timeout(60):
        streams = [cluster.log("build-1", "fetch") for _ in range(150)]
        begun = await asyncio.gather(*(anext(stream) for stream in streams))
        await asyncio.gather(*(stream.aclose() for stream in streams))
    assert all(begun)
