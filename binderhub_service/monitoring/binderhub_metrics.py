"""Metrics under BinderHub's names, for the dashboards that there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ..models import Build, State, seconds_between
from ..providers import Provider

_BUILD_BUCKETS_SECONDS = (60, 120, 300, 600, 1800, 3600, 7200)
_LAUNCH_BUCKETS_SECONDS = (2, 5, 10, 20, 30, 60, 120, 300, 600)
_MAX_REPOS = 2000
OTHER = "other"


class BinderHubMetrics:
    """Counts builds and launches as BinderHub does.

    A repository beyond the first 2,000 counts as ``other``: many repositories must not fill the memory.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._provider_names: dict[str, str] = {}
        self._repos: set[str] = set()
        self._build_seconds = Histogram(
            "binderhub_build_time_seconds", "How long builds took.", ["status"], buckets=_BUILD_BUCKETS_SECONDS, registry=registry
        )
        self._launch_seconds = Histogram(
            "binderhub_launch_time_seconds", "How long launches took.", ["status", "retries"], buckets=_LAUNCH_BUCKETS_SECONDS, registry=registry
        )
        self._builds = Counter("binderhub_build_count", "Builds that ended.", ["status", "provider", "repo"], registry=registry)
        self._launches = Counter("binderhub_launch_count", "Launches that ended.", ["status", "provider", "repo"], registry=registry)
        self._launching = Gauge("binderhub_inprogress_launches", "Launches that go on.", registry=registry)

    def watch(self, running_builds: Callable[[], float], providers: Sequence[Provider]) -> None:
        """Report how many builds run and how much GitHub answers, whenever asked."""
        self._provider_names = {provider.name: provider.event_name for provider in providers}
        Gauge("binderhub_inprogress_builds", "Builds that run.", registry=self._registry).set_function(running_builds)
        apis = [api for provider in providers if (api := getattr(provider, "api", None)) is not None]
        if apis:
            left = Gauge("binderhub_github_rate_limit_remaining", "How many questions GitHub's API still answers.", registry=self._registry)
            left.set_function(lambda: min((api.remaining for api in apis if api.remaining is not None), default=float("nan")))

    def note_end(self, build: Build) -> None:
        """Count a build that ended; no build whose image was there, and no cancelled build."""
        seconds = seconds_between(build.started, build.finished) if build.finished and build.started else 0.0
        if build.state is State.CANCELLED or (build.state is State.READY and build.started == build.finished):
            return
        status = "success" if build.state is State.READY else "failure"
        self._build_seconds.labels(status).observe(seconds)
        self._builds.labels(status, self._provider(build.source.provider), self._repo(build.source.url)).inc()

    @contextmanager
    def launching(self) -> Iterator[None]:
        """Count a launch as running, while the block runs."""
        with self._launching.track_inprogress():
            yield

    def note_launch(self, status: str, provider: str, repo_url: str) -> None:
        """Count a launch that ended.

        Args:
            status: ``success``, ``failure``, ``pod_quota`` or ``repo_quota``.
            provider: the provider's name, as links have it.
            repo_url: what `git clone` takes.
        """
        self._launches.labels(status, self._provider(provider), self._repo(repo_url)).inc()

    def note_attempt(self, status: str, retries: int, seconds: float) -> None:
        """Count an attempt to launch.

        Args:
            status: ``success``, ``retry`` or ``failure``.
            retries: how many attempts there were before, at a success; else -1.
        """
        self._launch_seconds.labels(status, retries).observe(seconds)

    def _provider(self, name: str) -> str:
        return self._provider_names.get(name, name)

    def _repo(self, url: str) -> str:
        if url not in self._repos and len(self._repos) >= _MAX_REPOS:
            return OTHER
        self._repos.add(url)
        return url
