"""Fixtures for every test: the Git server and the hub."""

from __future__ import annotations

import gc
import importlib.util
import logging
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from spawner.configure import LOGGERS
from tests.harness.empty_database import write_empty_database
from tests.harness.foreign_clients import connect_or_close, read_once
from tests.harness.gate import Gate
from tests.harness.git_server import GitServer, Repository
from tests.harness.hub import HubProcess
from tests.harness.hub_config import ADMIN, WITH_KERNEL
from tests.harness.lent_environments import begin_lending, end_lending
from tests.harness.repository import Files
from tests.harness.sharing import GroupScheduling, group_of
from tests.harness.uv_cache import share_uv_cache
from tests.postgresql import own_postgresql, postgresql_server_url, postgresql_store_url, postgresql_url, with_tables

__all__ = ["own_postgresql", "postgresql_server_url", "postgresql_store_url", "postgresql_url", "with_tables"]  # fixtures


def pytest_configure() -> None:
    """Let Ctrl-C do what it does in a terminal, also where a script runs the tests in the background: what they start ends by it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    share_uv_cache()
    begin_lending()
    if importlib.util.find_spec("sniffio") is None:  # httpx looks for it several times in each request; from now on it knows
        sys.modules["sniffio"] = None  # type: ignore[assignment]  # how Python notes it


def pytest_unconfigure() -> None:
    """Remove what the run's processes shared."""
    end_lending()


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Look for garbage afterwards: in what is collected there is none, and each look would go through all tests."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tests that take longest; see `tests.harness.sharing`."""
    items.sort(key=lambda item: group_of(item.nodeid).rank)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> GroupScheduling:
    """Let tests that share something expensive run in one process."""
    config.option.loadscopereorder = False  # the longest first, not the most tests
    return GroupScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def _engines_package_closes_its_sockets() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as context:
        context.setattr("docker.transport.unixconn.UnixHTTPConnection.connect", connect_or_close)
        yield


@pytest.fixture(scope="session", autouse=True)
def _certificates_are_read_once() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as context:
        context.setattr("httpx._transports.default.create_ssl_context", read_once(httpx.create_ssl_context))
        yield


@pytest.fixture(autouse=True)
def _loggers_stay() -> Iterator[None]:
    """After a test that reads the service's settings, loggers are as they were: the settings' own handlers see every line of all tests to come,
    and filters change them."""
    loggers = [logging.getLogger(name) for name in ("binderhub_service", "tornado", "tornado.access", *LOGGERS)]
    before = [(logger.level, logger.handlers, list(logger.filters)) for logger in loggers]
    yield
    for logger, (level, handlers, filters) in zip(loggers, before, strict=True):
        logger.setLevel(level)
        logger.handlers, logger.filters = handlers, filters


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of each kind in turn; it has its tables already, and nothing in them."""
    if request.param == "sqlite":
        return write_empty_database(tmp_path / "store.sqlite")
    url: str = request.getfixturevalue("postgresql_store_url")
    return url


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A real smart-HTTP Git server on loopback for the whole run; give repositories names of their own."""
    with GitServer(tmp_path_factory.mktemp("git")).running() as server:
        yield server


@pytest.fixture
def new_repository(git_server: GitServer, request: pytest.FixtureRequest) -> Callable[..., Repository]:
    """Makes repositories of a test's own: ``new_repository(files, name="project", login=None)``."""
    owner = re.sub(r"\W+", "-", request.node.nodeid.removeprefix("tests/"))

    def create(files: Files, name: str = "project", login: tuple[str, str] | None = None) -> Repository:
        return git_server.create(f"{owner}/{name}", files, login=login)

    return create


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate for builds; open when the test is over."""
    gate = Gate(tmp_path)
    yield gate
    gate.open()


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for the whole run; tests use it by `hub`. Its servers run code; those with JupyterLab are `lab_hub`'s and the browsers'.

    In the end, no request may have been answered by a traceback.
    """
    with HubProcess(tmp_path_factory.mktemp("hub"), outsiders={"eve"}, more={"service": WITH_KERNEL}) as hub:
        yield hub
        hub.stop_servers()
        assert "/binderhub_service/handlers/" not in hub.log()


@pytest.fixture
def hub(shared_hub: HubProcess) -> Iterator[HubProcess]:
    """The hub that tests share: alice and bob may use the service, eve may not, root-admin is an administrator.

    What the hub logged during a test is shown when the test fails.
    """
    before = len(shared_hub.log())
    yield shared_hub
    sys.stdout.write(shared_hub.log()[before:])


@pytest.fixture
def start_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., HubProcess]]:
    """Starts hubs of a test's own, with the arguments of `HubProcess`; they end with the test."""
    with ExitStack() as stack:

        def start(**settings: Any) -> HubProcess:
            hub = stack.enter_context(HubProcess(tmp_path_factory.mktemp("own-hub"), **settings))
            stack.callback(lambda: sys.stdout.write(hub.log()))
            return hub

        yield start


@pytest.fixture(scope="session")
def alice(shared_hub: HubProcess) -> str:
    """A token of alice's, who may use the service."""
    return shared_hub.token("alice")


@pytest.fixture(scope="session")
def bob(shared_hub: HubProcess) -> str:
    """A token of bob's, who may use the service, too."""
    return shared_hub.token("bob")


@pytest.fixture(scope="session")
def eve(shared_hub: HubProcess) -> str:
    """A token of eve's, who may use the hub but not the service."""
    return shared_hub.token("eve")


@pytest.fixture(scope="session")
def admin(shared_hub: HubProcess) -> str:
    """A token of an administrator's."""
    return shared_hub.token(ADMIN)
