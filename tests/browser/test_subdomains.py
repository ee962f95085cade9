"""A hub that gives people and services hosts of their own (`JupyterHub.subdomain_host`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from tests.browser.conftest import WAIT_MS, refuse_lab, sign_in
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess

expect = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed").expect
pytestmark = pytest.mark.browser
BUILD_MS = 300_000
SERVICE_HOST = "binder--service.hub.localhost"
CONFIG = """
from urllib.parse import urlsplit
c.JupyterHub.subdomain_host = f"http://hub.localhost:{urlsplit(c.JupyterHub.bind_url).port}"
"""


class SubdomainHub(HubProcess):
    """A hub whose service has a host of its own; browsers take every name below ``localhost`` for this machine."""

    def service_is_up(self) -> bool:
        """Whether the service answers through the proxy."""
        try:
            return httpx.get(f"{self.service_url}/health", headers={"Host": SERVICE_HOST}, timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def address(self, host: str, path: str) -> str:
        """Return an address as browsers have it."""
        return f"http://{host}:{urlsplit(self.url).port}{path}"


@pytest.fixture(scope="module")
def subdomains(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SubdomainHub]:
    """The hub."""
    with SubdomainHub(tmp_path_factory.mktemp("subdomains"), config=CONFIG) as hub:
        yield hub


@pytest.fixture
def page(browser: Any, subdomains: SubdomainHub) -> Iterator[Any]:
    """A page in which alice is signed in to the hub, and not yet to the service."""
    context = browser.new_context(reduced_motion="reduce")
    context.set_default_timeout(WAIT_MS)
    page = context.new_page()
    refuse_lab(page)
    sign_in(page, "alice", subdomains.address("hub.localhost", ""))
    yield page
    context.close()
    subdomains.stop_servers("alice")


@pytest.fixture(scope="module")
def repository(git_server: GitServer) -> Repository:
    """What is launched."""
    return git_server.create("subdomains/linked", {"README.md": "# Linked\n"})


def test_a_link_signs_in_to_the_service_and_launches(subdomains: SubdomainHub, page: Any, repository: Repository) -> None:
    missing: list[str] = []
    page.on("response", lambda response: missing.append(response.url) if response.status >= 400 else None)
    page.goto(subdomains.address(SERVICE_HOST, f"/services/binder/v2/git/{quote(repository.url, safe='')}/main"))
    page.wait_for_load_state("networkidle")
    assert missing == [], "also what the page takes from the hub"
    page.get_by_role("button", name="Launch").click()
    page.wait_for_url("http://alice.hub.localhost:*/user/alice/**", timeout=BUILD_MS)


def test_the_form_asks_the_service_at_its_own_host(subdomains: SubdomainHub, page: Any, repository: Repository) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(f"{request.method} {request.url}"))
    page.goto(subdomains.address("hub.localhost", "/hub/spawn"))
    page.get_by_label("Repository").fill(repository.url)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("http://alice.hub.localhost:*/user/alice/**", timeout=BUILD_MS)
    assert f"POST {subdomains.address(SERVICE_HOST, '/services/binder/api/builds')}" in asked


def test_other_origins_are_not_let_in(subdomains: SubdomainHub) -> None:
    hub, stranger = subdomains.address("hub.localhost", ""), subdomains.address("eve.hub.localhost", "")
    for path in ("/api/builds", "/static/form.js"):
        for origin, allowed in ((hub, hub), (stranger, None)):
            reply = httpx.get(f"{subdomains.service_url}{path}", headers={"Host": SERVICE_HOST, "Origin": origin})
            assert reply.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Access-Control-Allow-Credentials" not in reply.headers
