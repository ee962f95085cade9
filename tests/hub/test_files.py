"""Files instead of a repository, on a real hub in embedded mode: uploads, archives at addresses, and what is refused."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest

from tests.harness.archives import archive_of
from tests.harness.hub import HubProcess
from tests.harness.web_files import serving

PROJECT = archive_of({"project/requirements.txt": "", "project/data.txt": "forty-two"})


@pytest.fixture
def web() -> Iterator[str]:
    """The address of a web server that has the project, and a redirect to it."""
    with serving({"/project.tar.xz": PROJECT}, {"/moved.zip": "/project.tar.xz"}) as address:
        yield address


def test_the_same_archive_is_one_image_uploaded_or_downloaded(hub: HubProcess, alice: str, web: str) -> None:
    sent = hub.service("POST", "/api/files", alice, content=PROJECT)
    digest = sha256(PROJECT).hexdigest()
    assert (sent.status_code, sent.json()["sha256"], sent.json()["bytes"]) == (201, digest, len(PROJECT))
    build = hub.finished(sent.json()["upload"], alice)
    assert (build["state"], build["provider"], build["commit"]) == ("ready", "upload", digest), build["error"]
    for address in (f"{web}/project.tar.xz", f"{web}/moved.zip"):
        assert hub.build(address, alice)["image"] == build["image"]
        assert hub.build(address, alice, provider="archive", ref=digest)["state"] == "ready"
    assert [path.name for path in (hub.state / "contents").iterdir() if path.suffix] == []


@pytest.mark.parametrize(
    ("asked", "status", "code"),
    [
        ({"repo": "FROM debian:12\n", "provider": "dockerfile"}, 403, "needs_containers"),
        ({"repo": f"upload:{'0' * 64}"}, 404, "content_not_found"),
        ({"repo": "upload:../../etc/passwd"}, 400, "invalid_request"),
        ({"repo": f"upload:{'0' * 64}", "ref": "main"}, 400, "invalid_request"),
        ({"repo": "{web}/nothing.zip"}, 404, "archive_not_found"),
        ({"repo": "{web}/project.tar.xz", "ref": "1" * 64}, 404, "ref_not_found"),
        ({"repo": "file:///etc/a.tar.gz", "provider": "archive"}, 400, "unsupported_address"),
        ({"repo": "https://user:password@example.org/a.zip"}, 400, "credentials_in_address"),
    ],
)
def test_what_cannot_be_built_is_refused(hub: HubProcess, alice: str, web: str, asked: dict[str, str], status: int, code: str) -> None:
    reply = hub.service("POST", "/api/builds", alice, json=asked | {"repo": asked["repo"].replace("{web}", web)})
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code), reply.text


def test_a_hostile_archive_is_refused_and_nothing_of_it_is_unpacked(hub: HubProcess, alice: str) -> None:
    sent = hub.service("POST", "/api/files", alice, content=archive_of({"../outside": "x"}))
    build = hub.finished(sent.json()["upload"], alice)
    assert (build["state"], build["error"]["code"]) == ("failed", "archive_refused")
    assert "outside" in build["error"]["message"]
    assert not list(hub.state.rglob("outside"))


def test_nobody_without_the_scope_sends_files(hub: HubProcess) -> None:
    narrow = hub.token("alice", ["access:services!service=binder"])
    assert hub.service("POST", "/api/files", narrow, content=PROJECT).status_code == 403
    assert hub.service("POST", "/api/files", content=PROJECT).status_code == 403


def test_a_page_of_another_site_cannot_send_files(hub: HubProcess) -> None:
    with hub.login_to_service("alice") as client:
        reply: httpx.Response = client.post(f"{hub.service_url}/api/files", content=PROJECT, headers={"Sec-Fetch-Site": "cross-site"})
    assert reply.status_code == 403
