"""Launch pages of a public hub: which visits launch by themselves, and how launches are counted."""

from __future__ import annotations

import re
from dataclasses import replace

import httpx
import pytest

from tests.handlers.test_api import PREFIX, Service, hub_auth, service
from tests.launches.test_build_tokens import page_token
from tests.launches.test_rates import public, served

__all__ = ["hub_auth", "service"]  # fixtures
LINK = "git/o/gone"
OPENED = {"Sec-Fetch-Dest": "document", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site", "Sec-Fetch-User": "?1"}
BY_A_SCRIPT = {name: value for name, value in OPENED.items() if name != "Sec-Fetch-User"}


@pytest.mark.parametrize(
    ("headers", "launches"),
    [
        (OPENED, True),
        (BY_A_SCRIPT | {"Sec-Fetch-Site": "none"}, True),
        (BY_A_SCRIPT | {"Sec-Fetch-Site": "same-origin"}, True),
        (BY_A_SCRIPT, False),
        (BY_A_SCRIPT | {"Sec-Fetch-Site": "same-site"}, False),
        (OPENED | {"Sec-Fetch-Dest": "iframe"}, False),
        (OPENED | {"Sec-Fetch-Dest": "image", "Sec-Fetch-Mode": "no-cors"}, False),
        (OPENED | {"Sec-Fetch-Dest": "empty", "Sec-Fetch-Mode": "cors"}, False),
        (OPENED | {"Sec-Purpose": "prefetch;prerender"}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_a_page_launches_by_itself_where_a_person_has_opened_it(service: Service, headers: dict[str, str], launches: bool) -> None:
    context = public(service)
    async with served(replace(context, pages=replace(context.pages, launch_on_visit=True))) as client:
        page = await client.get(f"{PREFIX}v2/{LINK}", headers=headers | {"Accept": "text/html"})
    assert ("data-launches" in page.text) is launches
    assert page.status_code == 200


@pytest.mark.parametrize(("chosen", "launches"), [(None, False), (False, False), (True, True)])
async def test_the_operator_decides_and_without_containers_nothing_launches_by_itself(service: Service, chosen: bool | None, launches: bool) -> None:
    context = public(service)
    async with served(replace(context, pages=replace(context.pages, launch_on_visit=chosen))) as client:
        assert ("data-launches" in (await client.get(f"{PREFIX}v2/{LINK}", headers=OPENED)).text) is launches


async def test_nobody_who_is_signed_in_launches_by_a_visit(service: Service) -> None:
    pages = replace(service.context.pages, launch_on_visit=True)
    async with served(replace(service.context, pages=pages)) as client:
        page = await client.get(f"{PREFIX}v2/{LINK}", headers=OPENED | {"Authorization": "token token-of-alice"})
    assert "binder-launch" in page.text
    assert "data-launches" not in page.text


async def launched(client: httpx.AsyncClient, **more: str) -> int:
    """Return the status of a launch that a page asks for."""
    page = (await client.get(f"{PREFIX}v2/{LINK}")).text
    xsrf = re.search(r'xsrf_token: "(\S+)"', page)
    assert xsrf
    body = dict(re.findall(r'data-(repo|ref|provider)="(.*)"', page)) | more
    return (await client.post(f"{PREFIX}api/launches", json=body, headers={"X-XSRFToken": xsrf[1]})).status_code


async def test_launches_of_visitors_are_counted_by_address_but_for_those_with_the_token_of_their_page(service: Service) -> None:
    async with served(public(service, per_address=1)) as client:
        token = await page_token(client, LINK)
        assert await launched(client, provider="nix") == 400
        assert await launched(client) == 429
        assert await launched(client, link=LINK, build_token=token) not in {403, 429}
        assert await launched(client, link=LINK, build_token="x") == 429
        assert await launched(client, link="git/o/other", build_token=await page_token(client, "git/o/other")) == 429, "another one's token"
        form = {"_xsrf": client.cookies["_xsrf"]}
        assert (await client.post(f"{PREFIX}v2/{LINK}", data=form)).status_code == 429
        assert (await client.post(f"{PREFIX}v2/{LINK}", data=form | {"build_token": token})).status_code not in {403, 429}
        assert (await client.post(f"{PREFIX}v2/template/lab", data=form)).status_code == 429
