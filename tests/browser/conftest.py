"""A real Chromium in which people of the shared hub are signed in."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from tests.harness.hub import HubProcess
from tests.harness.hub_config import PASSWORD

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

# Playwright's own list, of which Chromium would forget all when it is given another, and the pages by which the address bar makes its suggestions:
# each window has two of them, and they take more of a processor than most tests.
WITHOUT = (
    "AimEnabled,AvoidCorsURLLoaderRestartOnRedirect,AvoidUnnecessaryBeforeUnloadCheckSync,DestroyProfileOnBrowserClose,HttpsFirstBalancedModeAutoEnable,"
    "HttpsUpgrades,LensOverlay,MediaRouter,NetworkTimeServiceQuerying,OptimizationHints,PaintHolding,PreconnectToSearch,ThirdPartyStoragePartitioning,"
    "WebUIOmniboxAimPopup,WebUIOmniboxPopup"
)
FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-gpu",
    f"--disable-features={WITHOUT}",
]
WHOLE = ("chromium", "chromium-browser")
# It has no window: pages are the same in it, and cost half as much. Unlike the others, it ends its connections whenever the machine gets a network
# interface, as for each container and pod (``net::ERR_NETWORK_CHANGED``).
WITHOUT_WINDOW = "chromium-headless-shell"
WAIT_MS = 60_000


@contextmanager
def chromium() -> Iterator[Any]:
    """Start Chromium; skip the test where there is none."""
    has_containers = "DOCKER_HOST" in os.environ or "KUBECONFIG" in os.environ
    program = next(filter(None, map(shutil.which, WHOLE if has_containers else (WITHOUT_WINDOW, *WHOLE))), None)
    if not program:
        pytest.skip(f"there is no Chromium on PATH; on Debian: apt-get install {WHOLE[0] if has_containers else WITHOUT_WINDOW}")
    playwright.expect.set_options(timeout=WAIT_MS)
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub like that of the other tests, whose servers have JupyterLab. In the end, no request may have been answered by a traceback."""
    with HubProcess(tmp_path_factory.mktemp("hub"), outsiders={"eve"}) as hub:
        yield hub
        hub.stop_servers()
        assert "/binderhub_service/handlers/" not in hub.log()


@pytest.fixture(scope="package")
def alice(shared_hub: HubProcess) -> str:
    """A token of alice's, who may use the service."""
    return shared_hub.token("alice")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium; started once for all of these tests."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="package")
def signed_in() -> dict[tuple[str, str], Any]:
    """The cookies of people who have signed in, by the hub's address and their name."""
    return {}


@pytest.fixture
def page_of(browser: Any, hub: HubProcess, signed_in: dict[tuple[str, str], Any]) -> Iterator[Callable[..., Any]]:
    """Gives a page in which somebody is signed in: ``page_of("alice", **settings of the browser's context)``.

    JupyterLab's scripts are loaded in a page of ``page_of("alice", lab=True)`` alone; the others come to the page of a real server, too.
    When the test is over, no script of a page may have failed, and nothing may have been asked of any other host.
    """
    with ExitStack() as stack:
        problems: list[str] = []

        def open_page(user: str, *, lab: bool = False, **settings: Any) -> Any:
            cookies = signed_in.get((hub.url, user))
            context = browser.new_context(base_url=hub.url, reduced_motion="reduce", storage_state=cookies, **settings)
            stack.callback(context.close)
            context.set_default_timeout(WAIT_MS)
            context.on("request", lambda request: is_foreign(request.url, hub) and problems.append(f"asked of another host: {request.url}"))
            context.on("weberror", lambda failed: problems.append(f"a script failed: {failed.error}"))
            page = context.new_page()
            if not lab:
                refuse_lab(page)
            if not cookies:
                sign_in(page, user)
                signed_in[hub.url, user] = context.storage_state()
            return page

        yield open_page
    assert problems == []


def refuse_lab(page: Any) -> None:
    """Let a page load none of JupyterLab's scripts, 20 MB which keep a processor busy for seconds, whatever else a server sends."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setBlockedURLs", {"urls": ["*/static/lab/*"]})


def sign_in(page: Any, user: str, hub: str = "") -> None:
    """Sign in to a hub: the page's own, unless another's address is given."""
    page.goto(f"{hub}/hub/login")
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "/login" not in url)


def is_foreign(address: str, hub: HubProcess) -> bool:
    """Whether a request leaves the hub's own host."""
    return not address.startswith((hub.url, hub.url.replace("http", "ws", 1), "data:", "blob:"))
