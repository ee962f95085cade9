"""The steps of a build pod as processes of this machine, with stand-ins for repo2docker and buildah."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from binderhub_service.worker.job import Job, ProcessLimits
from binderhub_service.worker.pod_job import PodSettings
from tests.harness.git_server import Repository

START = """\
import sys
from pathlib import Path
from binderhub_service.worker import pod, pod_job
place = Path(sys.argv[1])
pod_job.JOB, pod_job.IMAGE, pod_job.LOGINS = place / "job.json", place / "image", place / "logins.json"
pod_job.GIT_CREDENTIALS, pod_job.TERMINATION_MESSAGE = place / "git-credentials", place / "end.json"
sys.exit(pod.main(sys.argv[2]))
"""
REPO2DOCKER = """\
echo "repo2docker $*" >> NOTES
for folder; do :; done
ls -A $folder >> NOTES
echo '{"message": "STEP 1/1: FROM x\\n", "phase": "building"}'
[ ! -e $folder/fail ] || { echo 'Error: building at STEP "RUN x": exit status 7'; exit 1; }
[ ! -e $folder/install.R ] || [ -e $folder/needed ] || { echo 'Error: building at STEP "RUN x": exit status 7'; exit 1; }
"""
BUILDAH = """\
echo "buildah $*" >> NOTES
case "$1" in
    inspect) echo '{"Docker": {"config": {"Entrypoint": ["/entry"]}}}' ;;
    run) echo 9.9.9; sleep ${CHECK_SECONDS:-0} ;;
    push) folder=${4#oci:}; mkdir -p ${folder%:image}; cat $CONTAINERS_REGISTRIES_CONF > ${folder%:image}/index.json ;;
esac
"""
STAND_INS = {"jupyter-repo2docker": REPO2DOCKER, "buildah": BUILDAH}


class Pod:
    """The volumes of a pod, as a folder of this machine.

    Args:
        registry: host and port.
        programs: shell scripts by name, found before others.
    """

    def __init__(self, place: Path, registry: str, programs: Mapping[str, str] = STAND_INS) -> None:
        self.place = place
        self.registry = registry
        self.image = ""
        self.notes = place / "notes"
        for folder in ("work", "image", "bin"):
            (place / folder).mkdir()
        for name, text in programs.items():
            program = place / "bin" / name
            program.write_text("#!/bin/sh\n" + text.replace("NOTES", str(self.notes)))
            program.chmod(0o755)

    def give(self, repository: Repository, commit: str = "", **settings: Any) -> None:
        """Write the job."""
        self.give_source(repository.url, commit or repository.rev("main"), **settings)

    def give_source(self, url: str, commit: str, **settings: Any) -> None:
        """Write the job for a source of any kind."""
        made = PodSettings(**{"image_prefix": self.prefix, **settings})
        self.image = f"{self.prefix}r:{commit}"
        work = str(self.place / "work")
        job = Job("1", url, "repo", "main", commit, self.image, False, work, "", asdict(made), ProcessLimits())
        (self.place / "job.json").write_text(json.dumps(asdict(job)))

    @property
    def prefix(self) -> str:
        """What the names of images begin with."""
        return f"{self.registry}/binder-"

    def do(self, step: str, environment: Mapping[str, str] | None = None) -> tuple[int, list[dict[str, Any]], dict[str, Any]]:
        """Do a step; return its exit status, its reports, and its last word."""
        variables = {**os.environ, "PATH": f"{self.place / 'bin'}:{os.environ['PATH']}", **(environment or {})}
        done = subprocess.run([sys.executable, "-c", START, str(self.place), step], env=variables, capture_output=True, text=True)
        end = self.place / "end.json"
        assert end.exists(), done.stderr
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], json.loads(end.read_text())

    @property
    def plan(self) -> dict[str, Any]:
        """What the first step wrote."""
        plan: dict[str, Any] = json.loads((self.place / "work" / "plan.json").read_text())
        return plan

    @property
    def noted(self) -> str:
        """What the stand-ins were given."""
        return self.notes.read_text() if self.notes.exists() else ""
