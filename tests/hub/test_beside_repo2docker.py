"""Repositories under `tests/repos` as repo2docker 2026.4.0 builds them on a real engine, beside what a server of each mode finds.

Conda is replaced by a virtual environment over a base image with Jupyter; see `tests.harness.environment_build_pack`. A folder that has much is
always tried; with ``COMPARE`` in the environment (``make compare``), all that repo2docker and embedded mode build.
"""

from __future__ import annotations

import os
import re
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness import cases
from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess
from tests.harness.kernel import run_code
from tests.harness.repo2docker_builds import Repo2DockerBuilds, Seen, program

pytestmark = pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip())

PAGE = Path(__file__).parent.parent.parent / "docs" / "repositories.md"
# Files of a new account, of repo2docker's own, and those that name their environment.
NOT_THE_REPOSITORYS = re.compile(r"\.bashrc|\.profile|\.bash_logout|\.jupyter-server-log\.txt|\.local/share/jupyter/kernels/.*")
INSTALLERS = {"pip", "setuptools", "wheel", "uv"}


def told(heading: str) -> dict[str, set[str]]:
    """Return a table of the page: by what its first cell names, what its second names."""
    lines = PAGE.read_text().partition(f"| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    rows = [line.strip("|").split("|") for line in lines]
    return {name: set(re.findall(r"[a-z0-9-]+", row[1])) for row in rows for name in re.findall(r"`([^`]+)`", row[0])}


VARIABLES = told("Variable")
DIFFERENT = told("Difference")
NAMES = [name for name in cases.names(refused=False) if name not in DIFFERENT] if os.environ.get("COMPARE") else ["whole"]


@pytest.fixture(scope="module")
def builds() -> Iterator[Repo2DockerBuilds]:
    """repo2docker, whose images are removed in the end."""
    engine = TestEngine(f"t{secrets.token_hex(4)}")
    yield Repo2DockerBuilds(engine)
    engine.clear()


@pytest.fixture(scope="module")
def base(builds: Repo2DockerBuilds) -> Seen:
    """What is there without any repository."""
    return builds.base()


def differences(theirs: Seen, ours: Seen, base: Seen, mode: str) -> list[str]:
    """Return in what our server differs from repo2docker's container."""
    found = [f"starts in {ours.where}"] if (ours.where, ours.variables.get("REPO_DIR")) != (theirs.where, "CONTENT") else []
    files = {name: text for name, text in theirs.content.items() if not NOT_THE_REPOSITORYS.fullmatch(name)}
    found += [f"file {name}" for name, text in files.items() if text not in {ours.content.get(name), ours.home.get(name)}]
    named = {name: version for name, version in theirs.packages.items() if version != base.packages.get(name) and name not in INSTALLERS}
    found += [f"package {name} {version}: {ours.packages.get(name)}" for name, version in named.items() if ours.packages.get(name) != version]
    found += [f"kernel {name}" for name in sorted(set(theirs.kernels) ^ set(ours.kernels))]
    for name, value in theirs.variables.items():
        if mode not in VARIABLES.get(name, ()) and base.variables.get(name) != value and ours.variables.get(name) != value:
            found.append(f"variable {name}={value}: {ours.variables.get(name)}")
    return found


@pytest.mark.parametrize("name", NAMES)
def test_a_server_finds_what_repo2dockers_has(
    hub: HubProcess, alice: str, git_server: GitServer, builds: Repo2DockerBuilds, base: Seen, tmp_path: Path, name: str
) -> None:
    repository = cases.load(name).serve(git_server, "beside")
    without_lfs = os.environ | {"GIT_LFS_SKIP_SMUDGE": "1"}  # a pointer's file is nowhere
    subprocess.run(["git", "clone", "-q", "--recurse-submodules", repository.url, str(tmp_path / "checkout")], check=True, env=without_lfs)
    image = builds.build(tmp_path / "checkout", name)
    theirs = builds.container(image)
    found = {"docker": differences(theirs, builds.server(image, repository.rev("main")), base, "docker")}
    try:
        last = hub.launch("alice", {"repo": repository.url})[-1]
        assert last.get("ready"), last
        ours = Seen.from_json(run_code(f"{hub.url}/user/alice", alice, program()))
    finally:
        hub.stop_servers("alice")
    found["embedded"] = differences(theirs, ours, base, "embedded")
    assert found == {"docker": [], "embedded": []}
