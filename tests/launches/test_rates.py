"""How often BinderHub's ``/build`` may be asked: who is counted, and what they are told."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from binderhub_service.builds.rates import RateLimits, Rates
from binderhub_service.context import AppContext
from binderhub_service.errors import TooMany
from binderhub_service.handlers.application import make_application
from binderhub_service.launches.hub_users import HubUsers
from binderhub_service.launches.temporary_users import TemporaryUsers, Visit
from binderhub_service.settings import RateLimiter
from binderhub_service.store.rates import RateTable
from binderhub_service.store.schema import rates
from binderhub_service.store.store import Store
from binderhub_service.store.temporary_users import TemporaryUserRecords
from tests.fake_hub import serving
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service
from tests.harness.empty_database import write_empty_database

__all__ = ["hub_auth", "service"]  # fixtures
EVENTS = {"Accept": "text/event-stream"}
NO_PROVIDER = f"{PREFIX}build/nix/o/main"


def public(service: Service, **limits: Any) -> AppContext:
    """Return the service's parts as those of a hub without a login."""
    temporary = TemporaryUsers(HubUsers(service.hub.api_url, "s"), TemporaryUserRecords(service.store), SECRET)
    return replace(service.context, temporary=temporary, rates=Rates(RateLimits(**limits), RateTable(service.store), SECRET))


@asynccontextmanager
async def served(context: AppContext) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(make_application(context, SECRET)) as url, httpx.AsyncClient(base_url=url, headers=EVENTS, timeout=60) as client:
        yield client


def event(reply: httpx.Response) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(reply.text.strip().removeprefix("data: "))
    return told


async def test_what_remains_is_told_and_then_when_to_come_again(service: Service) -> None:
    async with served(public(service, per_address=2)) as client:
        before = time.time()
        allowed = [await client.get(NO_PROVIDER) for _ in range(2)]
        refused = await client.get(NO_PROVIDER)
    assert [(reply.headers["X-RateLimit-Remaining"], reply.headers["X-RateLimit-Limit"]) for reply in allowed] == [("1", "2"), ("0", "2")]
    assert before + 3600 <= int(allowed[0].headers["X-RateLimit-Reset"]) <= time.time() + 3601
    assert {event(reply)["message"] for reply in allowed} == {"No provider found for prefix nix\n"}
    told = event(refused)
    seconds = int(told["message"].split()[-2])
    assert told == {"phase": "failed", "status_code": 429, "message": f"Rate limit exceeded. Try again in {seconds} seconds.\n"}
    assert before + 3600 - time.time() <= seconds <= 3600
    assert (refused.status_code, [name for name in refused.headers if name.startswith("x-ratelimit")]) == (200, [])


async def test_what_was_refused_before_is_not_counted_and_refusals_stay(service: Service) -> None:
    async with served(public(service, per_address=1)) as client:
        for headers in ({"Accept": "*/*"}, {"Authorization": "token nobody's"}, {"Origin": "http://evil.example"}):
            assert "X-RateLimit-Limit" not in (await client.get(NO_PROVIDER, headers=headers)).headers
        await client.options(NO_PROVIDER)
        assert (await client.get(NO_PROVIDER)).headers["X-RateLimit-Remaining"] == "0"
    async with served(public(service, per_address=1)) as client:
        assert event(await client.get(NO_PROVIDER))["status_code"] == 429, "a restart forgives nothing"


async def test_people_and_programs_with_a_login_are_not_counted_unless_the_operator_wants_it(service: Service) -> None:
    alice, bob = ({"Authorization": f"token token-of-{name}"} for name in ("alice", "bob"))
    async with served(public(service, per_address=1)) as client:
        for _ in range(3):
            reply = await client.get(NO_PROVIDER, headers=alice)
            assert (event(reply)["message"], "X-RateLimit-Limit" in reply.headers) == ("No provider found for prefix nix\n", False)
    service.hub.users["second"] = service.hub.users["token-of-alice"]
    async with served(public(service, per_token=1)) as client:
        replies = [await client.get(NO_PROVIDER, headers=headers) for headers in (alice, bob, {"Authorization": "token second"}, {})]
    assert [event(reply).get("status_code") for reply in replies] == [None, None, 429, None]


async def test_who_comes_back_to_a_launch_of_their_own_is_not_counted(service: Service) -> None:
    context = public(service, per_address=1)
    assert context.temporary
    service.hub.answers["POST", "/users/o-name"] = (201, {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("binderhub_service.launches.temporary_users.name_from_repo", lambda url: "o-name")
        async with context.temporary.visit(Visit("nix/o/main"), "o"):
            pass
    proof = context.temporary.proof_of("o-name", "nix/o/main")
    of_another, forged = context.temporary.proof_of("o-name", "nix/p/main"), f"{proof[:-1]}{'0' if proof[-1] != '0' else '1'}"
    of_nobody = context.temporary.proof_of("gone", "nix/o/main")
    async with served(context) as client:
        for named in (proof, proof, of_another, forged, of_nobody):
            reply = await client.get(NO_PROVIDER, headers={"Last-Event-ID": f"0abc.3.{named}"})
            expected = {of_another: None, forged: 429, of_nobody: 429}.get(named)
            assert (event(reply).get("status_code"), "X-RateLimit-Limit" in reply.headers) == (expected, named == of_another)


async def test_neither_addresses_nor_tokens_are_stored(tmp_path: Path) -> None:
    store = Store(write_empty_database(tmp_path / "s"))
    await store.open()
    try:
        limited = Rates(RateLimits(per_address=3, per_token=3), RateTable(store), SECRET)
        await limited.take_of_address("2001:db8::1")
        second = await limited.take_of_address("2001:db8::2")
        assert second
        assert (second.limit, second.remaining) == (3, 1)
        await limited.take_of_token("2001:db8::/64")
        keys = [row["client"] for row in await store.read(sa.select(rates))]
        assert len(keys) == 2
        assert all(len(key) == 64 and set(key) <= set("0123456789abcdef") for key in keys)
        for _ in range(2):
            await limited.take_of_token("2001:db8::/64")
        with pytest.raises(TooMany, match=r"Try again in (3600|3599) seconds\."):
            await limited.take_of_token("2001:db8::/64")
        assert await Rates(RateLimits(), RateTable(store), SECRET).take_of_address("192.0.2.1") is None
    finally:
        await store.close()


def test_the_limits_are_binderhubs_unless_they_are_set() -> None:
    assert RateLimiter().limits() == RateLimits(per_address=10, per_token=0, seconds=3600)
