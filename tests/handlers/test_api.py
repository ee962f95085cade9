"""The native API over HTTP: real handlers, real policy and a real store; the hub, the builder and the images are doubles."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from jupyterhub.services.auth import HubOAuth
from tornado import web

from binderhub_service import __version__
from binderhub_service.builders.fake import FakeBuilder
from binderhub_service.builds.builds import Builds
from binderhub_service.builds.cleaner import Budget, Cleaner
from binderhub_service.builds.controls import Controls
from binderhub_service.builds.copy_quota import CopyQuota
from binderhub_service.builds.hooks import Hooks
from binderhub_service.builds.image_jobs import ImageJobs
from binderhub_service.builds.launch_places import LaunchPlaces
from binderhub_service.builds.launch_quota import LaunchLimits
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.builds.named import NamedBuilds
from binderhub_service.builds.prepared import PreparedEnvironments
from binderhub_service.builds.prepared_provider import PreparedProvider
from binderhub_service.builds.rates import RateLimits, Rates
from binderhub_service.builds.refreshes import Refreshes
from binderhub_service.builds.templates import Templates
from binderhub_service.clients.contents import Contents
from binderhub_service.context import AppContext
from binderhub_service.errors import NotFound, TooMany, Unavailable
from binderhub_service.handlers import builds as handlers
from binderhub_service.handlers.application import make_application
from binderhub_service.handlers.rendering import make_jinja
from binderhub_service.images.fake import FakeImages
from binderhub_service.launches.accounts import HubAccounts
from binderhub_service.launches.build_tokens import BuildTokens
from binderhub_service.launches.hub_groups import HubGroups
from binderhub_service.launches.launches import Attempts, Launches
from binderhub_service.launches.running_servers import HubServers
from binderhub_service.models import Image, Template, iso, now
from binderhub_service.monitoring.health import Health
from binderhub_service.monitoring.launch_events import Events
from binderhub_service.monitoring.metrics import Metrics
from binderhub_service.process.tasks import Tasks
from binderhub_service.settings.pages import PageSettings
from binderhub_service.store.controls import ControlTable
from binderhub_service.store.image_jobs import ImageJobTable
from binderhub_service.store.named_builds import NamedBuildTable
from binderhub_service.store.prepared import PreparedTable
from binderhub_service.store.rates import RateTable
from binderhub_service.store.space import Space
from binderhub_service.store.store import Store
from binderhub_service.store.templates import TemplateTable
from tests.fake_hub import FakeHub, serving
from tests.harness.empty_database import write_empty_database
from tests.harness.records import TableProvider, commit
from tests.harness.sse import Sent, read
from tests.harness.waiting import until, within

PREFIX = "/services/binder/"
API = f"{PREFIX}api"
SECRET = b"0" * 32
REPO = "https://git.example.org/o/r"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
# fmt: off
BUILD_KEYS = {
    "id", "provider", "repo", "ref", "commit", "image", "environment", "state",
    "phase", "queue", "error", "owner", "created", "started", "finished", "last_event",
}
# fmt: on


@dataclass
class Service:
    """The service as a client sees it, and its parts."""

    client: httpx.AsyncClient
    context: AppContext
    provider: TableProvider
    builder: FakeBuilder
    images: FakeImages
    hub: FakeHub
    store: Store

    async def ask(self, method: str, path: str, who: str = "alice", **more: Any) -> httpx.Response:
        """Send a request with somebody's token; nobody's if `who` is empty."""
        headers = {"Authorization": f"token token-of-{who}"} if who else {}
        return await self.client.request(method, f"{API}{path}", headers=headers | more.pop("headers", {}), **more)

    async def build(self, who: str = "alice", **asked: Any) -> dict[str, Any]:
        reply = await self.ask("POST", "/builds", who, json={"repo": REPO, **asked})
        assert reply.status_code in {200, 201}, reply.text
        found: dict[str, Any] = reply.json()
        return found

    @asynccontextmanager
    async def stream(self, build_id: str, who: str = "alice", **more: Any) -> AsyncIterator[httpx.Response]:
        headers = {"Authorization": f"Bearer token-of-{who}"} | more.pop("headers", {})
        async with self.client.stream("GET", f"{API}/builds/{build_id}/events", headers=headers, **more) as reply:
            yield reply

    async def events(self, build_id: str, **more: Any) -> list[Sent]:
        async with self.stream(build_id, **more) as reply, within():
            return list(read([line async for line in reply.aiter_lines()]))

    async def finished(self, who: str = "alice", **asked: Any) -> dict[str, Any]:
        build = await self.build(who, **asked)
        await self.events(build["id"], who=who)
        await until(lambda: build["id"] in self.builder.forgotten, "its end")
        found: dict[str, Any] = (await self.ask("GET", f"/builds/{build['id']}", who)).json()
        return found

    def sign_in(self, name: str) -> None:
        """Give the client the cookie that a browser has after the way over the hub."""
        self.client.cookies.set("service-binder", web.create_signed_value(SECRET, "service-binder", f"token-of-{name}").decode(), path=PREFIX)


@pytest.fixture
def hub_auth() -> Iterator[None]:
    HubOAuth.clear_instance()
    yield
    HubOAuth.clear_instance()


@pytest.fixture
async def service(request: pytest.FixtureRequest, tmp_path: Path, hub_auth: None) -> AsyncIterator[Service]:
    store = Store(write_empty_database(tmp_path / "store.sqlite"))
    await store.open()
    async with FakeHub().running() as hub:
        for name in ("alice", "bob"):
            hub.add(name)
        hub.add("reader", "custom:binder:read")
        hub.add("canceller", "custom:binder:read", "custom:binder:cancel")
        hub.add("root-admin", "admin-ui", admin=True)
        hub.add("narrow-admin", admin=True)
        hub.add("robot", kind="service")
        scopes = ["access:services!service=binder"]
        hub.users["token-of-visitor"] = {"name": "visitor", "kind": "user", "admin": False, "scopes": scopes, "groups": []}
        hub.users["token-of-eve"] = {"name": "eve", "kind": "user", "admin": False, "scopes": ["custom:binder:build"], "groups": []}
        hub.serve_as_auth(PREFIX)
        images = FakeImages()
        builder = FakeBuilder(
            ["one", "<script>two</script>"], made=lambda build: images.there.update({build.image.name: Image(build.image.name, "key")})
        )
        provider = TableProvider(**{f"r{number}": commit(number) for number in range(1, 10)})
        metrics = Metrics("embedded")
        controls = Controls(ControlTable(store), HubGroups(hub.api_url, "s").of)
        limits = BuildLimits(running=1, per_user=9)
        prepared = PreparedEnvironments(PreparedTable(store))
        providers = [provider, PreparedProvider(prepared)]
        builds = Builds(
            store=store,
            providers=providers,
            images=images,
            builder=builder,
            limits=limits,
            observer=metrics,
            controls=controls,
            prepared=prepared,
        )
        metrics.watch(builds, [], Tasks(), Space(tmp_path))
        context = AppContext(
            prefix=PREFIX,
            hub_prefix="/hub/",
            hub_api_url=hub.api_url,
            builds=builds,
            accounts=HubAccounts(hub.api_url, "s", builds.note_rename),
            cleaner=Cleaner(store=store, images=images, builds=builds, budget=Budget(), kept=prepared.images),
            contents=Contents(tmp_path),
            controls=controls,
            copy_quota=CopyQuota(None, controls),
            providers=providers,
            launches=Launches(
                hub.api_url,
                "/hub/",
                providers,
                places=LaunchPlaces(LaunchLimits(), HubServers(hub.api_url, "s").running, look_seconds=0),
                controls=controls,
            ),
            jinja=make_jinja([]),
            pages=PageSettings(),
            metrics=metrics,
            events=Events(),
            health=Health({"store": store.check}, kept_seconds=0.2, pause_seconds=0),
            builder_info={"mode": "embedded"},
            image_jobs=ImageJobs(ImageJobTable(store), builds, images),
            prepared=prepared,
            refreshes=Refreshes(prepared, builds, 0),
            hooks=Hooks(SECRET),
            named_builds=(named_builds := NamedBuilds(NamedBuildTable(store), builds)),
            templates=Templates(TemplateTable(store), named_builds),
            build_tokens=BuildTokens(SECRET),
            rates=Rates(RateLimits(), RateTable(store), SECRET),
            attempts=Attempts(delay_seconds=0.01),
            hub_origin=getattr(request, "param", ""),
        )
        async with serving(make_application(context, SECRET)) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
            yield Service(client, context, provider, builder, images, hub, store)
            if builder.gate:
                builder.gate.set()
            await context.refreshes.close()
            await builds.close()
    await store.close()


@pytest.fixture
def gate(service: Service) -> asyncio.Event:
    """A gate that builds wait at."""
    service.builder.gate = asyncio.Event()
    return service.builder.gate


def error_of(reply: httpx.Response, status: int, code: str = "") -> dict[str, Any]:
    """Return the error of an answer, which has to have the form that all errors have."""
    assert reply.status_code == status, reply.text
    assert reply.headers["Content-Type"] == "application/json"
    assert set(reply.json()) == {"error"}
    error: dict[str, Any] = reply.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["message"]
    assert not code or error["code"] == code
    return error


# Asking


async def test_a_new_build_is_created_and_is_where_it_says(service: Service) -> None:
    reply = await service.ask("POST", "/builds", json={"repo": REPO, "ref": "main"})
    build = reply.json()
    assert reply.status_code == 201
    assert set(build) == BUILD_KEYS
    assert (build["repo"], build["ref"], build["commit"], build["owner"], build["state"]) == (REPO, "main", commit(1), "alice", "queued")
    assert (build["queue"], build["error"], build["started"], build["finished"]) == (None, None, None, None)
    assert TIME.fullmatch(build["created"])
    assert reply.headers["Location"] == f"{API}/builds/{build['id']}"
    found = await service.client.get(reply.headers["Location"], headers={"Authorization": "Bearer token-of-alice"})
    assert found.json()["id"] == build["id"]
    await service.events(build["id"])


async def test_an_equal_ask_is_answered_with_the_build_that_goes_on_and_later_with_the_result(service: Service, gate: asyncio.Event) -> None:
    build = await service.build()
    running = await service.ask("POST", "/builds", "bob", json={"repo": REPO, "ref": "main"})
    assert (running.status_code, running.json()["id"]) == (200, build["id"])
    gate.set()
    await service.events(build["id"])
    ready = await service.ask("POST", "/builds", "bob", json={"repo": REPO})
    assert (ready.status_code, ready.json()["id"], ready.json()["state"], ready.json()["environment"]) == (200, build["id"], "ready", "key")
    assert ready.headers["Location"].endswith(build["id"])


async def test_force_begins_anew(service: Service) -> None:
    first = await service.finished()
    reply = await service.ask("POST", "/builds", json={"repo": REPO, "force": True})
    assert reply.status_code == 201
    assert reply.json()["id"] != first["id"]
    await service.events(reply.json()["id"])


async def test_a_hub_service_asks_in_its_own_name(service: Service) -> None:
    build = await service.build("robot")
    assert build["owner"] == "service:robot"
    await service.events(build["id"], who="robot")


async def test_a_value_that_is_null_was_not_given(service: Service) -> None:
    build = await service.build(ref=None, provider=None, force=None)
    assert build["ref"] == "HEAD"
    await service.events(build["id"])


BODIES = {
    "nothing": b"",
    "no JSON": b"{repo}",
    "no text": b"\xff\xfe",
    "no object": b"[]",
    "a number": b"7",
    "an empty object": b"{}",
    "an empty address": b'{"repo": "  "}',
    "an address that is no text": b'{"repo": 7}',
    "force that is no truth": b'{"repo": "x", "force": 1}',
    "an image": b'{"repo": "x", "image": "evil"}',
    "an unknown key": b'{"repo": "x", "{key}": 1}',
    "very deep JSON": b"[" * 60_000,
}


@pytest.mark.parametrize("case", BODIES)
async def test_an_ask_that_cannot_be_understood_is_a_bad_request(service: Service, case: str) -> None:
    error_of(await service.ask("POST", "/builds", content=BODIES[case]), 400, "invalid_request")
    assert service.provider.asked == []


async def test_what_providers_and_limits_refuse_comes_with_its_status(service: Service) -> None:
    for error, status in ((NotFound("No.", code="ref_not_found"), 404), (Unavailable("Away.", code="git_server_timeout"), 503)):
        service.provider.error = error
        error_of(await service.ask("POST", "/builds", json={"repo": REPO}), status, error.code)
    service.provider.error = TooMany("Later.", retry_after_seconds=30)
    reply = await service.ask("POST", "/builds", json={"repo": REPO})
    error_of(reply, 429, "too_many_requests")
    assert reply.headers["Retry-After"] == "30"


async def test_an_unexpected_error_tells_nothing(service: Service) -> None:
    service.provider.error = ZeroDivisionError("sekret-value")
    reply = await service.ask("POST", "/builds", json={"repo": REPO})
    error_of(reply, 500, "internal_error")
    assert "sekret-value" not in reply.text


async def test_a_store_that_is_away_is_unavailable(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*arguments: Any, **more: Any) -> Any:
        raise Unavailable("The service's database did not answer.", code="store_unavailable")

    monkeypatch.setattr(service.store, "newest", away)
    monkeypatch.setattr(service.store, "get", away)
    error_of(await service.ask("GET", "/builds"), 503, "store_unavailable")
    for path in ("/builds/b1", "/builds/b1/events", "/builds/b1/log"):
        error_of(await service.ask("GET", path), 503, "store_unavailable")


# Who may


EVERYTHING = [
    ("POST", "/builds"),
    ("GET", "/builds"),
    ("GET", "/builds/b1"),
    ("DELETE", "/builds/b1"),
    ("DELETE", "/builds/b1/ask"),
    ("GET", "/builds/b1/log"),
    ("GET", "/builds/b1/events"),
    ("GET", "/images"),
    ("DELETE", "/images/x"),
    ("GET", "/templates"),
    ("GET", "/openapi.json"),
    ("POST", "/launches"),
    ("GET", "/nothing"),
]


@pytest.mark.parametrize("who", ["", "stranger", "eve"])
@pytest.mark.parametrize(("method", "path"), EVERYTHING)
async def test_nobody_gets_anything_without_access_to_the_service(service: Service, method: str, path: str, who: str) -> None:
    error_of(await service.ask(method, path, who, json={} if method == "POST" else None), 403)


async def test_the_log_says_what_was_refused_and_to_whom_without_secrets(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    query = f"token={SECRET.hex()}&Auth={SECRET.hex()}&to%6ben={SECRET.hex()}&code={SECRET.hex()}&limit=wrong&key"
    await service.ask("GET", f"/builds?{query}", "alice")
    await service.ask("GET", "/builds", "alice")
    refused, *more = [record for record in caplog.records if record.module == "problems"]  # a hub in this process renames the log
    assert not more, "the proxy knows those that are well"
    assert refused.levelname == "WARNING"
    hidden = "token=[secret]&Auth=[secret]&to%6ben=[secret]&code=[secret]&limit=wrong&key"
    assert refused.getMessage().startswith(f"400 GET {PREFIX}api/builds?{hidden} (alice@127.0.0.1) ")


async def test_access_alone_does_not_let_one_build(service: Service) -> None:
    error = error_of(await service.ask("POST", "/builds", "visitor", json={"repo": REPO}), 403, "forbidden")
    assert "custom:binder:build" in error["hint"]


async def test_a_build_is_read_by_its_requesters_and_those_who_may(service: Service) -> None:
    build = await service.finished()
    for path in ("", "/log", "/events"):
        for who, status in (("alice", 200), ("reader", 200), ("root-admin", 200), ("narrow-admin", 403), ("bob", 403), ("visitor", 403)):
            assert (await service.ask("GET", f"/builds/{build['id']}{path}", who)).status_code == status
    await service.build("bob")
    assert (await service.ask("GET", f"/builds/{build['id']}", "bob")).status_code == 200


@pytest.mark.parametrize(("who", "status", "state"), [("alice", 200, "cancelled"), ("root-admin", 200, "cancelled"), ("canceller", 200, "cancelled")])
async def test_a_build_is_cancelled_by_those_who_may(service: Service, gate: asyncio.Event, who: str, status: int, state: str) -> None:
    build = await service.build()
    await service.build("bob")
    reply = await service.ask("DELETE", f"/builds/{build['id']}", who)
    assert (reply.status_code, reply.json()["state"], reply.json()["error"]["code"]) == (status, state, "cancelled")
    error_of(await service.ask("DELETE", f"/builds/{build['id']}", who), 409, "build_ended")


async def test_another_requester_takes_only_the_own_wish_back(service: Service, gate: asyncio.Event) -> None:
    build = await service.build()
    await service.build("bob")
    for path in ("", "/ask"):
        reply = await service.ask("DELETE", f"/builds/{build['id']}{path}", "bob")
        assert reply.status_code == 200
        assert reply.json()["state"] in {"queued", "running"}
    error_of(await service.ask("DELETE", f"/builds/{build['id']}/ask", "reader"), 403)
    gate.set()
    await service.events(build["id"])
    ended = await service.ask("DELETE", f"/builds/{build['id']}/ask")
    assert (ended.status_code, ended.json()["state"]) == (200, "ready"), "also when it has ended"


async def test_the_last_wish_that_is_taken_back_ends_the_build(service: Service, gate: asyncio.Event) -> None:
    build = await service.build()
    assert (await service.ask("DELETE", f"/builds/{build['id']}/ask")).json()["state"] == "cancelled"


async def test_a_login_cookie_needs_the_page_s_token_to_change_anything(service: Service) -> None:
    service.sign_in("alice")
    refused = await service.ask("POST", "/builds", "", json={"repo": REPO})
    error_of(refused, 403)
    assert service.provider.asked == []
    page = await service.client.get(PREFIX, headers={"Sec-Fetch-Mode": "navigate"})
    assert page.status_code == 200
    xsrf = service.client.cookies["_xsrf"]
    granted = await service.ask("POST", "/builds", "", json={"repo": REPO}, headers={"X-XSRFToken": xsrf})
    assert granted.status_code == 201, granted.text
    build_id = granted.json()["id"]
    error_of(await service.ask("DELETE", f"/builds/{build_id}", "", headers={"X-XSRFToken": "forged"}), 403)
    fetched = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
    error_of(await service.ask("GET", f"/builds/{build_id}", "", headers=fetched), 403)
    assert (await service.ask("GET", f"/builds/{build_id}", "", headers=fetched | {"X-XSRFToken": xsrf})).status_code == 200
    assert (await service.ask("GET", f"/builds/{build_id}/log?_xsrf={xsrf}", "", headers=fetched)).status_code == 200
    await service.events(build_id)


async def test_a_token_in_the_address_does_not_sign_a_change(service: Service) -> None:
    """A link with a token in it must not be able to begin a build from somebody else's page."""
    reply = await service.client.post(f"{API}/builds", headers={"Authorization": "Basic YWxpY2U6eA=="}, json={"repo": REPO})
    error_of(reply, 403)


@pytest.mark.parametrize("path", ["health", "versions", "metrics", "api/builds", "api/builds/%FF", "api/nothing", ""])
async def test_nothing_waits_for_the_hub_with_the_loop_stopped(service: Service, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(HubOAuth, "_synchronize", lambda *arguments, **more: asked.append(path))
    service.sign_in("alice")
    for headers in ({}, {"Authorization": "token token-of-alice"}, {"Authorization": "token junk"}):
        await service.client.get(PREFIX + path, headers=headers)
    assert asked == []


# Lists


async def test_lists_come_in_pages_with_links_that_keep_the_filters(service: Service) -> None:
    builds = [await service.finished(ref=f"r{number}") for number in range(1, 6)]
    seen: list[str] = []
    address = f"{API}/builds?limit=2&state=ready&owner=alice&repo={REPO}"
    while address:
        reply = await service.client.get(address, headers={"Authorization": "token token-of-alice"})
        page = [build["id"] for build in reply.json()]
        assert len(page) <= 2
        seen += page
        link = re.fullmatch(r'<([^>]+)>; rel="next"', reply.headers.get("Link", ""))
        address = link[1] if link else ""
        assert not address or ("state=ready" in address and "owner=alice" in address and "repo=" in address)
    assert seen == [build["id"] for build in reversed(builds)]
    assert (await service.ask("GET", "/builds", "bob")).json() == []
    assert len((await service.ask("GET", "/builds", "reader")).json()) == 5
    assert (await service.ask("GET", "/builds?state=failed")).json() == []


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "limit=x", "limit=-1", "limit=1e2", "limit=%D9%A3", "limit=" + "9" * 5000, "state=half"])
async def test_a_list_that_cannot_be_is_a_bad_request(service: Service, query: str) -> None:
    error_of(await service.ask("GET", f"/builds?{query}"), 400, "invalid_request")


async def test_a_waiting_build_says_its_place(service: Service, gate: asyncio.Event) -> None:
    first, second = await service.build(ref="r1"), await service.build(ref="r2")
    assert first["queue"] is None
    assert second["queue"] == {"position": 1, "estimate_seconds": None}
    assert (await service.ask("GET", f"/builds/{second['id']}")).json()["queue"]["position"] == 1
    gate.set()
    assert (await service.events(second["id"]))[0].kind == "queue"


# Event logs


async def test_an_event_log_is_streamed_from_its_beginning_to_its_end(service: Service, gate: asyncio.Event) -> None:
    build = await service.build()
    async with service.stream(build["id"]) as reply:
        assert reply.headers["Content-Type"] == "text/event-stream"
        assert reply.headers["X-Accel-Buffering"] == "no"
        assert "no-cache" in reply.headers["Cache-Control"]
        gate.set()
        events = list(read([line async for line in reply.aiter_lines()]))
    assert [event.number for event in events] == list(range(1, len(events) + 1))
    assert [event.kind for event in events] == ["phase", "phase", "log", "log", "phase", "end"]
    assert [event.data["phase"] for event in events if event.kind == "phase"] == ["fetching", "building", "done"]
    assert [event.data for event in events if event.kind == "log"] == [{"text": "one"}, {"text": "<script>two</script>"}]
    assert set(events[-1].data) == {"state", "image", "environment", "error", "time"}
    assert TIME.fullmatch(events[-1].data["time"])
    assert await service.events(build["id"]) == events, "also after its end"


async def test_an_event_log_goes_on_after_the_last_event_that_was_seen(service: Service) -> None:
    build = await service.finished()
    whole = await service.events(build["id"])
    assert await service.events(build["id"], headers={"Last-Event-ID": "2"}) == whole[2:]
    assert await service.events(build["id"], params={"after": 3}) == whole[3:]
    assert await service.events(build["id"], headers={"Last-Event-ID": "4"}, params={"after": 0}) == whole[4:], "a browser's own wins"
    assert await service.events(build["id"], params={"after": len(whole)}) == []
    assert await service.events(build["id"], params={"after": 2**31 - 1}) == []


@pytest.mark.parametrize("after", ["x", "-1", "1.5", "9" * 30])
async def test_a_number_that_is_none_is_a_bad_request(service: Service, after: str) -> None:
    build = await service.finished()
    error_of(await service.ask("GET", f"/builds/{build['id']}/events?after={after}"), 400)
    error_of(await service.ask("GET", f"/builds/{build['id']}/events", headers={"Last-Event-ID": after}), 400)


async def test_silence_is_broken_by_comments(service: Service, gate: asyncio.Event, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "KEEPALIVE_SECONDS", 0.05)
    build = await service.build()
    comments: list[str] = []
    async with service.stream(build["id"]) as reply, within():
        lines: list[str] = []
        async for line in reply.aiter_lines():
            lines.append(line)
            if line.startswith(":"):
                gate.set()
    events = list(read(lines, comments))
    assert comments
    assert events[-1].kind == "end"


async def test_a_client_that_goes_away_is_followed_no_further_and_the_build_goes_on(service: Service, gate: asyncio.Event) -> None:
    build = await service.build()
    async with service.stream(build["id"]) as reply:
        await anext(reply.aiter_lines())
        assert service.context.builds.counts()["followers"] == 1
    await until(lambda: service.context.builds.counts()["followers"] == 0, "the follower to leave")
    gate.set()
    assert (await service.events(build["id"]))[-1].data["state"] == "ready"


async def test_the_log_is_text_and_whole_also_while_it_grows(service: Service, gate: asyncio.Event) -> None:
    build = await service.build()
    path = f"/builds/{build['id']}/log"
    async with within():
        while not (reply := await service.ask("GET", path)).text:
            await asyncio.sleep(0.02)
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert reply.headers["X-Content-Type-Options"] == "nosniff"
    assert reply.text == "one\n<script>two</script>\n"
    gate.set()
    await service.events(build["id"])
    assert (await service.ask("GET", path)).text == reply.text


async def test_the_log_comes_without_colours_for_who_asks_for_plain_text(service: Service) -> None:
    service.builder.lines = ["\x1b[31mred\x1b[0m", "10 %\r100 %\r", "\x1b]0;title\x07\u202eabc"]
    build = await service.finished()
    path = f"/builds/{build['id']}/log"
    assert (await service.ask("GET", f"{path}?plain=1")).text == "red\n100 %\nabc\n"
    assert "\x1b[31m" in (await service.ask("GET", path)).text


async def test_a_long_log_arrives_whole(service: Service) -> None:
    service.builder.lines = [f"line {number}" for number in range(2500)]
    build = await service.finished()
    assert (await service.ask("GET", f"/builds/{build['id']}/log")).text.splitlines() == service.builder.lines
    assert len(await service.events(build["id"])) == 2500 + 4


# What is not there


@pytest.mark.parametrize("path", ["/builds/b0", "/builds/b0/events", "/builds/b0/log", "/builds/%F0%9F%90%B1", "/builds/{0.__class__}"])
async def test_an_unknown_build_is_not_found(service: Service, path: str) -> None:
    error_of(await service.ask("GET", path, "root-admin"), 404, "build_not_found")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/builds/b/c/d", 404), ("PUT", "/builds", 405), ("PATCH", "/builds/b1", 405), ("POST", "/builds/b1/log", 405)],
)
async def test_errors_that_tornado_makes_are_json_too(service: Service, method: str, path: str, status: int) -> None:
    error_of(await service.ask(method, path), status)


@pytest.mark.parametrize("path", ["/builds/%FF", "/builds?owner=%FF"])
async def test_an_address_that_is_no_text_is_a_bad_request(service: Service, path: str) -> None:
    error_of(await service.ask("GET", path), 400)


# Images


async def test_templates_are_listed_by_name_for_everybody_who_may_use_the_service(service: Service) -> None:
    for name in ("two", "one"):
        await service.context.templates.add(Template(name, "an/image", created=now(), modified=now(), memory=1024))
    reply = await service.ask("GET", "/templates", "visitor")
    assert [(one["name"], one["image"], one["memory"], one["command"]) for one in reply.json()] == [
        ("one", "an/image", 1024, None),
        ("two", "an/image", 1024, None),
    ]


async def test_images_are_for_administrators(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    build = await service.finished()
    for who in ("alice", "narrow-admin"):
        error_of(await service.ask("GET", "/images", who), 403, "forbidden")
    error_of(await service.ask("DELETE", f"/images/{build['image']}"), 403, "forbidden")
    [image] = (await service.ask("GET", "/images", "root-admin")).json()
    assert (image["name"], image["used_by"]) == (build["image"], [])
    service.images.used_by[build["image"]] = ("alice/",)
    error_of(await service.ask("DELETE", f"/images/{build['image']}", "root-admin"), 409, "image_in_use")
    service.images.used_by.clear()
    monkeypatch.setattr(service.images, "all", None)  # other images are of no concern
    assert (await service.ask("DELETE", f"/images/{build['image']}", "root-admin")).status_code == 204
    error_of(await service.ask("DELETE", f"/images/{build['image']}", "root-admin"), 404, "image_not_found")


# Operators


async def test_health_names_every_check_and_is_kept_for_a_moment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    reply = await service.client.get(f"{PREFIX}health")
    assert (reply.status_code, reply.json()) == (200, {"ok": True, "checks": [{"service": "store", "ok": True}]})

    async def away() -> None:
        raise Unavailable("The store did not answer.")

    monkeypatch.setattr(service.context.health, "_checks", {"store": away})
    assert (await service.client.get(f"{PREFIX}health")).status_code == 200
    await asyncio.sleep(0.25)
    reply = await service.client.get(f"{PREFIX}health")
    assert (reply.status_code, reply.json()["checks"][0]) == (503, {"service": "store", "ok": False, "message": "The store did not answer."})
    assert (await service.client.head(f"{PREFIX}health")).status_code == 503


async def test_versions_are_in_the_shape_that_clients_know(service: Service) -> None:
    reply = await service.client.get(f"{PREFIX}versions")
    assert reply.json() == {"binderhub": __version__, "builder_info": {"mode": "embedded"}}
    assert reply.headers["Access-Control-Allow-Origin"] == "*"


async def test_providers_are_listed_for_everybody_as_binderhub_lists_them(service: Service) -> None:
    reply = await service.client.get(f"{PREFIX}api/repoproviders")
    assert reply.status_code == 200
    assert reply.json() == [service.provider.display().as_dict("git")]


async def test_a_service_without_pages_has_its_apis(service: Service) -> None:
    application = make_application(replace(service.context, is_api_only=True), SECRET)
    async with serving(application) as url, httpx.AsyncClient(base_url=url) as client:
        for path in ("health", "versions", "metrics", "api/repoproviders"):
            assert (await client.get(f"{PREFIX}{path}")).status_code == 200
        for path in ("", "about", "builds", "badge.svg", "v2/gh/o/r/main", "repo/o/r", "nothing"):
            assert (await client.get(f"{PREFIX}{path}")).status_code == 404
        assert (await client.get(f"{PREFIX}api/builds")).status_code == 403


async def test_metrics_count_what_happened(service: Service) -> None:
    await service.finished()
    reply = await service.client.get(f"{PREFIX}metrics")
    assert reply.headers["Content-Type"].startswith("text/plain")
    assert 'binder_builds_total{mode="embedded",state="ready"} 1.0' in reply.text
    assert "binder_running 0.0" in reply.text
    assert "binder_followers 0.0" in reply.text


async def test_the_description_of_the_api_names_this_server_and_every_path(service: Service) -> None:
    description = (await service.ask("GET", "/openapi.json")).json()
    assert description["servers"] == [{"url": API}]
    assert {"/builds", "/builds/{id}", "/builds/{id}/events", "/builds/{id}/log"} <= {
        re.sub(r"\{\w+\}", "{id}", path) for path in description["paths"]
    }
    assert json.dumps(description)


async def test_headers_that_protect_are_on_every_answer(service: Service) -> None:
    for reply in (await service.ask("GET", "/builds"), await service.ask("GET", "/nothing"), await service.client.get(f"{PREFIX}versions")):
        assert reply.headers["X-Content-Type-Options"] == "nosniff"
        assert reply.headers["Content-Security-Policy"] == "frame-ancestors 'none'"
        assert reply.headers["Cache-Control"] == "no-store"


async def test_static_files_may_not_be_framed_either(service: Service) -> None:
    reply = await service.client.get(f"{PREFIX}static/form.js")
    assert reply.status_code == 200
    assert (reply.headers["Content-Security-Policy"], reply.headers["X-Content-Type-Options"]) == ("frame-ancestors 'none'", "nosniff")


@pytest.mark.parametrize("path", ["api/builds", "api/images", "api/openapi.json", "builds", "health", "versions", "metrics"])
async def test_an_address_takes_a_slash_at_its_end_or_none(service: Service, path: str) -> None:
    headers = {"Authorization": f"token {service.hub.add('admin', admin=True)}"}
    with_and_without = [(await service.client.get(f"{PREFIX}{path}{end}", headers=headers)).status_code for end in ("", "/")]
    assert with_and_without[0] == with_and_without[1] != 404


# --- a hub with an origin of its own -------------------------------------------------------------------------------------

HUB_ORIGIN = "https://hub.example.org"


@pytest.mark.parametrize(
    ("service", "origin", "allowed"),
    [
        (HUB_ORIGIN, HUB_ORIGIN, HUB_ORIGIN),
        (HUB_ORIGIN, "https://eve.hub.example.org", None),
        (HUB_ORIGIN, "null", None),
        ("", HUB_ORIGIN, None),
        ("", "", None),
    ],
    indirect=["service"],
)
async def test_only_the_hub_may_read_answers_from_another_origin(service: Service, origin: str, allowed: str | None) -> None:
    for path in ("api/builds", "api/nothing", "static/form.js"):
        for method in ("GET", "OPTIONS"):
            reply = await service.client.request(method, f"{PREFIX}{path}", headers={"Origin": origin})
            assert reply.headers.get("Access-Control-Allow-Origin") == allowed
            assert "Access-Control-Allow-Credentials" not in reply.headers
            assert reply.headers.get("Vary") == ("Origin" if service.context.hub_origin else None)


async def test_what_is_asked_before_a_request_from_another_origin_does_nothing(service: Service) -> None:
    reply = await service.client.options(f"{PREFIX}api/builds", headers={"Origin": HUB_ORIGIN, "Access-Control-Request-Method": "POST"})
    assert (reply.status_code, reply.content) == (200, b"")


# Whose builds they are


async def test_who_takes_a_deleted_persons_name_sees_nothing(service: Service) -> None:
    build = await service.finished("alice")
    service.hub.users["token-of-late"] = service.hub.users["token-of-alice"]
    service.hub.created["alice"] = iso(now()) or ""
    assert (await service.ask("GET", "/builds", "late")).json() == []
    for method, path in (("GET", ""), ("GET", "/log"), ("GET", "/events"), ("DELETE", ""), ("DELETE", "/ask")):
        error_of(await service.ask(method, f"/builds/{build['id']}{path}", "late"), 403)
    page = await service.client.get(f"{PREFIX}builds/{build['id']}", headers={"Authorization": "token token-of-late"})
    assert page.status_code == 403
    assert [one["id"] for one in (await service.ask("GET", "/builds", "alice")).json()] == [build["id"]], "the first one's token is still known"
    assert (await service.build("late"))["id"] == build["id"]
    assert len((await service.ask("GET", "/builds", "late")).json()) == 1


@pytest.mark.parametrize(("hubs", "status", "code"), [(404, 403, "forbidden"), (401, 503, "hub_unavailable"), (500, 503, "hub_unavailable")])
async def test_a_hub_that_does_not_tell_whose_account_it_is_lets_nobody_in(service: Service, hubs: int, status: int, code: str) -> None:
    service.hub.answers["GET", "/users/alice"] = (hubs, {})
    error_of(await service.ask("GET", "/builds"), status, code)
    stream = await service.client.get(f"{PREFIX}build/git/o/main", headers={"Authorization": "token token-of-alice", "Accept": "text/event-stream"})
    assert stream.status_code == 200
    assert '"phase": "failed"' in stream.text
    assert service.provider.asked == []
