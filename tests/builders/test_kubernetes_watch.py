"""The one watch of all build pods, against an API server that breaks as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from binderhub_service.builders.kubernetes import Cluster
from binderhub_service.builders.kubernetes import watch as watches
from binderhub_service.builders.kubernetes.watch import FollowedPod, PodWatch
from binderhub_service.errors import Unavailable
from tests.fake_cluster import NAMESPACE, PODS, FakeCluster
from tests.harness.waiting import until


@pytest.fixture
async def watch(fake: FakeCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PodWatch]:
    monkeypatch.setattr(watches, "_FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("binderhub_service.builders.kubernetes.cluster._WAITS_SECONDS", (0.01,))
    cluster = Cluster(NAMESPACE, fake.kubeconfig(tmp_path))
    watch = PodWatch(cluster, "component=build", patience_seconds=0.5)
    yield watch
    await watch.close()
    await cluster.close()


async def becomes(pod: FollowedPod, phase: str) -> None:
    assert await pod.until(lambda now: now is not None and now["status"]["phase"] == phase, 60), pod.now


async def goes(pod: FollowedPod) -> None:
    assert await pod.until(lambda now: now is None, 60), pod.now


async def test_a_pod_is_followed_from_what_it_is_now(fake: FakeCluster, watch: PodWatch) -> None:
    await fake.put("build-1", phase="Pending")
    async with watch.following("build-1") as pod:
        assert pod.now
        assert pod.now["status"]["phase"] == "Pending"
        await fake.put("build-1", phase="Running")
        await becomes(pod, "Running")
        await fake.remove("build-1")
        await goes(pod)


@pytest.mark.parametrize("last", ["changed", "gone", "made"])
async def test_an_answer_that_is_older_than_the_last_event_does_not_replace_it(fake: FakeCluster, watch: PodWatch, last: str) -> None:
    await fake.put("build-0", phase="Running")
    async with watch.following("build-0") as witness:
        await until(lambda: fake.count("WATCH"), "the watch")
        if last != "made":
            await fake.put("build-1", phase="Running")
        fake.held = asyncio.Event()
        following = watch.following("build-1")
        entering = asyncio.create_task(following.__aenter__())
        await until(lambda: fake.count(f"GET {PODS}/build-1"), "the question")
        await (fake.remove("build-1") if last == "gone" else fake.put("build-1", phase="Succeeded"))
        await fake.put("build-0", phase="Succeeded")
        await becomes(witness, "Succeeded")  # so the watch has told what came before
        fake.held.set()
        pod = await entering
        await (goes(pod) if last == "gone" else becomes(pod, "Succeeded"))
        await following.__aexit__(None, None, None)


async def test_a_pod_that_is_not_there_is_gone(watch: PodWatch) -> None:
    async with watch.following("build-1") as pod:
        assert pod.now is None


async def test_many_followers_need_one_watch(fake: FakeCluster, watch: PodWatch) -> None:
    names = [f"build-{number}" for number in range(20)]
    for name in names:
        await fake.put(name, phase="Pending")

    async def follow(name: str) -> None:
        async with watch.following(name) as pod:
            await becomes(pod, "Running")

    following = [asyncio.create_task(follow(name)) for name in names]
    await until(lambda: fake.count("WATCH"), "the watch")
    for name in names:
        await fake.put(name, phase="Running")
    await asyncio.gather(*following)
    assert fake.count("WATCH") == 1
    assert fake.requests.count(f"GET {PODS}") == 1


async def test_a_broken_connection_is_taken_up_where_it_broke(fake: FakeCluster, watch: PodWatch) -> None:
    await fake.put("build-1", phase="Pending")
    async with watch.following("build-1") as pod:
        await until(lambda: fake.count("WATCH"), "the watch")
        fake.break_watches()
        await fake.put("build-1", phase="Running")
        await becomes(pod, "Running")
    assert fake.requests.count(f"GET {PODS}") == 1, "there was no need for another list"
    assert fake.count("WATCH") >= 2


@pytest.mark.parametrize("meanwhile", ["changed", "gone"])
async def test_after_a_version_that_is_too_old_everything_is_looked_at_again(fake: FakeCluster, watch: PodWatch, meanwhile: str) -> None:
    await fake.put("build-1", phase="Pending")
    async with watch.following("build-1") as pod:
        await until(lambda: fake.count("WATCH"), "the watch")
        fake.refusals["WATCH"] = [503]
        fake.break_watches()
        if meanwhile == "changed":
            await fake.put("build-1", phase="Running")
        else:
            await fake.remove("build-1")
        fake.forget_history()
        await (becomes(pod, "Running") if meanwhile == "changed" else goes(pod))
    assert fake.requests.count(f"GET {PODS}") >= 2


async def test_a_pod_that_is_younger_than_the_list_is_not_taken_for_gone(fake: FakeCluster, watch: PodWatch) -> None:
    await fake.put("build-1", phase="Pending")
    async with watch.following("build-1") as pod:
        await until(lambda: fake.count("WATCH"), "the watch")
        listed, fake.pods = fake.pods, {}
        fake.forget_history()
        fake.break_watches()
        await until(lambda: fake.requests.count(f"GET {PODS}") >= 2, "another list")
        fake.pods = listed
        await fake.put("build-1", phase="Running")
        await becomes(pod, "Running")


async def test_a_cluster_that_stays_away_is_given_up_in_the_end(fake: FakeCluster, watch: PodWatch) -> None:
    await fake.put("build-1", phase="Pending")
    async with watch.following("build-1") as pod:
        fake.refusals[f"GET {PODS}"] = [503] * 1000
        fake.refusals["WATCH"] = [503] * 1000
        fake.break_watches()
        with pytest.raises(Unavailable) as caught:
            await pod.until(lambda now: now is None, 10)
    assert caught.value.code == "cluster_unavailable"


async def test_nobody_waits_for_a_watch_that_ended_by_an_error(fake: FakeCluster, watch: PodWatch, monkeypatch: pytest.MonkeyPatch) -> None:
    await fake.put("build-1", phase="Pending")
    with monkeypatch.context() as broken:
        broken.setattr(watch, "_note", lambda event: event["nonsense"])
        async with watch.following("build-1") as pod:
            await until(lambda: fake.count("WATCH"), "the watch")
            await fake.put("build-1", phase="Running")
            with pytest.raises(Unavailable):
                await pod.until(lambda now: now is None, 10)
    async with watch.following("build-1") as pod:
        await fake.put("build-1", phase="Succeeded")
        await becomes(pod, "Succeeded")


async def test_nothing_is_watched_when_nobody_follows(fake: FakeCluster, watch: PodWatch) -> None:
    await fake.put("build-1", phase="Pending")
    async with watch.following("build-1"):
        await until(lambda: fake._watches, "the watch")
    await until(lambda: not fake._watches, "the end of the watch")
    assert watch._task is None
    async with watch.following("build-1") as pod:
        await fake.put("build-1", phase="Running")
        await becomes(pod, "Running")


async def test_closing_ends_the_watch(fake: FakeCluster, watch: PodWatch) -> None:
    async with watch.following("build-1"):
        await until(lambda: fake._watches, "the watch")
        await watch.close()
        await until(lambda: not fake._watches, "the end of the watch")
