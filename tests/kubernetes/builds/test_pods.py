"""Build pods on a real cluster: what becomes of them, whatever happens to them."""

from __future__ import annotations

import asyncio
import os

from binderhub_service.builders.kubernetes import Cluster
from binderhub_service.builders.kubernetes.manifest import pod_manifest
from binderhub_service.models import Kind
from tests.harness.following import followed, texts, up_to
from tests.harness.records import until
from tests.kubernetes.builds.yard import LOGIN, Yard
from tests.kubernetes.kubectl import found, kubectl


async def test_a_build_goes_through_its_steps_and_strangers_code_sees_no_login(yard: Yard) -> None:
    build = yard.ask(lines=["one"])
    reports, error = await followed(yard.builder(git_credentials="https://me:token@git.example.org\n"), build)
    assert error is None
    assert [report.data["phase"] for report in reports if report.kind is Kind.PHASE] == ["fetching", "building", "pushing"]
    assert texts(reports) == [f"logins for ['{LOGIN.registry}'], user 1000", "one", "build sees [] of what is secret"]
    assert [report.cursor for report in reports] == ["fetch:1", "fetch:2", "build:1", "build:2", "build:3", "push:1"]


async def test_no_secret_is_in_the_pod(yard: Yard) -> None:
    build = yard.ask(lines=["here"], seconds=2)
    await up_to(yard.builder(git_credentials="https://me:token@git.example.org\n"), build, "here")
    shown = kubectl("get", "pod", f"build-{build.id}", f"--namespace={yard.namespace}", "--output=json")
    assert LOGIN.password not in shown
    assert "token" not in shown.replace("automountServiceAccountToken", "")
    await yard.builder().stop(build)


async def test_a_restart_in_the_middle_of_a_long_log_leaves_no_gap_and_tells_nothing_twice(yard: Yard) -> None:
    build = yard.ask(count=3000, seconds=1)
    first = await up_to(yard.builder(), build, "line 1234")
    rest, error = await followed(yard.builder(), build, first[-1].cursor)
    assert error is None
    lines = [text for text in texts(first + rest) if text.startswith("line ")]
    assert lines == [f"line {number}" for number in range(3000)]


async def test_two_services_that_run_the_same_build_make_one_pod_and_one_secret(yard: Yard) -> None:
    build = yard.ask(lines=["one"], seconds=1)
    one, two = (asyncio.create_task(followed(yard.builder(), build)) for _ in range(2))
    assert await one == await two
    names = [f"{one['kind']} {one['metadata']['name']}" for one in found("pods,secrets", yard.namespace)]
    assert sorted(name for name in names if build.id in name) == [f"Pod build-{build.id}", f"Secret build-{build.id}"]


async def test_a_service_that_was_killed_between_the_pod_and_its_secret_is_taken_up(yard: Yard) -> None:
    build = yard.ask(lines=["one"])
    cluster = Cluster(yard.namespace)
    await cluster.create_pod(pod_manifest(build, yard.settings))
    await cluster.close()
    reports, error = await followed(yard.builder(), build)
    assert error is None
    assert "one" in texts(reports)


async def test_a_pod_that_somebody_deletes_ends_the_build(yard: Yard) -> None:
    build = yard.ask(lines=["here"], seconds=60)
    following = asyncio.create_task(followed(yard.builder(), build))
    await up_to(yard.builder(), build, "here")
    kubectl("delete", "pod", f"build-{build.id}", f"--namespace={yard.namespace}", "--grace-period=1")
    _, error = await asyncio.wait_for(following, 30)
    assert error
    assert error.code == "builder_lost"


async def test_a_pod_that_went_while_nobody_looked_ends_the_build_and_is_not_made_again(yard: Yard) -> None:
    build = yard.ask(lines=["here"], seconds=60)
    first = await up_to(yard.builder(), build, "here")
    kubectl("delete", "pod", f"build-{build.id}", f"--namespace={yard.namespace}", "--grace-period=1")
    _, error = await followed(yard.builder(), build, first[-1].cursor)
    assert error
    assert error.code == "builder_lost"
    assert f"build-{build.id}" not in yard.pods()


async def test_a_build_that_takes_more_memory_than_it_may_says_so(yard: Yard) -> None:
    _, error = await followed(yard.builder(memory_limit_bytes=64 * 1024**2), yard.ask(memory_mb=200))
    assert error
    assert error.code == "out_of_memory"
    assert error.hint


async def test_a_build_that_fits_on_no_node_says_that_it_waits_and_then_gives_up(yard: Yard) -> None:
    build = yard.ask()
    builder = yard.builder(node_selector={"binder.example.org/no": "where"}, unschedulable_seconds=2)
    reports, error = await asyncio.wait_for(followed(builder, build), 20)
    assert [text.partition(":")[0] for text in texts(reports)] == ["Waiting for a node of the cluster with room for the build"]
    assert error
    assert error.code == "unschedulable"
    await builder.forget(build)
    await asyncio.to_thread(yard.wait_until_nothing_is_left, build)


async def test_a_builder_image_that_cannot_be_pulled_is_the_operators_matter(yard: Yard) -> None:
    builder = yard.builder(builder_image=f"{os.environ['KUBE_TEST_REGISTRY']}/there-is-no:such", image_pull_seconds=3)
    reports, error = await asyncio.wait_for(followed(builder, yard.ask()), 30)
    assert len(texts(reports)) == 1
    assert "cannot be pulled yet" in texts(reports)[0]
    assert error
    assert error.code == "builder_image_pull_failed"


async def test_a_build_that_takes_longer_than_the_pods_deadline_is_ended(yard: Yard) -> None:
    _, error = await asyncio.wait_for(followed(yard.builder(deadline_seconds=3), yard.ask(seconds=90)), 60)
    assert error
    assert error.code == "build_timeout"


async def test_a_build_that_takes_more_disk_than_it_may_is_evicted_and_says_why(yard: Yard) -> None:
    builder = yard.builder(ephemeral_storage_limit_bytes=20 * 1024**2)
    _, error = await asyncio.wait_for(followed(builder, yard.ask(disk_mb=60, seconds=120)), 100)
    assert error
    assert error.code == "disk_limit_exceeded"


async def test_a_cancelled_build_leaves_neither_pod_nor_secret(yard: Yard) -> None:
    build = yard.ask(lines=["here"], seconds=60)
    builder = yard.builder()
    await up_to(builder, build, "here")
    await builder.stop(build)
    assert f"build-{build.id}" not in yard.pods()
    await asyncio.to_thread(yard.wait_until_nothing_is_left, build)


async def test_pods_of_builds_that_have_ended_are_removed_and_no_others(yard: Yard) -> None:
    orphan, alive, foreign = (yard.ask(lines=["here"], seconds=60) for _ in range(3))
    builder, other = yard.builder(), yard.builder(instance="other")
    for one, its in ((orphan, builder), (alive, builder), (foreign, other)):
        await up_to(its, one, "here")
    await yard.builder().forget_all_but({alive.id})
    await until(lambda: f"build-{orphan.id}" not in yard.pods(), "the orphan's removal")
    assert {f"build-{alive.id}", f"build-{foreign.id}"} <= set(yard.pods())
    await builder.stop(alive)
    await other.stop(foreign)


async def test_only_an_image_that_was_made_is_announced(yard: Yard) -> None:
    made: list[str] = []
    builder = yard.builder()
    builder._on_made = made.append
    good, bad = yard.ask(), yard.ask(error={"code": "build_failed", "message": "No.", "hint": None})
    await asyncio.gather(followed(builder, good), followed(builder, bad))
    assert made == [good.image.name]


async def test_a_step_that_ends_without_a_word_is_an_internal_error(yard: Yard) -> None:
    _, error = await followed(yard.builder(), yard.ask(exit=3))
    assert error
    assert error.code == "internal_error"
