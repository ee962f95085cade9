"""The build process: makes one image, tells what happens, and leaves a record of how it ended.

    python -m binderhub_service.worker.main JOB_DIRECTORY
    python -m binderhub_service.worker.main --wait RECIPE    the directory comes by the standard input

It belongs to nobody: the service may come and go meanwhile. It is started in a session of its own, and everything it
starts carries the build's mark in its environment, so that nothing of it outlives the build.
"""

from __future__ import annotations

import importlib
import os
import select
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..common.git_environment import with_gits_trust
from ..errors import BinderError
from .job import JobDirectory
from .processes import MARK, adopt_orphans, end_all_of, end_descendants_of
from .reporter import Reporter

_KEPT = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "SSH_AUTH_SOCK"}
_KEPT |= {"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"}
_UMASK_OF_IMAGES = 0o022  # what is made may become part of a container's image, whose user is another one
_LOCK_TRIES = 20
_LOCK_WAIT_SECONDS = 0.02
_IDLE_SECONDS = 3600.0
# What a recipe imports when it needs it first.
_IMPORTED_LATE = {"repo2docker": ("docker",)}
_KEPT_PREFIXES = ("LC_", "UV_", "PIP_", "XDG_")
_KEPT_LOWER = {"http_proxy", "https_proxy", "no_proxy", "all_proxy"}


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return what a build may see of an environment: nothing of the hub's or the service's secrets."""
    kept = {name: value for name, value in environment.items() if name in _KEPT or name.startswith(_KEPT_PREFIXES) or name.lower() in _KEPT_LOWER}
    return with_gits_trust(kept)


def main(path: Path) -> None:
    """Make what the job says, unless it has been made or is being made by another process."""
    directory = JobDirectory(path)
    lock = _patient_lock(directory)
    if lock is None or directory.read_exit() is not None:
        return
    adopt_orphans()
    directory.note_start()
    job = directory.read_job()
    recipe = importlib.import_module(f"{__package__}.recipes.{job.recipe}")
    error: Mapping[str, Any] | None = None
    reporter = Reporter(directory.events, job.limits.log_bytes)
    kept_umask = os.umask(_UMASK_OF_IMAGES)
    try:
        recipe.make_image(job, reporter, clean_environment(os.environ) | {MARK: job.build_id})
    except BinderError as failure:
        error = failure.as_dict()
    finally:
        os.umask(kept_umask)
    end_all_of(job.build_id)
    end_descendants_of(os.getpid())
    directory.write_exit(error)


def wait_for_job(recipe: str) -> Path | None:
    """Import what a recipe needs, and return the directory of the job that comes; None if the service ends, or nothing comes for long."""
    importlib.import_module(f"{__package__}.recipes.{recipe}")
    for name in _IMPORTED_LATE.get(recipe, ()):
        importlib.import_module(name)
    ready, _, _ = select.select([sys.stdin], [], [], _IDLE_SECONDS)
    line = sys.stdin.readline() if ready else ""
    return Path(line.removesuffix("\n")) if line.endswith("\n") else None


def _print_into(path: Path) -> None:
    """Let what Python itself prints go where a process that was started for the job prints it."""
    with path.open("ab", buffering=0) as output:
        for descriptor in (sys.stdout.fileno(), sys.stderr.fileno()):
            os.dup2(output.fileno(), descriptor)


def _patient_lock(directory: JobDirectory) -> int | None:
    """Return the job's lock, or None if another process keeps it; the service holds it for a moment when it looks who lives."""
    for _ in range(_LOCK_TRIES):
        lock = directory.lock()
        if lock is not None:
            return lock
        time.sleep(_LOCK_WAIT_SECONDS)
    return None


if __name__ == "__main__":
    if sys.argv[1] == "--wait":
        given = wait_for_job(sys.argv[2])
        if given:
            _print_into(JobDirectory(given).output)
    else:
        given = Path(sys.argv[1])
    if given:
        main(given)
    sys.stdout.flush()
    os._exit(0)  # everything is written; followers need not wait while the interpreter clears up after itself
