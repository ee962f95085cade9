"""Fixtures for every test: the Git server and the hub."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.harness.git_server import GitServer
from tests.harness.hub import HubProcess


@pytest.fixture(scope="session")
def git_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GitServer]:
    """A real smart-HTTP Git server on loopback for the whole run; give repositories names of their own."""
    with GitServer(tmp_path_factory.mktemp("git")).running() as server:
        yield server


@pytest.fixture(scope="session")
def shared_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """One hub for the whole run; tests use it by `hub`."""
    with HubProcess(tmp_path_factory.mktemp("hub"), outsiders={"eve"}) as hub:
        yield hub
        hub.stop_all_servers()


@pytest.fixture
def hub(shared_hub: HubProcess) -> Iterator[HubProcess]:
    """The hub that tests share: alice and bob may use the service, eve may not, root-admin may everything.

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
