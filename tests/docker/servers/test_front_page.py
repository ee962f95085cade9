"""Files sent on the front page in a real browser, built by a real engine, with servers from them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.docker.servers.engine import reason_to_skip
from tests.harness.archives import archive_of
from tests.harness.boatyard import FILE_BYTES
from tests.harness.web_files import serving

pytestmark = [pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()), pytest.mark.timeout(300)]
LAUNCH_MS = 180_000


def test_a_dockerfile_and_an_archive_become_servers_however_they_come(alices_page: Any, fake_image: str, tmp_path: Path) -> None:
    large, archive = tmp_path / "large.tar", tmp_path / "course.tar.xz"
    large.write_bytes(b"x" * (FILE_BYTES + 1))
    archive.write_bytes(archive_of({"Dockerfile": f"FROM {fake_image}\nCOPY data.txt /home/data.txt\nWORKDIR /home\n", "data.txt": "<b>sent</b>"}))
    send(alices_page, archive=large)
    alices_page.get_by_role("alert").get_by_text("larger than").wait_for()
    send(alices_page, text=f"FROM {fake_image}\nENV SENT=by-text\n")
    assert launched(alices_page)["environment"]["SENT"] == "by-text"
    send(alices_page, archive=archive)
    assert launched(alices_page)["files"]["data.txt"] == "<b>sent</b>"
    with serving({"/course.tar.xz": archive.read_bytes()}) as address:
        link_to(alices_page, f"{address}/course.tar.xz")
        again = launched(alices_page)
    assert again["files"]["data.txt"] == "<b>sent</b>"


def send(page: Any, **files: Any) -> None:
    """Fill in the part for files on the front page, and send it."""
    page.goto("/services/binder/")
    page.get_by_text("Send files instead").click()
    if "archive" in files:
        page.get_by_label("Archive (tar or zip)").set_input_files(files["archive"])
    else:
        page.get_by_label("the text of a Dockerfile").fill(files["text"])
    page.get_by_role("button", name="Send").click()


def link_to(page: Any, address: str) -> None:
    """Make the link to an archive at an address on the front page, and follow it."""
    page.goto("/services/binder/")
    page.get_by_label("Where it is").select_option("archive")
    page.get_by_label("Address of a tar or zip archive").fill(address)
    page.get_by_role("button", name="Make the link").click()
    page.get_by_role("link", name="Launch", exact=True).click()


def launched(page: Any) -> dict[str, Any]:
    """Launch what the page shows; return how its server was started."""
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url("**/user/alice/**", timeout=LAUNCH_MS)
    told: dict[str, Any] = json.loads(page.locator("pre").inner_text())
    return told
