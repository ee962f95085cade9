"""Fixtures for tests with a real container engine and a real registry; without them, these tests are skipped."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import WAIT_MS, chromium, sign_in
from tests.docker.servers.engine import FAKE_DOCKERFILE, FAKE_SERVER, TestEngine, reason_to_skip
from tests.harness.boatyard import FILE_BYTES, PASSWORD, archives_of_boatyard
from tests.harness.hub import HubProcess
from tests.harness.web_files import serving
from tests.legacy.conftest import KEY, Api


@pytest.fixture(scope="session")
def session_engine() -> Iterator[TestEngine]:
    """The engine for what a whole run shares."""
    if reason := reason_to_skip():
        pytest.skip(reason)
    engine = TestEngine(f"t{secrets.token_hex(4)}")
    yield engine
    engine.clear()


@pytest.fixture
def test_engine(session_engine: TestEngine) -> Iterator[TestEngine]:
    """The engine for one test; what bears its mark is removed in the end."""
    engine = TestEngine(f"t{secrets.token_hex(4)}")
    yield engine
    engine.clear()


@pytest.fixture(scope="session")
def test_registry() -> str:
    """The registry's host and port."""
    if reason := reason_to_skip(registry=True):
        pytest.skip(reason)
    return os.environ["TEST_REGISTRY"]


@pytest.fixture(scope="session")
def jupyter_image(session_engine: TestEngine) -> str:
    """An image with git, jupyterhub and jupyterlab, for Dockerfiles to begin with; the engine keeps it between runs."""
    return session_engine.jupyter_image()


@pytest.fixture(scope="session")
def fake_image(session_engine: TestEngine, jupyter_image: str) -> str:
    """An image whose server starts at once and answers with how it was started; as root, for Dockerfiles to begin with."""
    return session_engine.build(f"{session_engine.mark}-fake:1", FAKE_DOCKERFILE, {"jupyterhub-singleuser": FAKE_SERVER})


@pytest.fixture(scope="session")
def base() -> str:
    """An image that what boatyard builds may begin with."""
    return "debian:12"


@pytest.fixture(scope="session")
def web(base: str) -> Iterator[str]:
    """A web server with archives that become images."""
    with serving(archives_of_boatyard(base)) as address:
        yield address


@pytest.fixture(scope="session")
def legacy_hub(tmp_path_factory: pytest.TempPathFactory, session_engine: TestEngine, web: str) -> Iterator[HubProcess]:
    """A hub in docker mode with older services' APIs, whose images and containers bear the run's mark; `PASSWORD` is kept nowhere."""
    settings = {
        "DockerMode": {"image_prefix": f"{session_engine.mark}-"},
        "ImageProvider": {"allowed_images": [f"{session_engine.mark}-*"]},
        "GitHubProvider": {"url": web},
        "LegacyApis": {"boatyard": True, "registry": True, "api_key": KEY},
        "Limits": {"file_bytes": FILE_BYTES},
    }
    config = f'c.DockerRepoSpawner.prefix = "{session_engine.mark}"\nc.DockerRepoSpawner.mem_limit = "1G"'
    with HubProcess(tmp_path_factory.mktemp("legacy-hub"), config=config, more={"mode": "docker", "service": settings}) as hub:
        yield hub
        hub.stop_servers()
        assert PASSWORD not in hub.log()
        assert not [path for path in hub.state.rglob("*") if path.is_file() and PASSWORD.encode() in path.read_bytes()]


@pytest.fixture
def boatyard(legacy_hub: HubProcess) -> Api:
    """boatyard's API in docker mode."""
    return Api(legacy_hub, "boatyard")


@pytest.fixture
def alices_page(legacy_hub: HubProcess) -> Iterator[Any]:
    """A page of a real browser in which alice is signed in to the hub in docker mode; no script of a page may have failed in the end."""
    with chromium() as browser:
        page = browser.new_page(base_url=legacy_hub.url, reduced_motion="reduce")
        page.set_default_timeout(WAIT_MS)
        failed: list[str] = []
        page.on("pageerror", lambda error: failed.append(str(error)))
        sign_in(page, "alice")
        yield page
        assert failed == []
