"""boatyard's page in a real browser, on a real engine and registry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.archives import archive_of

pytestmark = [pytest.mark.skipif(bool(reason_to_skip(registry=True)), reason=reason_to_skip(registry=True))]
BUILD_MS = 300_000


def test_a_person_builds_on_the_page_and_sees_the_log_as_text(
    alices_page: Any, session_engine: TestEngine, test_registry: str, tmp_path: Path
) -> None:
    image = f"{test_registry}/{session_engine.mark}-page:1"
    archive = tmp_path / "context.tar.xz"
    archive.write_bytes(archive_of({"Dockerfile": "FROM debian:12\nRUN echo '<b id=markup>from a file</b>'\n"}))
    page = alices_page
    page.goto("/services/binder/boatyard/")
    page.get_by_role("heading", name="boatyard").wait_for()
    missing = {"From Dockerfile": "Please enter a Dockerfile", "From GitHub": "Please provide the github information"}
    missing |= {"From Tarball": "Please enter a tarball URL", "From Upload": "Please choose a file"}
    page.get_by_role("button", name="Build it!").click()
    page.get_by_text("Please enter an image name").wait_for()
    page.get_by_label("Image name").fill(image)
    for tab, says in missing.items():
        page.get_by_role("tab", name=tab).click()
        page.get_by_role("button", name="Build it!").click()
        page.get_by_text(says).wait_for()
    page.get_by_label("Archive").set_input_files(archive)
    page.get_by_role("button", name="Build it!").click()
    page.get_by_text("Finished", exact=True).wait_for(timeout=BUILD_MS)
    assert "<b id=markup>from a file</b>" in page.get_by_label("Log").inner_text()
    assert page.locator("#markup").count() == 0
    page.get_by_role("link", name="Go back").click()
    page.get_by_role("tab", name="From Dockerfile").click()
    page.get_by_label("Dockerfile", exact=True).fill("FROM nothing-there\n")
    page.get_by_role("button", name="Build it!").click()
    page.get_by_text("Failed: ").first.wait_for(timeout=BUILD_MS)
