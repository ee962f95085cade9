"""Build pods on a real cluster: what becomes of them, whatever happens to them."""

from __future__ import annotations

import asyncio
import os

from binderhub_service.builders.kubernetes import Cluster
from binderhub_service.builders.kubernetes.manifest import pod_manifest
from binderhub_service.models import Kind
from tests.harness.following import followed, texts, up_to
from tests.harness.waiting import in_time, until
from tests.kubernetes.builds.pod_builds import LOGIN, PodBuilds
from tests.kubernetes.kubectl import found, kubectl


async def test_a_build_goes_through_its_steps_and_strangers_code_sees_no_login(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["one"])
    reports, error = await followed(pod_builds.builder(git_credentials="https://me:token@git.example.org\n"), build)
    assert error is None
    assert [report.data["phase"] for report in reports if report.kind is Kind.PHASE] == ["fetching", "building", "pushing"]
    assert texts(reports) == [f"logins for ['{LOGIN.registry}'], user 1000", "one", "build sees [] of what is secret"]
    assert [report.cursor for report in reports] == ["fetch:1", "fetch:2", "build:1", "build:2", "build:3", "push:1"]


async def test_a_pushed_image_that_does_not_start_is_told_to_be_there_and_then_that_it_is_bad(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(untried={"code": "no_singleuser", "message": "No.", "hint": None})
    reports, error = await followed(pod_builds.builder(), build)
    assert [report.cursor for report in reports if report.data.get("made")] == ["push:2"]
    assert pod_builds.is_made(build)
    assert error
    assert error.code == "no_singleuser"
    rest, again = await followed(pod_builds.builder(), build, "push:2")
    assert (rest, str(again)) == ([], "No.")


async def test_no_secret_is_in_the_pod(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["here"], seconds=2)
    await up_to(pod_builds.builder(git_credentials="https://me:token@git.example.org\n"), build, "here")
    shown = kubectl("get", "pod", f"build-{build.id}", f"--namespace={pod_builds.namespace}", "--output=json")
    assert LOGIN.password not in shown
    assert "token" not in shown.replace("automountServiceAccountToken", "")
    await pod_builds.builder().stop(build)


async def test_a_restart_in_the_middle_of_a_long_log_leaves_no_gap_and_tells_nothing_twice(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(count=3000, seconds=1)
    first = await up_to(pod_builds.builder(), build, "line 1234")
    rest, error = await followed(pod_builds.builder(), build, first[-1].cursor)
    assert error is None
    lines = [text for text in texts(first + rest) if text.startswith("line ")]
    assert lines == [f"line {number}" for number in range(3000)]


async def test_two_services_that_run_the_same_build_make_one_pod_and_one_secret(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["one"], seconds=1)
    one, two = (asyncio.create_task(followed(pod_builds.builder(), build)) for _ in range(2))
    assert await one == await two
    names = [f"{one['kind']} {one['metadata']['name']}" for one in found("pods,secrets", pod_builds.namespace)]
    assert sorted(name for name in names if build.id in name) == [f"Pod build-{build.id}", f"Secret build-{build.id}"]


async def test_a_service_that_was_killed_between_the_pod_and_its_secret_is_taken_up(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["one"])
    cluster = Cluster(pod_builds.namespace)
    await cluster.create_pod(pod_manifest(build, pod_builds.settings))
    await cluster.close()
    reports, error = await followed(pod_builds.builder(), build)
    assert error is None
    assert "one" in texts(reports)


async def test_a_pod_that_somebody_deletes_ends_the_build(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["here"], seconds=60)
    following = asyncio.create_task(followed(pod_builds.builder(), build))
    await up_to(pod_builds.builder(), build, "here")
    kubectl("delete", "pod", f"build-{build.id}", f"--namespace={pod_builds.namespace}", "--grace-period=1")
    _, error = await in_time(following)
    assert error
    assert error.code == "builder_lost"


async def test_a_pod_that_went_while_nobody_looked_ends_the_build_and_is_not_made_again(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["here"], seconds=60)
    first = await up_to(pod_builds.builder(), build, "here")
    kubectl("delete", "pod", f"build-{build.id}", f"--namespace={pod_builds.namespace}", "--grace-period=1")
    _, error = await followed(pod_builds.builder(), build, first[-1].cursor)
    assert error
    assert error.code == "builder_lost"
    assert f"build-{build.id}" not in pod_builds.pods()


async def test_a_build_that_takes_more_memory_than_it_may_says_so(pod_builds: PodBuilds) -> None:
    _, error = await followed(pod_builds.builder(memory_limit_bytes=64 * 1024**2), pod_builds.ask(memory_mb=200))
    assert error
    assert error.code == "out_of_memory"
    assert error.hint


async def test_a_build_that_fits_on_no_node_says_that_it_waits_and_then_gives_up(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask()
    builder = pod_builds.builder(node_selector={"binder.example.org/no": "where"}, unschedulable_seconds=2)
    reports, error = await in_time(followed(builder, build))
    assert [text.partition(":")[0] for text in texts(reports)] == ["Waiting for a node of the cluster with room for the build"]
    assert error
    assert error.code == "unschedulable"
    await builder.forget(build)
    await asyncio.to_thread(pod_builds.wait_until_nothing_is_left, build)


async def test_a_builder_image_that_cannot_be_pulled_is_the_operators_matter(pod_builds: PodBuilds) -> None:
    builder = pod_builds.builder(builder_image=f"{os.environ['KUBE_TEST_REGISTRY']}/there-is-no:such", image_pull_seconds=8)
    reports, error = await in_time(followed(builder, pod_builds.ask()))
    assert len(texts(reports)) == 1
    assert "cannot be pulled yet" in texts(reports)[0]
    assert error
    assert error.code == "builder_image_pull_failed"


async def test_a_build_that_takes_longer_than_the_pods_deadline_is_ended(pod_builds: PodBuilds) -> None:
    _, error = await in_time(followed(pod_builds.builder(deadline_seconds=3), pod_builds.ask(seconds=90)))
    assert error
    assert error.code == "build_timeout"


async def test_a_build_that_takes_more_disk_than_it_may_is_evicted_and_says_why(pod_builds: PodBuilds) -> None:
    builder = pod_builds.builder(ephemeral_storage_limit_bytes=20 * 1024**2)
    _, error = await in_time(followed(builder, pod_builds.ask(disk_mb=60, seconds=120)))
    assert error
    assert error.code == "disk_limit_exceeded"


async def test_a_cancelled_build_leaves_neither_pod_nor_secret(pod_builds: PodBuilds) -> None:
    build = pod_builds.ask(lines=["here"], seconds=60)
    builder = pod_builds.builder()
    await up_to(builder, build, "here")
    await builder.stop(build)
    assert f"build-{build.id}" not in pod_builds.pods()
    await asyncio.to_thread(pod_builds.wait_until_nothing_is_left, build)


async def test_pods_of_builds_that_have_ended_are_removed_and_no_others(pod_builds: PodBuilds) -> None:
    orphan, alive, foreign = (pod_builds.ask(lines=["here"], seconds=60) for _ in range(3))
    builder, other = pod_builds.builder(), pod_builds.builder(instance="other")
    for one, its in ((orphan, builder), (alive, builder), (foreign, other)):
        await up_to(its, one, "here")
    await pod_builds.builder().forget_all_but({alive.id})
    await until(lambda: f"build-{orphan.id}" not in pod_builds.pods(), "the orphan's removal")
    assert {f"build-{alive.id}", f"build-{foreign.id}"} <= set(pod_builds.pods())
    await builder.stop(alive)
    await other.stop(foreign)


async def test_only_an_image_that_was_made_is_announced(pod_builds: PodBuilds) -> None:
    made: list[str] = []
    builder = pod_builds.builder()
    builder._on_made = made.append
    good, bad = pod_builds.ask(), pod_builds.ask(error={"code": "build_failed", "message": "No.", "hint": None})
    await asyncio.gather(followed(builder, good), followed(builder, bad))
    assert made == [good.image.name]


async def test_a_step_that_ends_without_a_word_is_an_internal_error(pod_builds: PodBuilds) -> None:
    _, error = await followed(pod_builds.builder(), pod_builds.ask(exit=3))
    assert error
    assert error.code == "internal_error"
