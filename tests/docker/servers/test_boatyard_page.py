"""boatyard's page in a real browser, on a real engine and registry."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.conftest import WAIT_MS, chromium
from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.archives import archive_of
from tests.harness.hub import HubProcess
from tests.harness.hub_config import PASSWORD as LOGIN

pytestmark = [pytest.mark.skipif(bool(reason_to_skip(registry=True)), reason=reason_to_skip(registry=True))]
BUILD_MS = 300_000


def test_a_person_builds_on_the_page_and_sees_the_log_as_text(
    legacy_hub: HubProcess, session_engine: TestEngine, test_registry: str, tmp_path: Path
) -> None:
    image = f"{test_registry}/{session_engine.mark}-page:1"
    archive = tmp_path / "context.tar.xz"
    archive.write_bytes(archive_of({"Dockerfile": "FROM debian:12\nRUN echo '<b id=markup>from a file</b>'\n"}))
    with chromium() as browser:
        page = browser.new_page(base_url=legacy_hub.url)
        page.set_default_timeout(WAIT_MS)
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        page.goto("/services/binder/boatyard/")
        page.get_by_label("Username").fill("alice")
        page.get_by_label("Password").fill(LOGIN)
        page.get_by_role("button", name="Sign in").click()
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
        assert failed == []
