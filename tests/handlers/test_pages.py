"""The service's pages, as they come without JavaScript."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
from jupyterhub.services.auth import HubOAuth
from tornado import web

from binderhub_service.builds.access import may_cancel_all
from binderhub_service.builds.controls import Controls
from binderhub_service.builds.limits import BuildLimits
from binderhub_service.builds.pages import located
from binderhub_service.builds.rates import RateLimits, Rates
from binderhub_service.builds.resolver import Resolver
from binderhub_service.errors import Conflict, NotFound
from binderhub_service.handlers.binder.front import front_routes
from binderhub_service.handlers.binder.old_links import old_link_routes
from binderhub_service.handlers.launches import launch_routes
from binderhub_service.handlers.pages import page_routes
from binderhub_service.handlers.rendering import PageUser, ago, make_jinja, took, web_address
from binderhub_service.handlers.template_launch import template_launch_routes
from binderhub_service.launches.accounts import HubAccounts
from binderhub_service.launches.build_tokens import BuildTokens
from binderhub_service.launches.launches import Launches
from binderhub_service.models import Account, Build, Caller, Image, Phase, Request, Source, State, Template, now
from binderhub_service.monitoring.actions import Actions
from binderhub_service.names import server_name
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.providers.image import ImageProvider
from binderhub_service.providers.ls_remote import LsRemote
from binderhub_service.settings.pages import PageSettings
from tests.fake_hub import FakeHub, serving

PREFIX = "/services/binder/"
LIST = f"{PREFIX}builds"
SECRET = b"0" * 32
STATIC = Path(__file__).parents[2] / "binderhub_service" / "static"
COMMIT = "0123456789abcdef" * 2 + "01234567"
SCRIPT = '"><script>alert(1)</script><img src=x onerror=alert(1)>'
LAUNCH = f"{PREFIX}v2/gh/o/r/main?urlpath=lab%2Ftree%2Fx.ipynb&extra=%7Ba+b"


def build(number: int = 1, state: State = State.READY, **values: Any) -> Build:
    source = Source("git", "https://example.org/o/r", "https://example.org/o/r", "slug", "main", COMMIT)
    created = datetime.now(UTC) - timedelta(minutes=5)
    ready = Build(f"b{number:03}", source, Image("image-1"), state, Phase.DONE, "alice", created, created, created + timedelta(seconds=75))
    return replace(ready, **values)


@dataclass
class FakeBuilds:
    """Builds that are just there; remembers what was asked of it."""

    known: list[Build] = field(default_factory=list)
    listed: dict[str, Any] = field(default_factory=dict)
    cancelled: list[tuple[str, str]] = field(default_factory=list)

    async def list(self, caller: Caller, **values: Any) -> Sequence[Build]:
        self.listed = values
        return self.known[: values["limit"]]

    async def get(self, build_id: str, caller: Caller) -> Build:
        for known in self.known:
            if known.id == build_id:
                return known
        raise NotFound("There is no such build.")

    async def cancel(self, build_id: str, caller: Caller) -> Build:
        found = await self.get(build_id, caller)
        if found.state.ended:
            raise Conflict("The build has ended.")
        self.cancelled.append((build_id, caller.name))
        return found

    async def may_cancel_for_all(self, build: Build, caller: Caller) -> bool:
        return may_cancel_all(caller) or caller.name == build.owner

    async def note_rename(self, former: Account, account: Account) -> None:
        """There is nothing to note."""

    async def located(self, request: Request, path: str, caller: Caller) -> tuple[Request, str]:
        return await located(request, path, caller.name, Resolver([GitProvider()], BuildLimits()))

    def queue_status(self, build_id: str) -> dict[str, int | None] | None:
        return {"position": 3, "estimate_seconds": None} if build_id == "b-queued" else None


class FakeTemplates:
    """Two templates: an image that people may launch, and another that they may not."""

    async def get(self, name: str) -> Template:
        images = {"lab": "quay.io/jupyter/base-notebook:1", "evil": "registry.example/evil:1"}
        if name not in images:
            raise NotFound("There is no such template.", code="template_not_found")
        return Template(name, images[name], now(), now(), command="start.sh", memory=1024)


async def no_digest(_name: str) -> None:
    """Find no image: only a start asks which image a name means."""


@dataclass
class Site:
    """The service, a fake hub, and visitors."""

    hub: FakeHub
    builds: FakeBuilds
    client: httpx.AsyncClient

    async def get(self, path: str, token: str = "token-of-alice", **headers: str) -> httpx.Response:
        headers |= {"Authorization": f"token {token}"} if token else {}
        return await self.client.get(path, headers=headers)

    def sign_in(self, name: str) -> None:
        """Give the client the cookie that a browser has after the way over the hub."""
        cookie = web.create_signed_value(SECRET, "service-binder", f"token-of-{name}").decode()
        self.client.cookies.set("service-binder", cookie, path=PREFIX)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with FakeHub().running() as hub:
        hub.add("alice")
        hub.add("admin", "admin-ui", admin=True)
        hub.add("robot", kind="service")
        hub.users["token-of-eve"] = {"name": "eve", "kind": "user", "admin": False, "scopes": ["access:servers"], "groups": []}
        HubOAuth.clear_instance()
        hub.serve_as_auth(PREFIX)
        git = LsRemote()
        builds = FakeBuilds()
        images = ImageProvider(allowed_images=["quay.io/jupyter/*"])
        images.find_digest = no_digest
        providers = [GitHubProvider(git), GitProvider(git), images]
        context = SimpleNamespace(
            prefix=PREFIX,
            hub_prefix="/hub/",
            hub_origin="",
            cors_allow_origin="",
            builds=builds,
            templates=FakeTemplates(),
            accounts=HubAccounts(hub.api_url, "s", builds.note_rename),
            providers=providers,
            launches=Launches(hub.api_url, "/hub/", providers),
            jinja=make_jinja(),
            pages=PageSettings(about_message="<b>Ours</b>"),
            controls=Controls(cast(Any, None)),
            prepared=SimpleNamespace(all=list, only=False),
            temporary=None,
            banned={},
            hosts=frozenset(),
            actions=Actions(),
            build_tokens=BuildTokens(SECRET),
            rates=Rates(RateLimits(), cast(Any, None), SECRET),
        )
        routes = [
            (rf"{PREFIX}static/(.*)", web.StaticFileHandler, {"path": STATIC}),
            *launch_routes(PREFIX),
            *front_routes(PREFIX),
            *old_link_routes(PREFIX),
            *template_launch_routes(PREFIX),
            *page_routes(PREFIX),
        ]
        application = web.Application(routes, context=context, cookie_secret=SECRET)
        async with serving(application) as url, httpx.AsyncClient(base_url=url) as client:
            yield Site(hub, builds, client)
        HubOAuth.clear_instance()


class Page(HTMLParser):
    """What a browser would make of a page: its elements, and the text outside of scripts."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self._texts: list[str] = []
        self._silent = False
        self.feed(response.text)
        self.text = " ".join(" ".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self._silent = tag in {"script", "style"}

    def handle_endtag(self, tag: str) -> None:
        self._silent = False

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self._texts.append(data)

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [found for name, found in self.elements if name == tag and attributes.items() <= found.items()]

    @property
    def links(self) -> set[str]:
        return {found.get("href", "") for found in self.all("a")}


# --- coming in -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PREFIX, f"{PREFIX}builds/b001", LAUNCH, f"{PREFIX}nothing"])
async def test_a_visitor_is_sent_to_the_hub_and_comes_back_to_the_very_link(site: Site, path: str) -> None:
    response = await site.get(path, token="")
    assert response.status_code == 302
    target = urlsplit(response.headers["Location"])
    assert target.path == "/hub/api/oauth2/authorize"
    [state] = parse_qs(target.query)["state"]
    assert HubOAuth.instance().get_next_url(state) == path


async def test_a_program_without_a_login_is_not_sent_around(site: Site) -> None:
    assert (await site.get(PREFIX, token="", **{"Sec-Fetch-Mode": "cors"})).status_code == 403
    assert (await site.client.post(LAUNCH)).status_code == 403


async def test_somebody_without_access_is_told_so_in_a_page(site: Site) -> None:
    response = await site.get(PREFIX, token="token-of-eve")
    assert response.status_code == 403
    assert "Your account may not use this service." in Page(response).text


async def test_no_page_can_be_framed(site: Site) -> None:
    for path in (PREFIX, LAUNCH):
        assert (await site.get(path)).headers["Content-Security-Policy"] == "frame-ancestors 'none'"


# --- the frame -----------------------------------------------------------------------------------------------------------


async def test_pages_are_in_the_hubs_frame(site: Site) -> None:
    response = await site.get(PREFIX)
    page = Page(response)
    assert "/hub/static/css/style.min.css" in {found["href"] for found in page.all("link", rel="stylesheet")}
    assert {"/hub/home", "/hub/logout", PREFIX} <= page.links
    assert "/hub/admin" not in page.links
    assert 'user: "alice"' in response.text
    assert re.search(r'xsrf_token: "\S+"', response.text)


async def test_an_admin_finds_the_hubs_admin_page(site: Site) -> None:
    assert "/hub/admin" in Page(await site.get(PREFIX, token="token-of-admin")).links


async def test_the_hubs_demand_for_javascript_is_not_shown(site: Site) -> None:
    assert re.search(r"<noscript>\s*<style>#noscript[^<]*display: none", (await site.get(PREFIX)).text)


async def test_every_module_of_a_page_is_served(site: Site) -> None:
    site.builds.known = [build()]
    for path in (PREFIX, LIST, f"{PREFIX}builds/b001", LAUNCH):
        [module] = Page(await site.get(path)).all("script", type="module")
        served = await site.client.get(module["src"])
        assert served.status_code == 200
        assert "javascript" in served.headers["Content-Type"]


def test_a_name_cannot_end_the_frames_script() -> None:
    assert PageUser('a"</script>').json_escaped_name == 'a\\"\\u003c/script>'


def test_an_operators_page_wins_and_can_extend_the_hubs(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('{% extends "templates/page.html" %}{% block announcement %}Closed on Monday{% endblock %}')
    page = make_jinja([str(tmp_path)]).get_template("problem.html")
    shown = page.render(error=Conflict("No."), status=409, static_url=lambda path, **_: path, base_url="/hub/", service_prefix=PREFIX, page_config={})
    assert "Closed on Monday" in shown
    assert "jupyterhub-logo" in shown


# --- the list ------------------------------------------------------------------------------------------------------------


async def test_the_list_shows_what_became_of_builds(site: Site) -> None:
    site.builds.known = [build(2, State.RUNNING, finished=None, phase=Phase.BUILDING), build(1)]
    page = Page(await site.get(LIST))
    for text in ("https://example.org/o/r", "main", COMMIT[:8], "running", "ready", "5 minutes ago", "1 min 15 s"):
        assert text in page.text
    assert {f"{PREFIX}builds/b001", f"{PREFIX}builds/b002"} <= page.links
    [time, _] = page.all("time")
    assert time["title"].endswith(" UTC")
    assert page.all("tr", **{"data-build": "b002", "data-state": "running"})


async def test_an_empty_list_says_what_to_do(site: Site) -> None:
    page = Page(await site.get(LIST))
    assert "There is no build yet." in page.text
    assert PREFIX in page.links


async def test_a_long_list_has_a_next_page_with_the_same_filter(site: Site) -> None:
    site.builds.known = [build(number, State.FAILED) for number in range(60, 0, -1)]
    page = Page(await site.get(f"{LIST}?state=failed"))
    [older] = page.all("a", rel="next")
    assert parse_qs(urlsplit(older["href"]).query) == {"state": ["failed"], "before": ["b011"]}
    assert f"{PREFIX}builds/b011" in page.links
    assert f"{PREFIX}builds/b010" not in page.links


async def test_a_full_last_page_has_no_next_one(site: Site) -> None:
    site.builds.known = [build(number) for number in range(50, 0, -1)]
    assert not Page(await site.get(LIST)).all("a", rel="next")


@pytest.mark.parametrize(
    ("token", "query", "owner", "has_switch"),
    [
        ("token-of-alice", "", None, False),
        ("token-of-alice", "?show=all", None, False),
        ("token-of-admin", "", "admin", True),
        ("token-of-admin", "?show=all", None, True),
    ],
)
async def test_only_who_may_read_all_can_switch_to_all(site: Site, token: str, query: str, owner: str | None, has_switch: bool) -> None:
    page = Page(await site.get(f"{LIST}{query}", token=token))
    assert site.builds.listed["owner"] == owner
    assert bool(page.all("select", name="show")) is has_switch


async def test_a_state_that_is_none_is_refused(site: Site) -> None:
    response = await site.get(f"{LIST}?state={quote(SCRIPT)}")
    assert response.status_code == 400
    assert not Page(response).all("img", src="x")


# --- one build -----------------------------------------------------------------------------------------------------------


async def test_a_failed_build_says_why_on_top(site: Site) -> None:
    site.builds.known = [build(state=State.FAILED, error={"code": "x", "message": "There is no six==99.", "hint": "Ask for another."})]
    page = Page(await site.get(f"{PREFIX}builds/b001"))
    assert page.all("div", role="alert")
    assert page.text.index("There is no six==99. Ask for another.") < page.text.index("Repository")
    assert "Build again" in page.text


async def test_a_cancelled_build_is_no_error(site: Site) -> None:
    site.builds.known = [build(state=State.CANCELLED, error={"code": "cancelled", "message": "Cancelled."})]
    page = Page(await site.get(f"{PREFIX}builds/b001/"))
    assert "This build was cancelled." in page.text
    assert not page.all("div", role="alert")


async def test_a_build_links_to_its_log_and_to_its_launch(site: Site) -> None:
    site.builds.known = [build()]
    page = Page(await site.get(f"{PREFIX}builds/b001"))
    assert {
        f"{PREFIX}api/builds/b001/log?plain=1",
        f"{PREFIX}v2/git/https%3A%2F%2Fexample.org%2Fo%2Fr/{COMMIT}",
        "https://example.org/o/r",
    } <= page.links
    assert not page.all("form")


async def test_the_launch_link_of_a_build_leads_to_the_same_repository_and_commit(site: Site) -> None:
    site.builds.known = [build(source=replace(build().source, repo="https://example.org/o/ü%20{x}", ref="feature/#1"))]
    page = Page(await site.get(f"{PREFIX}builds/b001"))
    [link] = [found for found in page.links if "/v2/" in found]
    launch = Page(await site.get(link))
    [form] = launch.all("form", id="binder-launch")
    assert (form["data-repo"], form["data-ref"]) == ("https://example.org/o/ü%20{x}", COMMIT)


async def test_a_waiting_build_says_its_place(site: Site) -> None:
    site.builds.known = [build(id="b-queued", state=State.QUEUED, started=None, finished=None)]
    assert "Position 3 in the queue." in Page(await site.get(f"{PREFIX}builds/b-queued")).text


async def test_a_build_can_be_cancelled_by_a_form(site: Site) -> None:
    site.builds.known = [build(state=State.RUNNING, finished=None)]
    site.sign_in("alice")
    page = Page(await site.get(f"{PREFIX}builds/b001", token=""))
    [form] = page.all("form", method="post")
    [field_] = page.all("input", name="_xsrf")
    response = await site.client.post(form["action"], data={"_xsrf": field_["value"]}, headers={"Sec-Fetch-Mode": "navigate"})
    assert (response.status_code, response.headers["Location"]) == (303, f"{PREFIX}builds/b001")
    assert site.builds.cancelled == [("b001", "alice")]


@pytest.mark.parametrize("path", ["builds/b001/cancel", "v2/gh/o/r/main"])
@pytest.mark.parametrize("data", [{}, {"_xsrf": "wrong"}])
async def test_another_sites_form_does_nothing(site: Site, path: str, data: dict[str, str]) -> None:
    site.builds.known = [build(state=State.RUNNING, finished=None)]
    site.sign_in("alice")
    await site.client.get(PREFIX)
    response = await site.client.post(f"{PREFIX}{path}", data=data, headers={"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Site": "cross-site"})
    assert response.status_code == 403
    assert (site.builds.cancelled, site.hub.asked) == ([], [])


@pytest.mark.parametrize("path", [f"builds/{quote(SCRIPT, safe='')}", quote(SCRIPT, safe=""), "v2/x/y", "v2/"])
async def test_an_address_without_anything_is_said_to_be_one(site: Site, path: str) -> None:
    response = await site.get(f"{PREFIX}{path}")
    assert response.status_code == 404
    assert not Page(response).all("img", src="x")


async def test_an_unknown_provider_is_answered_with_the_known_ones(site: Site) -> None:
    assert "gh, git" in Page(await site.get(f"{PREFIX}v2/zenodo/10.5281")).text


@pytest.mark.parametrize("hostile", [SCRIPT, "javascript:alert(1)", "data:text/html,x", "//evil.example", "https:evil"])
async def test_a_hostile_repository_is_text_and_no_link(site: Site, hostile: str) -> None:
    source = replace(build().source, repo=hostile, ref=SCRIPT)
    error = {"code": SCRIPT, "message": SCRIPT, "hint": SCRIPT}
    site.builds.known = [build(source=source, owner=SCRIPT, image=Image(SCRIPT), state=State.FAILED, error=error)]
    for path in (f"{LIST}?show=all", f"{PREFIX}builds/b001"):
        page = Page(await site.get(path, token="token-of-admin"))
        assert SCRIPT in page.text
        assert not page.all("img", src="x")
        assert hostile not in page.links


# --- links that launch ---------------------------------------------------------------------------------------------------


async def test_a_link_shows_what_would_run_and_starts_nothing(site: Site) -> None:
    page = Page(await site.get(LAUNCH))
    for text in ("https://github.com/o/r", "main", "/lab/tree/x.ipynb", "Its code will run with your account"):
        assert text in page.text
    [form] = page.all("form", id="binder-launch")
    assert form["action"] == LAUNCH
    assert form["data-path"] == "/lab/tree/x.ipynb"
    assert page.all("button", type="submit")
    assert not page.all("button", autofocus="")
    assert site.hub.asked == []


async def test_a_link_without_a_ref_says_that_the_default_branch_is_meant(site: Site) -> None:
    assert "the default branch" in Page(await site.get(f"{PREFIX}v2/git/https%3A%2F%2Fexample.org%2Fo%2Fr/HEAD")).text


async def test_the_button_works_without_javascript(site: Site) -> None:
    server = server_name("https://github.com/o/r", "main")
    site.hub.answers["POST", f"/users/alice/servers/{server}"] = (202, "")
    site.sign_in("alice")
    page = Page(await site.get(LAUNCH, token=""))
    [form] = page.all("form", id="binder-launch")
    [field_] = page.all("input", name="_xsrf")
    response = await site.client.post(form["action"], data={"_xsrf": field_["value"]}, headers={"Sec-Fetch-Mode": "navigate"})
    assert response.status_code == 303
    assert response.headers["Location"] == f"/hub/spawn-pending/alice/{server}?next=%2Fuser%2Falice%2F{server}%2Flab%2Ftree%2Fx.ipynb"
    asked = site.hub.asked[-1]
    assert asked.token == "token-of-alice"
    assert asked.body["path"] == "/lab/tree/x.ipynb"


@pytest.mark.parametrize(("ref", "said"), [("main", True), (COMMIT, False)])
async def test_a_server_that_runs_is_said_to_unless_its_content_cannot_have_changed(site: Site, ref: str, said: bool) -> None:
    server = server_name("https://github.com/o/r", ref)
    site.hub.answers["POST", f"/users/alice/servers/{server}"] = (400, {"message": "is already running"})
    site.hub.answers["GET", "/users/alice"] = (200, {"servers": {server: {"ready": True, "pending": None}}})
    site.sign_in("alice")
    page = Page(await site.get(f"{PREFIX}v2/gh/o/r/{ref}", token=""))
    [form], [field_] = page.all("form", id="binder-launch"), page.all("input", name="_xsrf")
    response = await site.client.post(form["action"], data={"_xsrf": field_["value"]}, headers={"Sec-Fetch-Mode": "navigate"})
    assert response.status_code == (200 if said else 303)
    if said:
        running = Page(response)
        assert "runs already" in running.text
        assert {f"/user/alice/{server}/", "/hub/home"} <= running.links


@pytest.mark.parametrize(
    "link",
    [
        "gh/o",
        "gh/",
        "git/",
        "gh/o/r/-x",
        "gh/o/r/a%20b",
        "gh/o/r/%2e%2e",
        "git/javascript%3A%2F%2Falert(1)/x",
        "git/file%3A%2F%2F%2Fetc/x",
        f"git/{quote(SCRIPT, safe='')}/x",
        "git/https%3A%2F%2Fsekret%40example.org%2Fr/x",
        "gh/o/r/main?urlpath=http%3A%2F%2Fevil.example",
        "gh/o/r/main?filepath=..%2F..%2Fx",
    ],
)
async def test_a_link_that_cannot_be_used_says_why(site: Site, link: str) -> None:
    response = await site.get(f"{PREFIX}v2/{link}")
    page = Page(response)
    assert response.status_code == 400
    assert page.all("div", role="alert")
    assert not page.all("img", src="x")
    assert "sekret" not in page.text


@pytest.mark.parametrize("ref", ["{foo}", "{0.__class__}", "{{7}}", "a'\"<b>"])
async def test_a_ref_in_braces_does_no_harm(site: Site, ref: str) -> None:
    page = Page(await site.get(f"{PREFIX}v2/gh/o/r/{quote(ref)}"))
    [form] = page.all("form", id="binder-launch")
    assert form["data-ref"] == ref
    assert ref in page.text


# --- POST api/launches ---------------------------------------------------------------------------------------------------


async def test_a_launch_by_rest_answers_where_the_server_is(site: Site) -> None:
    server = server_name("https://github.com/o/r", "")
    site.hub.answers["POST", f"/users/alice/servers/{server}"] = (201, "")
    headers = {"Authorization": "token token-of-alice"}
    response = await site.client.post(f"{PREFIX}api/launches", json={"repo": "o/r", "path": "x.ipynb"}, headers=headers)
    assert response.status_code == 201
    url = f"/user/alice/{server}/lab/tree/x.ipynb"
    assert response.json() == {
        "server": server,
        "url": url,
        "pending_url": f"/hub/spawn-pending/alice/{server}?next={quote(url, safe='')}",
        "already_running": False,
    }


@pytest.mark.parametrize(
    ("token", "body", "status"),
    [
        ("token-of-robot", {"repo": "o/r"}, 403),
        ("token-of-eve", {"repo": "o/r"}, 403),
        ("nobody's", {"repo": "o/r"}, 403),
        ("token-of-alice", {}, 400),
        ("token-of-alice", {"repo": "o/r", "image": "evil"}, 400),
        ("token-of-alice", {"image": "debian:12", "ref": "main"}, 400),
        ("token-of-alice", {"template": "lab", "repo": "o/r"}, 400),
        ("token-of-alice", {"template": "unknown"}, 404),
        ("token-of-alice", {"template": "evil"}, 403),
        ("token-of-alice", {"repo": "o/r", "path": "../x"}, 400),
    ],
)
async def test_a_launch_that_is_not_allowed_never_reaches_the_hub(site: Site, token: str, body: dict[str, str], status: int) -> None:
    response = await site.client.post(f"{PREFIX}api/launches", json=body, headers={"Authorization": f"token {token}"})
    assert response.status_code == status
    assert response.json()["error"]["message"]
    assert site.hub.asked == []


@pytest.mark.parametrize("way", ["api", "link"])
async def test_a_template_is_launched_by_its_image_with_its_command_and_limits(site: Site, way: str) -> None:
    image = "docker://quay.io/jupyter/base-notebook:1"
    server = server_name(image, "lab")
    site.hub.answers["POST", f"/users/alice/servers/{server}"] = (201, "")
    headers = {"Authorization": "token token-of-alice"}
    if way == "api":
        response = await site.client.post(f"{PREFIX}api/launches", json={"template": "lab"}, headers=headers)
        assert (response.status_code, response.json()["server"]) == (201, server)
    else:
        site.sign_in("alice")
        page = Page(await site.get(f"{PREFIX}v2/template/lab?labpath=a.ipynb", token=""))
        assert "quay.io/jupyter/base-notebook:1" in page.text
        assert site.hub.asked == [], "nothing runs by opening it"
        [form], [field_] = page.all("form", id="binder-launch"), page.all("input", name="_xsrf")
        response = await site.client.post(form["action"], data={"_xsrf": field_["value"]}, headers={"Sec-Fetch-Mode": "navigate"})
        assert (response.status_code, response.headers["Location"].partition("?")[0]) == (303, f"/hub/spawn-pending/alice/{server}")
    [asked] = [asked for asked in site.hub.asked if asked.method == "POST"]
    about = {"template_command": "start.sh", "template_memory": "1024"}
    assert asked.body == {"repo": image, "ref": "", "path": "" if way == "api" else "a.ipynb", "provider": "image", **about}


# --- texts ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"), [(-5, "just now"), (59, "just now"), (60, "1 minute ago"), (7199, "1 hour ago"), (172800, "2 days ago")]
)
def test_a_time_is_said_as_people_do(seconds: int, text: str) -> None:
    assert ago(datetime.now(UTC) - timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "0 s"), (61, "1 min 1 s"), (7322, "2 h 2 min")])
def test_a_duration_is_said_as_people_do(seconds: int, text: str) -> None:
    one = build()
    assert one.started
    assert took(replace(one, finished=one.started + timedelta(seconds=seconds))) == text


def test_only_web_addresses_become_links() -> None:
    assert web_address("https://example.org/o/r")
    for text in ("javascript:alert(1)", "JavaScript://x/%0aalert(1)", "ssh://git@example.org/r", "https:x", "https://[broken", ""):
        assert web_address(text) == ""
