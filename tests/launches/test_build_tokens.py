"""Build tokens: what a page of ours asks ``/build`` with, as BinderHub makes and checks them."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import httpx
import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from traitlets import TraitError

from binderhub_service.common.credentials import hide_in_line
from binderhub_service.errors import NotAllowed, Unavailable
from binderhub_service.launches.build_tokens import BuildTokens
from binderhub_service.models import Caller
from binderhub_service.monitoring.launch_events import Events
from binderhub_service.settings import BuildToken
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service
from tests.handlers.test_binder_build import let_start
from tests.launches.test_rates import event, public, served

__all__ = ["hub_auth", "service"]  # fixtures
ASKED = "gh/o/r%2Fs/main"
HOST = "hub.example:8000"
KEY, OTHER = SECRET * 2, b"1" * 64
LONG_AGO = int(time.time()) - 3600
NO_PROVIDER = "nix/o/main"
INVALID = {"phase": "failed", "status_code": 403, "message": "Invalid build token\n"}


def signed(secret: bytes = KEY, algorithm: str = "HS256", **claims: Any) -> str:
    """Return a token as BinderHub makes it, with other claims."""
    usual: dict[str, Any] = {"exp": time.time() + 300, "aud": ASKED, "origin": HOST}
    return jwt.encode({name: value for name, value in (usual | claims).items() if value is not None}, secret, algorithm)


def unsigned() -> str:
    parts = ({"alg": "none", "typ": "JWT"}, {"exp": time.time() + 300, "aud": ASKED, "origin": HOST})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + "."


WRONG: dict[str, Callable[[], str]] = {
    "of another secret": lambda: signed(OTHER),
    "of another algorithm": lambda: signed(algorithm="HS512"),
    "not signed": unsigned,
    "ended": lambda: signed(exp=LONG_AGO),
    "without an end": lambda: signed(exp=None),
    "for something else": lambda: signed(aud="gh/o/r/main"),
    "with other escapes": lambda: signed(aud="gh/o/r/s/main"),
    "with a slash at its end": lambda: signed(aud=f"{ASKED}/"),
    "for nothing": lambda: signed(aud=None),
    "of another host": lambda: signed(origin="evil.example"),
    "of no host": lambda: signed(origin=None),
    "nonsense": lambda: "é.x.\x00",
}


def test_a_token_is_good_for_what_it_was_made_for_at_the_host_where_it_was_made() -> None:
    tokens = BuildTokens(KEY)
    token = tokens.new(ASKED, HOST)
    tokens.check(token, ASKED, HOST)
    assert jwt.get_unverified_header(token)["alg"] == "HS256"
    claims = jwt.decode(token, options={"verify_signature": False})
    assert (set(claims), claims["aud"], claims["origin"]) == ({"exp", "aud", "origin"}, ASKED, HOST)
    assert 295 < claims["exp"] - time.time() <= 300
    tokens.check(signed(), ASKED, HOST)


@pytest.mark.parametrize("case", WRONG)
def test_every_other_token_is_refused_in_the_same_words(case: str) -> None:
    with pytest.raises(NotAllowed, match=r"^Invalid build token$"):
        BuildTokens(KEY).check(WRONG[case](), ASKED, HOST)


def test_where_the_operator_wants_it_another_host_will_do() -> None:
    BuildTokens(KEY, checks_origin=False).check(signed(origin="book.example"), ASKED, HOST)


def test_an_ended_token_will_do_for_a_day_for_who_asked_with_it_before() -> None:
    BuildTokens(KEY).check(signed(exp=LONG_AGO), ASKED, HOST, is_resumed=True)
    with pytest.raises(NotAllowed):
        BuildTokens(KEY).check(signed(exp=LONG_AGO - 86400), ASKED, HOST, is_resumed=True)


@given(st.text() | st.from_regex(r"\A[\w-]{1,40}\.[\w-]{1,40}\.[\w-]{0,40}\Z"))
def test_whatever_somebody_sends_is_refused_and_nothing_else(token: str) -> None:
    with pytest.raises(NotAllowed):
        BuildTokens(KEY).check(token, ASKED, HOST)


# Over HTTP


async def page_token(client: httpx.AsyncClient, link: str, headers: Mapping[str, str] = {}) -> str:
    """Return the token in a page's first script."""
    page = (await client.get(f"{PREFIX}v2/{link}", headers=headers)).text
    config = re.search(r"window\.pageConfig = (\{.*\});", page)
    assert config
    return str(json.loads(config[1]).get("buildToken", ""))


async def test_a_page_of_a_link_has_a_token_for_this_very_link_and_no_other_page_has_one(service: Service) -> None:
    alice = {"Authorization": "token token-of-alice"}
    for link in ("git/o/main", "git/https%3A%2F%2Fgit.example.org%2Fo%2Fr/main"):
        token = await page_token(service.client, link, alice)
        service.context.build_tokens.check(token, link, service.client.base_url.netloc.decode())
        assert await page_token(service.client, f"{link}?urlpath=lab", alice)
    for link in ("nix/o/main", "../about", "git/--x/main"):
        assert await page_token(service.client, link, alice) == "", link


async def test_a_request_with_a_token_of_a_page_is_not_counted(service: Service) -> None:
    async with served(public(service, per_address=1)) as client:
        token = await page_token(client, "git/o/gone")
        assert event(await client.get(f"{PREFIX}build/{NO_PROVIDER}"))["message"].startswith("No provider")
        for _ in range(2):
            reply = await client.get(f"{PREFIX}build/git/o/gone", params={"build_token": token})
            assert event(reply)["message"].startswith("Could not resolve ref")
        assert event(await client.get(f"{PREFIX}build/git/o/gone"))["status_code"] == 429


async def test_one_token_may_be_used_as_often_as_the_operator_says(service: Service) -> None:
    async with served(public(service, per_token=1)) as client:
        token = await page_token(client, "git/o/gone")
        replies = [await client.get(f"{PREFIX}build/git/o/gone", params={"build_token": token}) for _ in range(2)]
    assert [event(reply).get("status_code") for reply in replies] == [None, 429]


@pytest.mark.parametrize("who", ["", "alice"])
async def test_a_wrong_token_is_worse_than_none_and_is_told_before_all_else_but_who_asks(service: Service, who: str) -> None:
    headers = {"Authorization": f"token token-of-{who}"} if who else {}
    context = public(service, per_address=1)
    async with served(context) as client:
        host = client.base_url.netloc.decode()
        good = context.build_tokens.new(NO_PROVIDER, host)
        for token in ("x", signed(OTHER), context.build_tokens.new("nix/o/main/", host), context.build_tokens.new(NO_PROVIDER, "evil.example")):
            assert event(await client.get(f"{PREFIX}build/{NO_PROVIDER}", params={"build_token": token}, headers=headers)) == INVALID
        reply = await client.get(f"{PREFIX}build/{NO_PROVIDER}", params={"build_token": good}, headers=headers)
        assert event(reply) == {"phase": "failed", "message": "No provider found for prefix nix\n"}
        unknown = {"Authorization": "token nobody's"}
        assert event(await client.get(f"{PREFIX}build/{NO_PROVIDER}?build_token=x", headers=unknown))["message"] == "Forbidden\n"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", "evil.example"])
async def test_a_token_is_no_use_to_a_page_of_another_site(service: Service, origin: str) -> None:
    context = replace(public(service), cors_allow_origin="*")
    async with served(context) as client:
        token = context.build_tokens.new(NO_PROVIDER, client.base_url.netloc.decode())
        assert event(await client.get(f"{PREFIX}build/{NO_PROVIDER}", params={"build_token": token}, headers={"Origin": origin})) == INVALID
    async with served(public(service)) as client:
        reply = await client.get(f"{PREFIX}build/{NO_PROVIDER}", headers={"Origin": origin})
        assert "Pages of other sites may not launch here" in event(reply)["message"]


async def test_where_a_token_is_required_visitors_need_one_and_people_do_not(service: Service) -> None:
    context = replace(public(service), build_tokens=BuildTokens(SECRET, required=True))
    async with served(context) as client:
        refused = event(await client.get(f"{PREFIX}build/{NO_PROVIDER}"))
        assert (refused["status_code"], "need a build token" in refused["message"]) == (403, True)
        token = context.build_tokens.new(NO_PROVIDER, client.base_url.netloc.decode())
        for query, headers in (({"build_token": token}, {}), ({}, {"Authorization": "token token-of-alice"})):
            assert event(await client.get(f"{PREFIX}build/{NO_PROVIDER}", params=query, headers=headers))["message"].startswith("No provider")


async def test_a_launch_with_a_token_is_told_as_one_and_a_launch_that_goes_on_needs_no_new_token(service: Service) -> None:
    let_start(service)
    told: list[Mapping[str, Any]] = []
    context = replace(service.context, events=Events(lambda schema, event: told.append(event)))
    headers = {"Authorization": "token token-of-alice"}
    async with served(context) as client:
        host = client.base_url.netloc.decode()
        ended = BuildTokens(SECRET, seconds=-60).new("git/o/main", host)
        for query in ({}, {"build_token": context.build_tokens.new("git/o/main", host)}):
            reply = await client.get(f"{PREFIX}build/git/o/main", params=query, headers=headers)
            assert '"ready"' in reply.text
        (build,) = await context.builds.list(Caller("alice"), state=None, owner="alice", limit=2, before=None)
        for build_id, phase in ((build.id, "ready"), ("0" * len(build.id), "failed")):
            reply = await client.get(f"{PREFIX}build/git/o/main", params={"build_token": ended}, headers=headers | {"Last-Event-ID": f"{build_id}.1"})
            assert f'"{phase}"' in reply.text, reply.text
    assert [launch["build_token"] for launch in told if "build_token" in launch] == [False, True, True]


async def test_no_log_has_a_token(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    token = signed()
    await service.client.post(f"{PREFIX}build/{NO_PROVIDER}?build_token={token}")
    await service.client.get(f"{PREFIX}build/{NO_PROVIDER}?build_token={token}", headers={"Accept": "*/*"})
    said = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert not any(token in hide_in_line(line) for line in said), said


# Settings


def test_a_secret_is_one_or_is_refused_without_being_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ("ab" * 31, "xy" * 32, "abc" * 31, "ab cd" * 20):
        with pytest.raises(TraitError, match="at least 64 hexadecimal digits") as refused:
            BuildToken(secret=text)
        assert text not in str(refused.value)
        monkeypatch.setenv("BINDERHUB_BUILD_TOKEN_SECRET", text)
        with pytest.raises(Unavailable, match="BINDERHUB_BUILD_TOKEN_SECRET: A secret has at least 64") as away:
            BuildToken().tokens(SECRET)
        assert text not in away.value.message


def test_services_that_share_a_secret_take_each_others_tokens_and_a_restart_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    set_here = BuildToken(secret="ab" * 32)
    set_here.tokens(SECRET).check(BuildTokens(bytes.fromhex("ab" * 32)).new(ASKED, HOST), ASKED, HOST)
    monkeypatch.setenv("BINDERHUB_BUILD_TOKEN_SECRET", "AB" * 32)
    BuildToken().tokens(OTHER).check(set_here.tokens(SECRET).new(ASKED, HOST), ASKED, HOST)
    monkeypatch.delenv("BINDERHUB_BUILD_TOKEN_SECRET")
    BuildToken().tokens(SECRET).check(BuildToken().tokens(SECRET).new(ASKED, HOST), ASKED, HOST)
    with pytest.raises(NotAllowed):
        BuildToken().tokens(OTHER).check(BuildToken().tokens(SECRET).new(ASKED, HOST), ASKED, HOST)
