"""What pages of other sites may read and ask, and what is there in API-only mode."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest

from binderhub_service.handlers.application import make_application
from tests.fake_hub import serving
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service

__all__ = ["hub_auth", "service"]  # fixtures
ELSEWHERE = {"Origin": "https://book.example"}
FOR_PROGRAMS = ["versions", "health", "metrics", "api/repoproviders", "api/builds", "api/openapi.json", "api/nothing", "build/git/o/main"]
FOR_PEOPLE = ["", "about", "builds", "v2/git/o/main", "nothing"]


@asynccontextmanager
async def changed(service: Service, **settings: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the service's parts with other settings."""
    application = make_application(replace(service.context, **settings), SECRET)
    async with serving(application) as url, httpx.AsyncClient(base_url=url, headers=ELSEWHERE, timeout=60) as client:
        yield client


@pytest.mark.parametrize("allowed", ["*", "https://book.example"])
async def test_programs_in_pages_of_other_sites_may_read_every_answer_where_the_operator_lets_them(service: Service, allowed: str) -> None:
    async with changed(service, cors_allow_origin=allowed) as client:
        for path in FOR_PROGRAMS:
            for reply in (await client.get(f"{PREFIX}{path}"), await client.options(f"{PREFIX}{path}")):
                assert reply.headers["Access-Control-Allow-Origin"] == allowed, path
                assert "Access-Control-Allow-Credentials" not in reply.headers
        for path in FOR_PEOPLE:
            assert "Access-Control-Allow-Origin" not in (await client.get(f"{PREFIX}{path}")).headers, path


async def test_by_default_other_sites_may_read_versions_only(service: Service) -> None:
    for path in FOR_PROGRAMS:
        reply = await service.client.get(f"{PREFIX}{path}", headers=ELSEWHERE)
        assert reply.headers.get("Access-Control-Allow-Origin") == ("*" if path == "versions" else None), path


@pytest.mark.parametrize("path", ["versions", "health", "metrics", "api/repoproviders", "api/builds", "build/git/o/main"])
async def test_a_browser_is_told_before_it_asks_what_a_page_of_another_site_may_send(service: Service, path: str) -> None:
    async with changed(service, cors_allow_origin="*") as client:
        reply = await client.options(f"{PREFIX}{path}", headers={"Access-Control-Request-Headers": "authorization,last-event-id,cache-control"})
    assert (reply.status_code, reply.content) == (200, b"")
    allowed = reply.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "cache-control", "content-type", "last-event-id", "x-xsrftoken"} <= set(allowed)
    assert "GET" in reply.headers["Access-Control-Allow-Methods"]
    assert service.hub.asked == []


@pytest.mark.parametrize("path", ["badge.svg", "badge_logo.svg", "assets/images/badge.svg", "logo_social.png"])
async def test_every_site_may_show_the_badges(service: Service, path: str) -> None:
    reply = await service.client.get(f"{PREFIX}{path}")
    assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (200, "*")


async def test_without_pages_there_is_everything_that_programs_ask_and_nothing_else(service: Service) -> None:
    async with changed(service, is_api_only=True) as client:
        for path in ("versions", "health", "metrics", "api/repoproviders"):
            assert (await client.get(f"{PREFIX}{path}")).status_code == 200, path
        assert (await client.get(f"{PREFIX}api/builds", headers={"Authorization": "token token-of-alice"})).status_code == 200
        assert (await client.get(f"{PREFIX}oauth_callback")).status_code == 400
        assert (await client.get(f"{PREFIX}static/form.js")).status_code == 200
        for path in [
            *FOR_PEOPLE,
            "repo/o/r",
            "badge.svg",
            "badge_logo.svg",
            "assets/images/badge.svg",
            "logo_social.png",
            "favicon_fail.ico",
            "_config",
        ]:
            assert (await client.get(f"{PREFIX}{path}")).status_code == 404, path
        assert (await client.post(f"{PREFIX}versions")).status_code == 405


async def test_old_links_lead_to_the_services_own_place(service: Service) -> None:
    reply = await service.client.get(f"{PREFIX}repo/o/r/notebooks/index.ipynb", headers={"Authorization": "token token-of-alice"})
    assert (reply.status_code, reply.headers["Location"]) == (302, f"{PREFIX}v2/gh/o/r/master?urlpath=%2Fnotebooks%2Findex.ipynb")
    reply = await service.client.get(f"{PREFIX}repo/o/r//", headers={"Authorization": "token token-of-alice"})
    assert reply.headers["Location"] == f"{PREFIX}v2/gh/o/r/master"
