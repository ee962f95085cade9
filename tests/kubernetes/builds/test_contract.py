"""The suite of all builders, over build pods; what stands in for their steps holds builds where the suite wants them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from binderhub_service.builders import Builder
from binderhub_service.models import Build
from tests.contract.test_builder import (  # noqa: F401  # pytest collects them here, with the fixture below
    LINES,
    BuilderCase,
    test_a_build_can_be_forgotten_more_than_once,
    test_a_build_tells_what_happens_and_ends_when_the_image_is_made,
    test_a_build_that_ended_while_nobody_looked_is_told_to_its_end,
    test_a_failure_says_its_code_to_every_follower_even_late,
    test_a_follower_that_comes_back_gets_the_rest_and_nothing_twice,
    test_a_stopped_build_makes_nothing,
    test_after_a_restart_another_builder_goes_on_with_the_same_build,
    test_another_builder_may_stop_it,
    test_followers_do_not_wait_for_each_other,
    test_stopping_what_does_not_run_does_nothing,
    test_the_image_is_not_there_before_the_end,
    test_two_builders_on_one_build_tell_the_same,
)
from tests.kubernetes.builds.pod_builds import PodBuilds


class PodCase(BuilderCase):
    """Builds that stand at a gate inside their second step."""

    def __init__(self, pod_builds: PodBuilds, name: str) -> None:
        self._pod_builds = pod_builds
        self._gate = f"/gate/{name}"

    def builder(self) -> Builder:
        return self._pod_builds.builder()

    def ask(self, *, fails: bool = False) -> Build:
        error = {"error": {"code": "post_build_failed", "message": "No.", "hint": "Yes."}} if fails else {}
        return self._pod_builds.ask(lines=LINES, gate=self._pod_builds.outside.url + self._gate, **error)

    def open_gate(self) -> None:
        self._pod_builds.outside.open.add(self._gate)

    async def is_made(self, build: Build) -> bool:
        return self._pod_builds.is_made(build)


@pytest.fixture
def case(request: pytest.FixtureRequest, pod_builds: PodBuilds, monkeypatch: pytest.MonkeyPatch) -> Iterator[BuilderCase]:
    # A late start is told when it happens, which is another event log each time.
    monkeypatch.setattr("binderhub_service.builders.kubernetes.builder._SLOW_START_SECONDS", 120)
    case = PodCase(pod_builds, request.node.originalname)
    yield case
    case.open_gate()
