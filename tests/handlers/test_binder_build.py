"""BinderHub's ``/build`` over HTTP: real handlers, policy and store; the hub, the builder and the images are doubles."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import httpx
import pytest
from tornado import web

from binderhub_service.builds.launch_places import LaunchPlaces
from binderhub_service.builds.launch_quota import HubServer, LaunchLimits
from binderhub_service.errors import BuildFailed, Unavailable
from binderhub_service.handlers.application import make_application
from binderhub_service.handlers.launch_hook import before_launch
from binderhub_service.launches.launches import Launches, server_name
from binderhub_service.models import Caller
from spawner.options import options_from_json
from tests.fake_hub import serving
from tests.handlers.test_api import PREFIX, SECRET, Service, hub_auth, service

__all__ = ["hub_auth", "service"]  # fixtures
LINK = f"{PREFIX}build/git/o/main"
SERVER = server_name("o", "main")
STARTED = f"/users/alice/servers/{SERVER}"


def events_of(reply: httpx.Response) -> list[dict[str, Any]]:
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/event-stream")
    return [json.loads(line.removeprefix("data: ")) for line in reply.text.splitlines() if line.startswith("data: ")]


async def ask(client: httpx.AsyncClient, link: str = LINK, who: str = "alice", **headers: str) -> list[dict[str, Any]]:
    token = {"Authorization": f"token token-of-{who}"} if who else {}
    return events_of(await client.get(link, headers={"Accept": "text/event-stream"} | token | headers, timeout=60))


def let_start(service: Service, *told: dict[str, Any]) -> None:
    events = told or ({"progress": 50, "message": "Spawning"}, {"progress": 100, "ready": True, "message": "Ready", "url": "/x"})
    service.hub.answers["GET", "/users/alice"] = (200, {"name": "alice", "servers": {}})
    service.hub.answers["POST", STARTED] = (201, "")
    service.hub.answers["GET", f"{STARTED}/progress"] = (200, "".join(f"data: {json.dumps(event)}\n\n" for event in events))


async def test_a_request_is_told_from_the_queue_to_the_server(service: Service) -> None:
    let_start(service)
    told = await ask(service.client)
    assert [event["phase"] for event in told if event["phase"] not in {"fetching", "building", "pushing"}] == [
        "waiting", "built", "launching", "launching", "launching", "ready",
    ]  # fmt: skip
    assert told[0]["message"] == "Waiting for build to start...\n"
    assert any(event["message"] == "<script>two</script>\n" for event in told)
    assert [event["message"] for event in told[-5:-1]] == ["Built image, launching...\n", "Launching server...\n", "Spawning\n", "Ready\n"]
    ready = told[-1]
    assert ready["url"].endswith(f"/user/alice/{SERVER}/")
    assert ready["message"] == f"server running at {ready['url']}\n"
    assert ready["binder_request"] == "v2/git/o/main"
    assert set(ready) == {
        "phase", "message", "image", "repo_url", "token", "binder_ref_url", "binder_launch_host", "binder_request",
        "binder_persistent_request", "binder_client_ip", "url",
    }  # fmt: skip


async def test_a_client_that_was_cut_off_goes_on_behind_what_it_saw(service: Service) -> None:
    let_start(service)
    service.builder.gate = asyncio.Event()
    build = await service.build(repo="o", ref="main")
    async with service.stream(build["id"]) as reply:
        async for line in reply.aiter_lines():
            if "two" in line:
                break
    seen = (await service.context.builds.get(build["id"], Caller("alice"))).last_event
    service.builder.gate.set()
    told = await ask(service.client, **{"Last-Event-ID": f"{build['id']}.{seen}"})
    assert [event["phase"] for event in told] == ["built", "launching", "launching", "launching", "ready"]


async def test_an_image_that_is_there_is_launched_at_once(service: Service) -> None:
    let_start(service)
    await ask(service.client)
    told = await ask(service.client)
    assert [event["phase"] for event in told] == ["built", "launching", "launching", "launching", "ready"]
    assert told[0]["message"] == "Found built image, launching...\n"


async def test_a_build_that_fails_is_the_end_and_nothing_is_launched(service: Service) -> None:
    service.builder.error = BuildFailed("It cannot be made.", hint="Mend it.")
    told = await ask(service.client)
    assert told[-1] == {"phase": "failed", "message": "It cannot be made. Mend it.\n"}
    assert not any(event["phase"] == "built" for event in told)
    assert service.hub.asked == []


async def test_a_server_that_does_not_start_is_tried_four_times(service: Service) -> None:
    let_start(service, {"progress": 100, "failed": True, "message": "No place"})
    told = await ask(service.client)
    assert [event["message"] for event in told if "attempt" in event["message"]] == [
        f"Launch attempt {number} failed, retrying...\n" for number in (1, 2, 3)
    ]
    assert told[-1] == {"phase": "failed", "message": "No place\n", "status_code": 500}


async def test_a_refusal_is_not_tried_again(service: Service) -> None:
    let_start(service)
    service.hub.answers["POST", STARTED] = (403, {"status": 403, "message": "Forbidden"})
    told = await ask(service.client)
    assert not any("attempt" in event["message"] for event in told)
    assert (told[-1]["phase"], told[-1]["status_code"]) == ("failed", 403)


@pytest.mark.parametrize(
    ("link", "who", "accept", "last"),
    [
        (LINK, "alice", "*/*", {"status_code": 400, "message": "Missing Accept header: this address answers with text/event-stream only.\n"}),
        (LINK, "", "text/event-stream", {"status_code": 403, "message": "Forbidden\n"}),
        (LINK, "eve", "text/event-stream", {"status_code": 403, "message": "user eve is not allowed.\n"}),
        (f"{PREFIX}build/nix/o/main", "alice", "text/event-stream", {"message": "No provider found for prefix nix\n"}),
        (
            f"{PREFIX}build/git/o",
            "alice",
            "text/event-stream",
            {"message": 'Spec is not of the form "repository/ref", provided: "o". Did you mean "o/HEAD"?\n'},
        ),
        (
            f"{PREFIX}build/git/o/gone/",
            "alice",
            "text/event-stream",
            {"message": "Could not resolve ref for git:o/gone. Double check your URL and that your repo is public.\n"},
        ),
    ],
)
async def test_a_request_that_is_refused_is_told_so_with_status_200(service: Service, link: str, who: str, accept: str, last: dict[str, Any]) -> None:
    assert await ask(service.client, link, who, Accept=accept) == [{"phase": "failed", **last}]
    assert service.hub.asked == []


async def test_where_the_default_branch_was_renamed_the_default_branch_is_taken_and_told(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(service.provider), "renamed_heads", frozenset({"master"}))
    service.provider.refs["HEAD"] = service.provider.refs["main"]
    server = server_name("o", "HEAD")
    service.hub.answers["POST", f"/users/alice/servers/{server}"] = (201, "")
    service.hub.answers["GET", f"/users/alice/servers/{server}/progress"] = (200, 'data: {"ready": true}\n\n')
    told = await ask(service.client, f"{PREFIX}build/git/o/master")
    assert told[0] == {
        "phase": "waiting",
        "message": "Could not resolve ref for git:o/master. Double check your URL and that your repo is public.\n"
        'GitHub has changed default branches from "master" to "main". Tip: HEAD will always resolve to a repository\'s default branch.\n'
        "Trying again with HEAD instead of master. Please update your links.\n",
    }
    assert (told[-1]["phase"], told[-1]["binder_request"]) == ("ready", "v2/git/o/HEAD")
    del service.provider.refs["HEAD"]
    assert [event["phase"] for event in await ask(service.client, f"{PREFIX}build/git/other/master")] == ["failed"]
    assert [event["phase"] for event in await ask(service.client, f"{PREFIX}build/git/other/gone")] == ["failed"]


async def test_a_banned_repository_is_refused_before_it_is_asked_for(service: Service) -> None:
    service.provider.banned_specs = ["o/"]
    told = await ask(service.client)
    assert told == [{"phase": "failed", "message": "Sorry, o/main is not allowed to launch. Please contact admins for more info!"}]
    assert service.provider.asked == []


async def test_a_git_server_that_is_away_is_told_with_the_request(service: Service) -> None:
    service.provider.error = Unavailable("It did not answer.", code="git_server_timeout")
    assert await ask(service.client) == [{"phase": "failed", "message": "Error resolving ref for git:o/main: It did not answer.\n"}]


async def test_building_alone_is_for_the_api_only_mode(service: Service) -> None:
    refused = await ask(service.client, f"{LINK}?build_only=true")
    assert "Building but not launching is not permitted" in refused[-1]["message"]
    assert service.builder.runs == []
    context = replace(service.context, is_api_only=True)
    async with serving(make_application(context, SECRET)) as url, httpx.AsyncClient(base_url=url) as client:
        built = await ask(client, f"{LINK}?build_only=True")
        found = await ask(client, f"{LINK}?build_only=true")
        assert (await client.get(PREFIX)).status_code == 404
    assert (built[-1]["phase"], built[-1]["message"]) == ("ready", "Done! Image built\n")
    assert [event["message"] for event in found] == ["Done! Found built image\n"]
    assert set(found[0]) == {"phase", "message", "imageName"}


class Limited:
    """A service with a quota, and the servers that the hub tells of."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.servers = [HubServer("bob", "other", frozenset({"p"}))]
        self.limits = LaunchLimits(total=1)
        self.wait_seconds = 0.0
        self.client = service.client

    def launches(self) -> Launches:
        places = LaunchPlaces(self.limits, self._look, wait_seconds=self.wait_seconds, look_seconds=0.01)
        return Launches(self.service.hub.api_url, "/hub/", [self.service.provider], places=places)

    async def _look(self) -> list[HubServer]:
        return self.servers


@pytest.mark.parametrize(
    ("limits", "told", "metric"),
    [
        (LaunchLimits(total=1), "Too many users on this BinderHub! Try again soon.\n", "pod_quota"),
        (LaunchLimits(per_repo=1), "Too many users running o! Try again soon.\n", "repo_quota"),
    ],
)
async def test_a_quota_refuses_in_binderhubs_words_before_a_build_and_before_a_launch(
    service: Service, limits: LaunchLimits, told: str, metric: str
) -> None:
    let_start(service)
    limited = Limited(service)
    limited.limits, limited.servers = limits, [HubServer("bob", "other", frozenset({"o"}))]
    context = replace(service.context, launches=limited.launches())
    async with serving(make_application(context, SECRET)) as url, httpx.AsyncClient(base_url=url) as client:
        assert await ask(client) == [{"phase": "failed", "message": told}]
        assert service.builder.runs == []
        await service.finished(repo="o", ref="main")
        assert [event["phase"] for event in await ask(client)] == ["built", "launching", "failed"]
        limited.servers = []
        await asyncio.sleep(0.02)
        assert (await ask(client))[-1]["phase"] == "ready"
    assert [asked.method for asked in service.hub.asked].count("POST") == 1
    assert f'binderhub_launch_count_total{{provider="git",repo="o",status="{metric}"}} 2.0' in service.context.metrics.exposition()[1].decode()


async def test_a_launch_waits_in_the_visible_queue_where_the_operator_chose_that(service: Service) -> None:
    let_start(service)
    limited = Limited(service)
    limited.wait_seconds = 10
    context = replace(service.context, launches=limited.launches())
    headers, messages = {"Accept": "text/event-stream", "Authorization": "token token-of-alice"}, []
    async with (
        serving(make_application(context, SECRET)) as url,
        httpx.AsyncClient(base_url=url) as client,
        client.stream("GET", LINK, headers=headers, timeout=60) as reply,
    ):
        async for line in reply.aiter_lines():
            if line.startswith("data: "):
                messages.append(json.loads(line.removeprefix("data: ")))
                if "queue" in messages[-1]["message"]:
                    assert "binderhub_inprogress_launches 1.0" in service.context.metrics.exposition()[1].decode()
                    limited.servers = []
    assert {"phase": "waiting", "message": "The launch is number 1 in the queue.\n"} in messages
    assert messages[-1]["phase"] == "ready"
    assert "binderhub_inprogress_launches 0.0" in service.context.metrics.exposition()[1].decode()


async def test_a_build_that_waits_tells_its_place(service: Service) -> None:
    let_start(service)
    service.builder.gate = asyncio.Event()
    await service.build("bob", repo="first", ref="main")
    async with service.client.stream("GET", LINK, headers={"Accept": "text/event-stream", "Authorization": "token token-of-alice"}) as reply:
        messages = []
        async for line in reply.aiter_lines():
            messages.append(line)
            if "The build is number 1 in the queue" in line:
                service.builder.gate.set()
    assert any('"phase": "ready"' in message for message in messages)


async def test_a_server_learns_what_binderhub_tells_of_its_launch(service: Service) -> None:
    let_start(service)
    ready = (await ask(service.client))[-1]
    [started] = [asked.body for asked in service.hub.asked if asked.method == "POST"]
    told = {name: value for name, value in ready.items() if name.startswith("binder_")}
    assert {name: value for name, value in started.items() if name.startswith("binder_")} == told
    assert set(options_from_json(started).told) == set(told)


@pytest.mark.parametrize("is_coroutine", [True, False])
async def test_the_operators_hook_is_asked_before_a_launch_and_refuses_it(service: Service, is_coroutine: bool) -> None:
    let_start(service)
    asked = []

    def hook(*given: Any) -> Any:
        asked.append(given[1:])
        error = web.HTTPError(409, "Not %s, 100%%", "today")
        if not is_coroutine:
            raise error

        async def refuse() -> None:
            raise error

        return refuse()

    launches = Launches(service.hub.api_url, "/hub/", [service.provider], before=before_launch(hook, None))
    async with serving(make_application(replace(service.context, launches=launches), SECRET)) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await ask(client))[-1] == {"phase": "failed", "status_code": 409, "message": "Not today, 100%\n"}
    assert [(user, server, repo) for _, user, server, repo in asked] == [("alice", SERVER, "o")]
    assert asked[0][0] in {image.reference for image in service.images.there.values()}
    assert not [one for one in service.hub.asked if one.method == "POST"]


async def test_a_server_that_takes_too_long_is_told_so(service: Service) -> None:
    let_start(service)
    service.hub.answers["GET", f"{STARTED}/progress"] = (200, 'data: {"progress": 1, "message": "Spawning"}\n\n')
    told = await ask(service.client)
    assert (told[-1]["message"].endswith(" for user alice failed to launch\n"), told[-1]["status_code"]) == (True, 500)
