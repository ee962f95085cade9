"""How many servers there are, as the hub tells."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from binderhub_service.builds.launch_quota import HubServer, WantedServer
from binderhub_service.errors import Unavailable
from binderhub_service.launches.running_servers import HubServers
from tests.harness.web_api import Answer, WebApiServer

REPO = "https://github.com/o/r"


def user(*servers: dict[str, Any] | None, name: str = "alice") -> dict[str, Any]:
    return {"name": name, "servers": {str(number): {"user_options": options} for number, options in enumerate(servers)}}


def page(users: list[dict[str, Any]], offset: int | None = None) -> Answer:
    return Answer({"items": users, "_pagination": {"next": None if offset is None else {"offset": offset, "limit": 200}}})


async def test_servers_of_all_pages_are_counted_and_those_of_a_repository() -> None:
    async with WebApiServer().running() as api:
        api.answers["/users?state=active&offset=0&limit=200"] = page(
            [user({"repo": REPO}, {"repo": "other"}), user({"repo_url": f"{REPO}.git"}, name="carol")], 200
        )
        api.answers["/users?state=active&offset=200&limit=200"] = page([user({}, None, name="zoe"), {"name": "bob", "servers": {}}])
        servers = await HubServers(api.url, "s3cret").running()
        assert len(servers) == 5
        wanted = WantedServer(HubServer("carol", "new", frozenset({REPO, f"{REPO}.git"})), REPO)
        assert wanted.count(servers).of_repo == 2
        assert await HubServers(api.url, "s3cret").count() == 5
        assert api.asked[0][1]["Authorization"] == "token s3cret"


@pytest.mark.parametrize("answer", [Answer({}, 403), Answer("oops", 500), Answer("no json")])
async def test_a_hub_that_does_not_say_is_unavailable(answer: Answer) -> None:
    async with WebApiServer(refusal=answer).running() as api:
        with pytest.raises(Unavailable):
            await HubServers(api.url, "s3cret").count()


ODD_USERS = [5, "x", None, {"servers": 5}, {"servers": {"a": 5, "b": {"user_options": [1]}, "c": {"user_options": {"repo": [REPO]}}}}]


@pytest.mark.parametrize("value", [{}, {"items": 5}, {"items": "x"}, {"items": ODD_USERS}])
async def test_what_makes_no_sense_in_a_list_is_no_server_of_a_repository(value: dict[str, Any]) -> None:
    async with WebApiServer(refusal=Answer(value)).running() as api:
        assert not any(server.repos for server in await HubServers(api.url, "s3cret").running())


@pytest.mark.parametrize("answer", [Answer("<html>sign in</html>"), Answer([]), Answer(""), Answer("[" * 100_000)])
async def test_an_answer_that_is_no_list_is_unavailable(answer: Answer) -> None:
    async with WebApiServer(refusal=answer).running() as api:
        with pytest.raises(Unavailable):
            await HubServers(api.url, "s3cret").count()


async def test_a_list_without_an_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderhub_service.launches.running_servers._MAX_PAGES", 20)
    async with WebApiServer().running() as api:
        for number in range(30):
            api.answers[f"/users?state=active&offset={number}&limit=200"] = page([], number + 1)
        with pytest.raises(Unavailable, match="no end"):
            await HubServers(api.url, "s3cret").count()


async def test_a_hub_that_is_away_is_unavailable() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with pytest.raises(Unavailable):
        await HubServers(url, "s3cret").count()
