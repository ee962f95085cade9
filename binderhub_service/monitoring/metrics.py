"""Everything that Prometheus can ask, by name, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, PlatformCollector, ProcessCollector, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from ..builds.builds import Builds
from ..images.uv_cache import UvCache
from ..models import Build, seconds_between
from ..process.tasks import Tasks
from ..providers import Provider
from ..store.space import Space
from ..working_copies import WorkingCopies
from .binderhub_metrics import BinderHubMetrics

_WAIT_BUCKETS_SECONDS = (0.1, 1, 10, 30, 60, 300, 600, 1800, 3600)
_BUILD_BUCKETS_SECONDS = (1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200)


class Metrics:
    """Counts what happens.

    Attributes:
        binderhub: the same under BinderHub's names, and launches.

    Args:
        mode: a label of the build metrics.
    """

    def __init__(self, mode: str) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        self._mode = mode
        self.binderhub = BinderHubMetrics(self._registry)
        self._ended = Counter("binder_builds", "Builds that ended.", ["state", "mode"], registry=self._registry)
        self._seconds = Histogram(
            "binder_build_seconds",
            "How long builds took, queueing left out.",
            ["state", "mode"],
            buckets=_BUILD_BUCKETS_SECONDS,
            registry=self._registry,
        )
        self._waited = Histogram(
            "binder_queue_seconds", "How long builds waited for their turn.", buckets=_WAIT_BUCKETS_SECONDS, registry=self._registry
        )
        self._store = Histogram("binder_store_seconds", "How long the store took to answer.", registry=self._registry)
        self._writable = Gauge("binder_store_writable", "Whether the last try to write to the store went well.", registry=self._registry)
        self._resumed = Counter("binder_resumed_builds", "Builds taken up again after a restart.", registry=self._registry)

    def watch(
        self,
        builds: Builds,
        providers: Sequence[Provider],
        tasks: Tasks,
        space: Space,
        uv_cache: UvCache | None = None,
        copies: WorkingCopies | None = None,
    ) -> None:
        """Report how many builds wait and run, how many follow, how many tasks of the service have ended, and what is free, whenever asked."""
        self.binderhub.watch(partial(_count, builds, "running"), providers)
        texts = {"queued": "Builds that wait.", "running": "Builds that run.", "followers": "Followers of builds that go on."}
        for name, text in texts.items():
            Gauge(f"binder_{name}", text, registry=self._registry).set_function(partial(_count, builds, name))
        ended = Gauge("binder_ended_tasks", "Tasks of the service that have ended, though none should.", registry=self._registry)
        ended.set_function(lambda: len(tasks.ended))
        Gauge("binder_free_bytes", "What is free of the disk that state_dir is on.", registry=self._registry).set_function(space.free_bytes)
        if uv_cache:
            text = "What uv's cache in state_dir takes by itself, as of the last cleaning."
            Gauge("binder_uv_cache_bytes", text, registry=self._registry).set_function(lambda: uv_cache.bytes)
        if copies:
            text = "What people's homes in state_dir take, with their working copies, as of the last cleaning."
            Gauge("binder_people_bytes", text, registry=self._registry).set_function(lambda: copies.bytes)

    def note_start(self, build: Build) -> None:
        """Count a build whose turn has come."""
        if build.started:
            self._waited.observe(seconds_between(build.created, build.started))

    def note_store(self, seconds: float) -> None:
        """Count an answer of the store."""
        self._store.observe(seconds)

    def note_write(self, went_well: bool) -> None:
        """Note whether something could be stored."""
        self._writable.set(went_well)

    def note_end(self, build: Build) -> None:
        """Count a build that ended."""
        self.binderhub.note_end(build)
        self._ended.labels(build.state.value, self._mode).inc()
        if build.started and build.finished:
            self._seconds.labels(build.state.value, self._mode).observe(seconds_between(build.started, build.finished))

    def note_resumed(self, count: int) -> None:
        """Count builds taken up again."""
        self._resumed.inc(count)

    def exposition(self) -> tuple[str, bytes]:
        """Return a content type and all metrics in it."""
        return CONTENT_TYPE_LATEST, generate_latest(self._registry)


def _count(builds: Builds, name: str) -> float:
    return builds.counts()[name]
