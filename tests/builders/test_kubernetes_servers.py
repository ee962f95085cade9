"""Who runs servers from an image, asked of an API server that has whatever pods it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from binderhub_service.builders.kubernetes import Cluster, ServersOnCluster, servers
from binderhub_service.errors import Conflict, Unavailable
from tests.fake_cluster import NAMESPACE, PODS, FakeCluster

IMAGE = "registry.example.org/binder-a:1"
OTHER = "registry.example.org/binder-b:1"
LIST = f"GET {PODS}"


@pytest.fixture
async def around(fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServersOnCluster]:
    monkeypatch.setattr("binderhub_service.builders.kubernetes.cluster._WAITS_SECONDS", (0.01,))
    around = ServersOnCluster(Cluster(NAMESPACE, fake.kubeconfig(tmp_path)))
    yield around
    await around.close()


async def serve(fake: FakeCluster, user: str, server: str = "", image: str = f"{IMAGE}@sha256:1", phase: str = "Running") -> None:
    """Put a server's pod as the spawner marks it."""
    annotations = {"binder.image": image, "binder.user": user, "binder.server": server}
    await fake.put(f"jupyter-{user}-{server}", metadata={"annotations": annotations}, phase=phase)


async def test_users_are_told_by_name_and_server_whatever_the_digest(fake: FakeCluster, around: ServersOnCluster) -> None:
    await serve(fake, "bob", "two")
    await serve(fake, "alice", image=IMAGE)
    await serve(fake, "carol", image=f"{OTHER}@sha256:2")
    assert await around.users(IMAGE) == ("alice/", "bob/two")
    assert await around.users(OTHER) == ("carol/",)
    assert await around.users("registry.example.org/binder-c:1") == ()


async def test_servers_that_have_ended_and_pods_of_others_do_not_count(fake: FakeCluster, around: ServersOnCluster) -> None:
    for phase in ("Succeeded", "Failed", "Pending", "Unknown"):
        await serve(fake, phase.lower(), phase=phase)
    await fake.put("without-annotations", phase="Running")
    await fake.put("of-somebody-else", metadata={"annotations": {"hub.jupyter.org/username": "x"}}, phase="Running")
    assert await around.users(IMAGE) == ("pending/", "unknown/")


async def test_a_server_without_a_person_is_told_by_its_pods_name(fake: FakeCluster, around: ServersOnCluster) -> None:
    await fake.put("a-pod", metadata={"annotations": {"binder.image": IMAGE}}, phase="Running")
    assert await around.users(IMAGE) == ("a-pod/",)


async def test_one_question_answers_for_all_images_of_a_list(fake: FakeCluster, around: ServersOnCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    await serve(fake, "alice")
    assert await asyncio.gather(*(around.users(f"{IMAGE}{number}") for number in range(20)), around.users(IMAGE)) == [*[()] * 20, ("alice/",)]
    assert fake.count(LIST) == 1
    await fake.remove("jupyter-alice-")
    monkeypatch.setattr(servers, "_KEPT_SECONDS", 0.0)
    assert await around.users(IMAGE) == ()
    assert fake.count(LIST) == 2


async def test_an_image_that_a_server_runs_from_is_not_deleted(fake: FakeCluster, around: ServersOnCluster) -> None:
    await serve(fake, "alice")
    with pytest.raises(Conflict) as refused:
        await around.delete(IMAGE)
    assert refused.value.code == "image_in_use"
    await around.delete(OTHER)


async def test_before_an_image_is_deleted_the_cluster_is_asked_anew(fake: FakeCluster, around: ServersOnCluster) -> None:
    assert await around.users(IMAGE) == ()
    await serve(fake, "alice")
    with pytest.raises(Conflict):
        await around.delete(IMAGE)
    await fake.remove("jupyter-alice-")
    await around.delete(IMAGE)


async def test_an_image_is_not_deleted_while_the_cluster_cannot_be_asked(fake: FakeCluster, around: ServersOnCluster) -> None:
    assert await around.users(IMAGE) == ()
    fake.refusals[LIST] = [403]
    with pytest.raises(Unavailable):
        await around.delete(IMAGE)


async def test_there_is_nothing_to_tidy(fake: FakeCluster, around: ServersOnCluster) -> None:
    await around.tidy(["b1"])
    assert fake.requests == []
