"""One step of a build pod, in a container of its own; see `pod_job`.

python3 -m binderhub_service.worker.pod fetch|build|push|try
"""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from io import FileIO
from pathlib import Path
from typing import Any

from ..clients.credentials import Credentials
from ..clients.registry import RegistryClient
from ..errors import INTERNAL_ERROR, BinderError
from . import pod_job
from .guards import disk_full
from .job import Job
from .pod_job import PATIENCE_SECONDS, STEPS, PodSettings, Untried
from .push_check import check_may_push
from .recipes.base_images import BASES, fetch_base_images
from .recipes.buildah import BuildahBuild
from .recipes.pod_engine import make_in_engine
from .recipes.pod_plan import CONTENT, Plan, make_plan
from .recipes.pod_push import Pushing
from .reporter import Reporter

_STOPPED = 143
_LONGEST_TEXT = 800
_STDOUT = 1


class PodReporter(Reporter):
    """Writes reports to the container's log, numbered from 1.

    Attributes:
        reports: how many it has written.
    """

    def __init__(self, log_bytes: int) -> None:
        super().__init__(FileIO(_STDOUT, "wb", closefd=False), log_bytes)
        self.reports = 0

    def _write(self, told: Sequence[Mapping[str, Any]]) -> None:
        super()._write([{"n": self.reports + number, **report} for number, report in enumerate(told, 1)])
        self.reports += len(told)


def main(step: str) -> int:
    """Do one step; return the container's exit status."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(_STOPPED))  # the first process of a container is not ended by it otherwise
    os.umask(0o022)  # the next step is somebody else
    job = Job.read(pod_job.JOB)
    reporter = PodReporter(job.limits.log_bytes)
    error: BinderError | None = INTERNAL_ERROR
    untried = None
    try:
        untried = _do(step, job, PodSettings(**job.settings), reporter)
        error = None
    except BinderError as failure:
        error = failure
    except OSError as failure:
        if failure.errno != errno.ENOSPC:
            raise
        error = disk_full()
    finally:
        _write_end(error, reporter.reports, untried)
    return 1 if error else 0


def _do(step: str, job: Job, settings: PodSettings, reporter: Reporter) -> Untried | None:
    """Do a step; return what was pushed and is yet to be tried."""
    if step not in {"build", "try"}:
        return asyncio.run(_do_with_logins(step, job, settings, reporter))
    if not settings.engine_host:
        build = BuildahBuild(job, settings, pod_job.IMAGE, reporter, dict(os.environ))
        do = build.make if step == "build" else build.try_pushed
        do(Plan.read(Path(job.root)))
    return None


async def _do_with_logins(step: str, job: Job, settings: PodSettings, reporter: Reporter) -> Untried | None:
    environment = dict(os.environ)
    work = Path(job.root)
    credentials = Credentials.read(pod_job.LOGINS, None)
    client = RegistryClient(credentials, settings.plain_http_registries, waits_seconds=PATIENCE_SECONDS, endpoints=settings.endpoints())
    try:
        if step == "fetch":
            logins = pod_job.GIT_CREDENTIALS
            await check_may_push(client, credentials, job.image)
            await make_plan(job, settings, client, reporter, environment, logins if logins.exists() and logins.stat().st_size else None)
            if not settings.engine_host and not Plan.read(work).found:
                await _fetch_base_images(work, settings, reporter)
        elif settings.engine_host:
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(_STOPPED))  # what it has in the engine goes first
            make_in_engine(job, settings, reporter, environment)
        else:
            return await Pushing(job, settings, pod_job.IMAGE, client, credentials, reporter).push(Plan.read(work))
    finally:
        await client.close()
    return None


async def _fetch_base_images(work: Path, settings: PodSettings, reporter: Reporter) -> None:
    """Fetch them with the logins for base images alone: with those of the hub's own registry, people could have each other's images."""
    credentials = Credentials.read(pod_job.BASE_LOGINS, None)
    client = RegistryClient(credentials, settings.plain_http_registries, waits_seconds=PATIENCE_SECONDS)
    try:
        await fetch_base_images(work / CONTENT, settings, client, credentials, reporter, work / BASES)
    finally:
        await client.close()


def _write_end(error: BinderError | None, reports: int, untried: Untried | None) -> None:
    """Leave word of how it ended, in no more bytes than Kubernetes keeps."""
    word: dict[str, Any] = {"reports": reports}
    if error:
        word["error"] = {name: text and text[:_LONGEST_TEXT] for name, text in error.as_dict().items()}
    elif untried:
        word["untried"] = asdict(untried)
    pod_job.TERMINATION_MESSAGE.write_text(json.dumps(word, ensure_ascii=False))


if __name__ == "__main__":
    if sys.argv[1:] not in [[step] for step in STEPS]:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1]))
