"""Names of the hub under which servers start, so that a foreign site whose name leads here starts none."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from binderhub_service.common.forwarded import is_ours
from binderhub_service.handlers.application import make_application
from binderhub_service.settings import Server
from binderhub_service.settings.legacy import LegacySettings
from tests.fake_hub import serving
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service

__all__ = ["hub_auth", "service"]  # fixtures
OURS = frozenset({"localhost", "binder.example.org"})
ALICE = {"Authorization": "token token-of-alice"}
FOREIGN = {"Host": "evil.example:8000"}
TOLD = "Nothing is started or changed under this name of the hub."
CHANGES = (
    ("POST", "api/builds"), ("DELETE", "api/builds/x"), ("POST", "api/launches"), ("POST", "api/files"), ("PUT", "api/templates/x"),
    ("POST", "api/controls"), ("POST", "registry/templates"), ("POST", "v2/git/o/main"), ("POST", "nothing"),
)  # fmt: skip


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "localhost.", "127.0.0.1:8000", "[::1]:8000", "192.0.2.7", "binder.example.org"])
def test_a_name_of_ours_and_every_address_is_ours(host: str) -> None:
    assert is_ours(host, OURS)


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "localhost.evil.example:8000", "binder.example.org.evil", "127.0.0.1.evil.example", "localhost@evil.example", "", "[::1",
        "localhost, evil.example", "2130706433", "0x7f000001",
    ],
)  # fmt: skip
def test_what_only_begins_or_ends_like_ours_is_not(host: str) -> None:
    assert not is_ours(host, OURS)
    assert is_ours(host, frozenset()) or host == "[::1", "by default every name is right"


def test_hosts_of_the_settings_are_names_in_any_case() -> None:
    assert Server(hosts=["Localhost"]).names() == {"localhost"}


@pytest.fixture
async def client(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a service that knows its names."""
    legacy = LegacySettings(binder_build=True, registry=True)
    application = make_application(replace(service.context, hosts=OURS, legacy=legacy), SECRET)
    async with serving(application) as url, httpx.AsyncClient(base_url=url, headers=ALICE) as client:
        yield client


async def test_nothing_is_started_or_changed_under_a_foreign_name(service: Service, client: httpx.AsyncClient) -> None:
    for method, path in CHANGES:
        reply = await client.request(method, f"{PREFIX}{path}", headers=FOREIGN, json={})
        assert (reply.status_code, TOLD in reply.text) == (403, True), (method, path, reply.text)
    reply = await client.get(f"{PREFIX}build/git/o/main", headers=FOREIGN | {"Accept": "text/event-stream"})
    told = json.loads(reply.text.removeprefix("data: "))
    assert (told["phase"], told["status_code"]) == ("failed", 403)
    assert told["message"].startswith(TOLD)
    assert service.provider.asked == []


async def test_pages_and_lists_can_be_read_under_every_name(client: httpx.AsyncClient) -> None:
    for path in ("about", "versions", "health", "api/builds", "api/repoproviders", "v2/git/o/main"):
        assert (await client.get(f"{PREFIX}{path}", headers=FOREIGN)).status_code == 200, path
