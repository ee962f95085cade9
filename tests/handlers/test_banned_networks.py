"""Networks that the operator keeps out."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network

import httpx
import pytest
from tornado import web
from traitlets import TraitError
from traitlets.config import Config

from binderhub_service.common.forwarded import client_of, label_of
from binderhub_service.handlers.application import make_application
from binderhub_service.handlers.base import ServiceHandler
from binderhub_service.settings import Server
from binderhub_service.settings.check import instance_problems
from binderhub_service.settings.legacy import LegacySettings
from tests.fake_hub import serving
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service

__all__ = ["hub_auth", "service"]  # fixtures
TOLD = "Requests from this machine are not allowed"
BANNED = {ip_network("127.0.0.0/8"): "this machine"}
OTHERS = (
    "", "about", "builds", "builds/x", "v2/git/o/main", "repo/o/r", "nothing", "metrics", "api/repoproviders", "api/builds", "api/builds/x/events",
    "api/nothing", "api/openapi.json", "api/templates", "binder-build/builds", "binder-build/nothing", "registry/templates", "registry//x",
    "registry/nothing", "v2/git/%00", "api/%00",
)  # fmt: skip
ALICE = {"Authorization": "token token-of-alice"}


def application(service: Service) -> web.Application:
    legacy = LegacySettings(binder_build=True, registry=True)
    return make_application(replace(service.context, banned=BANNED, legacy=legacy), SECRET)


@pytest.fixture
async def banned(service: Service) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(application(service)) as url, httpx.AsyncClient(base_url=url, headers=ALICE) as client:
        yield client


async def test_every_other_answer_to_a_banned_network_is_403_with_its_label(banned: httpx.AsyncClient) -> None:
    for path in OTHERS:
        for method in ("GET", "POST", "OPTIONS"):
            reply = await banned.request(method, f"{PREFIX}{path}")
            if method == "GET" or reply.status_code not in {405, 404}:
                assert reply.status_code == 403, (method, path, reply.text)
                assert path.startswith("binder-build/") or TOLD in reply.text, "binder-build has a word for it"


async def test_a_build_is_refused_before_all_else_in_binderhubs_form(service: Service, banned: httpx.AsyncClient) -> None:
    reply = await banned.get(f"{PREFIX}build/git/o/main", headers={"Accept": "text/html"})
    assert (reply.status_code, reply.headers["Content-Type"]) == (200, "text/event-stream")
    assert json.loads(reply.text.removeprefix("data: ")) == {"phase": "failed", "message": f"{TOLD}\n", "status_code": 403}
    assert service.provider.asked == []


async def test_probes_and_files_answer_everybody(banned: httpx.AsyncClient) -> None:
    for path in ("health", "versions", "badge.svg", "static/form.js"):
        assert (await banned.get(f"{PREFIX}{path}")).status_code == 200, path


def test_no_handler_answers_before_it_has_looked_where_the_request_comes_from(service: Service) -> None:
    """A handler with a `prepare` of its own either goes on to the common one or looks itself."""
    routed = {rule.target for rule in application(service).wildcard_router.rules}
    handlers = {base for target in routed for base in getattr(target, "__mro__", ()) if issubclass(base, ServiceHandler)}
    own = [handler for handler in handlers if "prepare" in vars(handler)]
    names = {handler: vars(handler)["prepare"].__code__.co_names for handler in own}
    assert [handler for handler, used in names.items() if "check_network" not in used and "super" not in used] == []


@pytest.mark.parametrize(
    ("address", "label"),
    [
        ("192.0.2.7", "a"), ("::ffff:192.0.2.7", "a"), ("2001:db8::1", "b"), ("192.0.3.7", None), ("2001:db9::1", None), ("", None), ("unix", None),
    ],
)  # fmt: skip
def test_an_address_has_the_label_of_its_network_however_it_is_written(address: str, label: str | None) -> None:
    assert label_of(address, {ip_network("192.0.2.0/24"): "a", ip_network("2001:db8::/32"): "b", ip_network("192.0.2.7/32"): "c"}) == label


@pytest.mark.parametrize(
    ("address", "client"),
    [("192.0.2.7", "192.0.2.7"), ("::ffff:192.0.2.7", "192.0.2.7"), ("2001:db8:0:1:a:b:c:d", "2001:db8:0:1::/64"), ("", "")],
)
def test_all_addresses_that_a_client_can_choose_from_are_one(address: str, client: str) -> None:
    assert client_of(address) == client


def test_what_is_no_network_is_refused_in_a_sentence() -> None:
    with pytest.raises(TraitError, match="ban_networks"):
        Server(ban_networks={"10.0.0.1/8": "x"})
    [sentence] = instance_problems(Config({"Server": {"ban_networks": {"the moon": "x"}}}), [Server])
    assert sentence == "Server.ban_networks: 'the moon' does not appear to be an IPv4 or IPv6 network."
    assert Server(ban_networks={"10.0.0.0/8": "x"}).banned() == {ip_network("10.0.0.0/8"): "x"}
