"""boatyard's API where there are no containers, and its requests; with containers, see tests/docker/servers/test_boatyard.py."""

from __future__ import annotations

import base64
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from binderhub_service.handlers.legacy.boatyard_protocol import AskedImage, BadBuildRequest, asked_for, key_in
from tests.harness.hub import HubProcess
from tests.legacy.conftest import KEY, Api, serving_alone

GITHUB = "https://github.com"
ALL = {"dockerfile": "FROM x", "tar_url": "http://x/y.tar", "github_username": "u", "github_reponame": "r", "github_tag": "v1/2"}


def test_a_build_is_answered_with_501_where_there_are_no_containers(legacy_hub: HubProcess) -> None:
    boatyard = Api(legacy_hub, "boatyard")
    reply = boatyard.ask("POST", "/api/v1/build", f"token {KEY}", json={"image_name": "a", "dockerfile": "FROM x"})
    assert reply.status_code == 501
    assert "docker or Kubernetes mode" in reply.json()["Error"]
    assert boatyard.ask("POST", "/api/v1/build", json={}).status_code == 401


@pytest.mark.usefixtures("legacy_hub")
def test_the_api_is_served_alone_on_a_port(ports: dict[str, int]) -> None:
    address = f"http://127.0.0.1:{ports['boatyard']}/api/v1"
    assert httpx.get(f"{address}/x/status", headers={"Authorization": KEY}).status_code == 404
    assert httpx.get(f"{address}/x/status").status_code == 401


def test_the_api_is_served_alone_by_a_command_where_no_hub_is(tmp_path: Path, legacy_hub: HubProcess) -> None:
    with serving_alone("boatyard", tmp_path / "state", BINDER_API_KEY=KEY) as port:
        alone = Api(legacy_hub, "boatyard", port)
        assert alone.ask("GET", "/api/v1/x/status", KEY).status_code == 404
        assert alone.ask("GET", "/api/v1/x/status", "wrong").status_code == 401
        assert alone.ask("POST", "/api/v1/build", KEY, json={}).status_code == 501
        assert alone.ask("GET", "/health").status_code == 404


def test_an_open_api_wants_no_key(tmp_path: Path, legacy_hub: HubProcess) -> None:
    with serving_alone("boatyard", tmp_path / "state", "--LegacyApis.boatyard_open=True") as port:
        alone = Api(legacy_hub, "boatyard", port)
        assert alone.ask("GET", "/api/v1/x/logs").status_code == 404
        assert alone.ask("POST", "/api/v1/build", json={}).status_code == 501


def test_a_browser_gets_the_page_and_a_program_the_apis_answer(legacy_hub: HubProcess) -> None:
    boatyard, browsers = Api(legacy_hub, "boatyard"), {"Accept": "text/html,*/*"}
    assert boatyard.ask("GET", "/", KEY).json() == {"Error": "Resource not found"}
    assert "/hub/" in boatyard.ask("GET", "/", headers=browsers).headers["Location"]
    with legacy_hub.login_to_service("alice") as client:
        page = client.get(f"{legacy_hub.service_url}/boatyard/", headers=browsers)
        assert [tab in page.text for tab in ("From Dockerfile", "From GitHub", "From Tarball", "From Upload")] == [True] * 4
        xsrf = {"X-XSRFToken": legacy_hub.xsrf(client, "/services/binder/")}
        address = f"{legacy_hub.service_url}/boatyard/api/v1/build"
        fetched = {"Sec-Fetch-Mode": "cors"}
        assert client.post(address, json={}, headers=fetched).status_code == 401
        assert client.post(address, json={}, headers=fetched | xsrf).status_code == 501


@pytest.mark.parametrize(("arguments", "status"), [(["boatyard", "--port=70000"], 2), (["nothing", "--port=1"], 2), (["registry", "--port=0"], 2)])
def test_a_command_that_cannot_serve_says_so(tmp_path: Path, arguments: list[str], status: int) -> None:
    command = [sys.executable, "-m", "binderhub_service", "serve", *arguments, f"--state-dir={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("left_out", "expected"),
    [
        ((), {"text": "FROM x"}),
        (("dockerfile",), {"url": "http://x/y.tar"}),
        (("dockerfile", "tar_url"), {"url": f"{GITHUB}/u/r/archive/v1/2.tar.gz", "is_github": True}),
        (("dockerfile", "tar_url", "github_tag"), {"url": "", "is_github": True}),
    ],
)
def test_of_several_sources_the_first_counts(left_out: tuple[str, ...], expected: dict[str, Any]) -> None:
    manifest = {name.upper(): value for name, value in ALL.items() if name not in left_out} | {"image_name": "o/n", "username": None}
    assert asked_for(manifest, GITHUB, has_upload=False) == AskedImage("o/n:latest", "", "", **expected)


def test_an_archive_counts_after_a_dockerfile_and_before_addresses() -> None:
    manifest = {"image_name": "h:5000/o/n", "tar_url": "http://x/y.tar", "TarFile": base64.b64encode(b"tar").decode()}
    assert asked_for(manifest, GITHUB, has_upload=False) == AskedImage("h:5000/o/n:latest", "", "", tar=b"tar")
    assert asked_for({"image_name": "n:1", "tar_url": "http://x"}, GITHUB, has_upload=True) == AskedImage("n:1", "", "")


@pytest.mark.parametrize("name", ["A", "a b", "a/../../b", "../a", "a/", "-x", "a:", "a@sha256:1", "http://x/y", "a" * 600, "a/.b"])
def test_a_name_that_no_image_has_is_refused(name: str) -> None:
    with pytest.raises(BadBuildRequest):
        asked_for({"image_name": name, "dockerfile": "FROM x"}, GITHUB, has_upload=False)


@pytest.mark.parametrize("tar", [5, "no base64!"])
def test_an_archive_that_is_no_base64_is_refused(tar: Any) -> None:
    with pytest.raises(BadBuildRequest):
        asked_for({"image_name": "a", "tarfile": tar}, GITHUB, has_upload=False)


@pytest.mark.parametrize("header", ["k", "token k", "Token k", "Bearer  k", " k "])
def test_a_key_comes_alone_or_behind_its_kind(header: str) -> None:
    assert key_in(header) == "k"
