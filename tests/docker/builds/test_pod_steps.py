"""An engine that builds instead of a build pod, for real: the pod's first step fetches, its last lets the engine build and push, and keep nothing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import httpx

from binderhub_service.clients.oci import OCI_MANIFEST
from binderhub_service.names import digest
from tests.docker.builds.docker_builds import DOCKERFILE, SINGLEUSER, docker
from tests.harness.git_server import Repository
from tests.harness.pod import Pod

TYPES = f"{OCI_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"


def test_the_engine_builds_and_pushes_what_the_pod_fetched(tmp_path: Path, new_repository: Callable[..., Repository]) -> None:
    pod = Pod(tmp_path, f"{os.environ['TEST_REGISTRY']}/test-{digest(str(tmp_path), 8)}", programs={})
    pod.give(new_repository({"Dockerfile": DOCKERFILE, "single": SINGLEUSER}), engine_host=os.environ["DOCKER_HOST"])
    assert pod.do("fetch")[0] == 0
    assert pod.do("build")[0] == 0
    status, reports, end = pod.do("push")
    assert status == 0, (reports, end)
    assert [report["data"].get("phase", "made") for report in reports if report["kind"] == "phase"] == ["building", "pushing", "made"]
    host, _, rest = pod.image.partition("/")
    repository, _, tag = rest.rpartition(":")
    manifest = httpx.get(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": TYPES})
    assert manifest.status_code == 200
    assert docker("image", "ls", "--quiet", pod.image) == ""
