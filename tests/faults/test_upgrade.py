"""A service of the first layout is replaced, while it builds, by this one on the same directory: nothing is lost."""

from __future__ import annotations

import io
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.faults.service import ROOT, Service, log_of
from tests.harness.gate import AFTER, Gate
from tests.harness.git_server import Repository

# The last commit before the code was moved to the folders that it has now.
FIRST_LAYOUT = "75dfe5afb813e9fa9f679e7fba5aba40b6be20a6"


@pytest.fixture(scope="module")
def first_layout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working tree of that commit; skip where the clone does not have it."""
    archive = subprocess.run(["git", "archive", FIRST_LAYOUT], cwd=ROOT, capture_output=True, check=False)
    if archive.returncode:
        pytest.skip("this clone has no history")
    tree = tmp_path_factory.mktemp("first-layout")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as file:
        file.extractall(tree, filter="data")
    return tree


async def test_builds_and_images_of_the_first_layout_go_on(
    service: Service, first_layout: Path, gate: Gate, new_repository: Callable[..., Repository]
) -> None:
    made, running = new_repository({"a.txt": "a"}, "made"), new_repository({"postBuild": gate.post_build}, "running")
    service.source = first_layout
    await service.start()
    before, events_before = await service.finished(made.url)
    build = await service.build(running.url)
    gate.wait_until_reached()
    worker = service.build_pid(build["id"])
    assert "binderhub_service.builders.worker" in psutil.Process(worker).cmdline(), "that is not the first layout"
    service.kill()

    service.source = ROOT
    await service.start()
    gate.open()
    events = await service.event_log(build["id"])
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert (events[-1].data["state"], AFTER in log_of(events)) == ("ready", True)
    assert await service.event_log(before["id"]) == events_before
    assert (await service.build(made.url))["id"] == before["id"], "the image was not found again"
    assert (await service.ask("GET", f"builds/{before['id']}", "bob")).status_code == 403
