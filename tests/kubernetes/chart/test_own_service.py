"""The chart with the service in a Deployment of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.git_server import GitServer
from tests.harness.waiting import wait_for
from tests.kubernetes.chart.helm import REASON
from tests.kubernetes.chart.release import BEFORE, Release, little_dockerfile
from tests.kubernetes.kubectl import found

pytestmark = [pytest.mark.skipif(bool(REASON), reason=REASON), pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def release(chart: Path, place: str, storage_class: str) -> Iterator[Release]:
    with Release(chart, place, storage_class, {"service": {"own": True}}) as release:
        yield release


def test_a_build_goes_on_when_the_services_own_pod_is_killed_and_its_image_is_launched(release: Release, git_server: GitServer) -> None:
    assert {pod["metadata"]["labels"]["component"] for pod in found("pods", release.namespace)} == {"hub", "proxy", "binder-service"}
    repository = git_server.create("chart/own", {"Dockerfile": little_dockerfile(15)})
    alice = release.token("alice")
    build = release.build(repository.url, alice)
    before = release.read_to(build["id"], alice, BEFORE)
    release.kill()
    release.wait_until_up()
    event_log = release.read_on(build["id"], alice, before)
    assert event_log[-1].data["state"] == "ready", event_log[-3:]
    told = release.launch("alice", {"repo": repository.url})
    assert told[-1].get("ready"), (told[-3:], release.log())
    release.stop_server("alice")


def test_nothing_is_left_of_it_when_it_is_removed(release: Release) -> None:
    release.uninstall()
    wait_for(lambda: not release.left(), "an empty namespace", 60, every_seconds=0.5)
