"""Metrics under BinderHub's names."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from binderhub_service.models import Build, Image, Phase, Source, State, now
from binderhub_service.monitoring.binderhub_metrics import BinderHubMetrics
from binderhub_service.monitoring.metrics import Metrics
from binderhub_service.providers.github import GitHubProvider

REPO = "https://github.com/o/r"


def build(state: State, seconds: float = 100, repo: str = REPO) -> Build:
    begun = now()
    made = Build("b1", Source("gh", repo, repo, "o-r", "main", "0" * 40), Image("image"), state, Phase.DONE, "alice", begun)
    return replace(made, started=begun, finished=begun + timedelta(seconds=seconds))


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
def metrics(registry: CollectorRegistry) -> BinderHubMetrics:
    made = BinderHubMetrics(registry)
    made.watch(lambda: 3, [GitHubProvider()])
    return made


def test_builds_are_counted_by_how_they_ended(registry: CollectorRegistry, metrics: BinderHubMetrics) -> None:
    for state in (State.READY, State.FAILED, State.CANCELLED):
        metrics.note_end(build(state))
    metrics.note_end(build(State.READY, seconds=0))  # the image was there
    for status in ("success", "failure"):
        assert registry.get_sample_value("binderhub_build_count_total", {"status": status, "provider": "GitHub", "repo": REPO}) == 1
        assert registry.get_sample_value("binderhub_build_time_seconds_bucket", {"status": status, "le": "60.0"}) == 0
        assert registry.get_sample_value("binderhub_build_time_seconds_bucket", {"status": status, "le": "120.0"}) == 1
    assert registry.get_sample_value("binderhub_inprogress_builds") == 3


def test_a_build_that_ended_before_it_began_by_a_clock_that_was_set_back_took_no_time(registry: CollectorRegistry, metrics: BinderHubMetrics) -> None:
    metrics.note_end(build(State.READY, seconds=-3600))
    assert registry.get_sample_value("binderhub_build_time_seconds_sum", {"status": "success"}) == 0
    assert registry.get_sample_value("binderhub_build_time_seconds_count", {"status": "success"}) == 1


def test_launches_are_counted_while_they_go_on_and_when_they_end(registry: CollectorRegistry, metrics: BinderHubMetrics) -> None:
    with metrics.launching():
        assert registry.get_sample_value("binderhub_inprogress_launches") == 1
    assert registry.get_sample_value("binderhub_inprogress_launches") == 0
    metrics.note_launch("repo_quota", "gh", REPO)
    assert registry.get_sample_value("binderhub_launch_count_total", {"status": "repo_quota", "provider": "GitHub", "repo": REPO}) == 1
    metrics.note_attempt("success", 1, 4)
    assert registry.get_sample_value("binderhub_launch_time_seconds_bucket", {"status": "success", "retries": "1", "le": "5.0"}) == 1


def test_buckets_are_binderhubs(registry: CollectorRegistry, metrics: BinderHubMetrics) -> None:
    metrics.note_end(build(State.READY))
    metrics.note_attempt("failure", -1, 4)
    buckets = {
        family.name: [sample.labels["le"] for sample in family.samples if sample.name.endswith("_bucket")]
        for family in registry.collect()
        if family.type == "histogram"
    }
    assert [float(text) for text in buckets["binderhub_build_time_seconds"]] == [60, 120, 300, 600, 1800, 3600, 7200, math.inf]
    assert [float(text) for text in buckets["binderhub_launch_time_seconds"]] == [2, 5, 10, 20, 30, 60, 120, 300, 600, math.inf]


def test_what_github_still_answers_is_known_once_it_has_said_so(registry: CollectorRegistry) -> None:
    api = SimpleNamespace(remaining=None)
    BinderHubMetrics(registry).watch(lambda: 0, [SimpleNamespace(name="gh", event_name="GitHub", api=api)])  # type: ignore[list-item]
    assert math.isnan(registry.get_sample_value("binderhub_github_rate_limit_remaining") or 0)
    api.remaining = 42
    assert registry.get_sample_value("binderhub_github_rate_limit_remaining") == 42


def test_many_repositories_do_not_fill_the_memory(registry: CollectorRegistry, metrics: BinderHubMetrics) -> None:
    for number in range(2100):
        metrics.note_launch("success", "gh", f"https://github.com/o/r{number}")
    assert registry.get_sample_value("binderhub_launch_count_total", {"status": "success", "provider": "GitHub", "repo": "other"}) == 100


def test_the_whole_text_is_prometheus_text_with_both_names() -> None:
    metrics = Metrics("embedded")
    metrics.note_end(build(State.READY))
    families = {family.name for family in text_string_to_metric_families(metrics.exposition()[1].decode())}
    assert {"binder_builds", "binder_build_seconds", "binderhub_build_count", "binderhub_build_time_seconds", "binderhub_launch_count"} <= families
