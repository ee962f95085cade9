"""Starting people's servers over the hub's REST API."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urlsplit

import pytest

from binderhub_service.common.paths import url_path
from binderhub_service.common.refusal import Refused
from binderhub_service.errors import BinderError, BuildFailed, Conflict, InvalidRequest, NotAllowed, NotFound, TooMany, Unavailable
from binderhub_service.launches.launches import Launches, check_path, path_from_query
from binderhub_service.models import Request
from binderhub_service.names import former_server_name, server_name
from binderhub_service.providers import Provider
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.github import GitHubProvider
from binderhub_service.providers.ls_remote import LsRemote
from spawner.options import options_from_json
from tests.fake_hub import Asked, FakeHub
from tests.harness.waiting import in_time

REPO = "https://github.com/o/r"
SERVER = server_name(REPO, "main")
START = ("POST", f"/users/alice/servers/{SERVER}")
REQUEST = Request(repo="o/r", ref="main", provider="gh")


def providers() -> list[Provider]:
    git = LsRemote()
    return [GitHubProvider(git), GitProvider(git)]


@pytest.fixture
async def hub() -> AsyncIterator[FakeHub]:
    async with FakeHub().running() as running:
        yield running


@pytest.fixture
def launches(hub: FakeHub) -> Launches:
    return Launches(hub.api_url, "/hub/", providers())


def starts(hub: FakeHub) -> list[Asked]:
    """Return what the hub was asked to start."""
    return [asked for asked in hub.asked if asked.method == "POST"]


@pytest.mark.parametrize("status", [201, 202])
async def test_a_server_is_started_with_the_persons_own_token_and_the_canonical_address(hub: FakeHub, launches: Launches, status: int) -> None:
    hub.answers[START] = (status, "")
    launched = await launches.launch("token-of-alice", "alice", REQUEST, "a b.ipynb")
    [asked] = starts(hub)
    assert asked.token == "token-of-alice"
    assert asked.body == {"repo": REPO, "ref": "main", "path": "a b.ipynb", "provider": "gh"}
    assert launched.server == SERVER
    assert launched.url == f"/user/alice/{SERVER}/lab/tree/a%20b.ipynb"
    pending = urlsplit(launched.pending_url)
    assert pending.path == f"/hub/spawn-pending/alice/{SERVER}"
    assert parse_qs(pending.query) == {"next": [launched.url]}


async def test_a_launch_is_answered_while_the_hub_waits_for_the_start(hub: FakeHub) -> None:
    hub.starts_go_on = asyncio.Event()
    hub.answers[START] = (500, {"message": "too late"})
    hub.answers["GET", "/users/alice"] = (200, {"servers": {SERVER: {"ready": False, "pending": "spawn"}}})
    launches = Launches(hub.api_url, "/hub/", providers(), answer_seconds=0.05)
    assert (await launches.launch("t", "alice", REQUEST, "")).server == SERVER
    assert starts(hub) == [], "the hub has not answered"
    hub.starts_go_on.set()
    await in_time(asyncio.gather(*launches._starts._unread, return_exceptions=True))
    assert len(starts(hub)) == 1


async def test_a_launch_that_the_hub_has_not_taken_waits_for_its_answer(hub: FakeHub) -> None:
    hub.starts_go_on = asyncio.Event()
    hub.answers[START] = (409, {"message": "The image is gone."})
    hub.answers["GET", "/users/alice"] = (200, {"servers": {}})
    launches = Launches(hub.api_url, "/hub/", providers(), answer_seconds=0.05)
    launching = asyncio.create_task(launches.launch("t", "alice", REQUEST, ""))
    await asyncio.sleep(0.2)
    assert not launching.done()
    hub.starts_go_on.set()
    with pytest.raises(BuildFailed, match="The image is gone"):
        await launching


async def test_what_is_sent_to_the_hub_is_what_the_spawner_takes(hub: FakeHub, launches: Launches) -> None:
    hub.answers[START] = (201, "")
    await launches.launch("t", "alice", REQUEST, "/lab")
    [asked] = starts(hub)
    assert options_from_json(asked.body).as_user_options() == asked.body


@pytest.mark.parametrize("repo", ["o/r", "https://github.com/o/r/", "http://www.github.com/o/r.git", "git@github.com:o/r.git"])
async def test_one_repository_has_one_server_however_it_is_written(hub: FakeHub, launches: Launches, repo: str) -> None:
    hub.answers[START] = (201, "")
    assert (await launches.launch("t", "alice", Request(repo, "main"), "")).server == SERVER


async def test_a_running_server_is_answered_with_the_path_asked_for_now(hub: FakeHub, launches: Launches) -> None:
    hub.answers[START] = (400, {"message": f"alice:{SERVER} is already running"})
    hub.answers["GET", "/users/alice"] = (200, {"servers": {SERVER: {"ready": True, "pending": None}}})
    launched = await launches.launch("t", "alice", REQUEST, "/voila/render/x.ipynb?theme=dark")
    assert launched.url.endswith("/voila/render/x.ipynb?theme=dark")
    assert launched.already_running


async def test_a_server_that_somebody_else_just_asked_for_is_answered(hub: FakeHub, launches: Launches) -> None:
    hub.answers[START] = (400, {"message": "is pending"})
    hub.answers["GET", "/users/alice"] = (200, {"servers": {SERVER: {"ready": False, "pending": "spawn"}}})
    launched = await launches.launch("t", "alice", REQUEST, "")
    assert (launched.server, launched.already_running) == (SERVER, False)


@pytest.mark.parametrize(
    ("status", "answer", "error", "says"),
    [
        (400, {"message": "The requirement six==99 does not exist."}, InvalidRequest, "six==99 does not exist"),
        (400, {"message": "User alice already has the maximum of 2 named servers."}, Conflict, "maximum of 2"),
        (401, {}, NotAllowed, "may not start"),
        (403, {"message": "Action is not authorized"}, NotAllowed, "may not start"),
        (403, {"message": None}, NotAllowed, "may not start"),
        (403, {"message": "This repository is not allowed here."}, NotAllowed, "repository is not allowed"),
        (404, {"message": "Not Found"}, NotFound, "does not know you"),
        (404, {"message": None}, NotFound, "does not know you"),
        (404, {"message": "The repository r has no branch or tag 'nope'."}, NotFound, "no branch or tag 'nope'"),
        (409, {"message": "The image is not on this machine any more."}, BuildFailed, "any more"),
        (422, {"message": "The server ended with status 3 while it started."}, BuildFailed, "status 3"),
        (424, {"message": "The container engine does not answer."}, Unavailable, "engine does not answer"),
        (429, {"message": "Too many users trying to log in right now."}, TooMany, "Too many"),
        (500, {"message": "The build failed: no such file."}, BuildFailed, "no such file"),
        (503, "<html>proxy</html>", Unavailable, "Service Unavailable"),
        (302, "", Unavailable, "right now"),
    ],
)
async def test_what_the_hub_says_is_passed_on(
    hub: FakeHub, launches: Launches, status: int, answer: object, error: type[BinderError], says: str
) -> None:
    hub.answers[START] = (status, answer)
    with pytest.raises(error, match=says):
        await launches.launch("t", "alice", REQUEST, "")


DEFAULT = ("POST", "/users/alice/server")


async def test_where_named_servers_are_off_the_one_server_is_used(hub: FakeHub, launches: Launches) -> None:
    hub.answers[START] = (400, {"message": "Named servers are not enabled."})
    hub.answers[DEFAULT] = (202, "")
    launched = await launches.launch("t", "alice", REQUEST, "a.ipynb")
    assert (launched.server, launched.already_running) == ("", False)
    assert launched.url.startswith("/hub-of-ours/user/alice/" if "hub-of-ours" in launched.url else "/user/alice/")
    assert "//" not in launched.url
    assert "/spawn-pending/alice?next=" in launched.pending_url


@pytest.mark.parametrize("pending", [None, "spawn"])
async def test_where_named_servers_are_off_a_server_of_something_else_is_a_conflict(hub: FakeHub, launches: Launches, pending: str | None) -> None:
    hub.answers[START] = (400, {"message": "Named servers are not enabled."})
    hub.answers[DEFAULT] = (400, {"message": "alice is already running"})
    state = {"ready": not pending, "pending": pending}
    hub.answers["GET", "/users/alice"] = (200, {"servers": {"": {**state, "user_options": {"repo": REPO, "ref": "main"}}}})
    assert (await launches.launch("t", "alice", REQUEST, "")).already_running is not bool(pending)
    hub.answers["GET", "/users/alice"] = (200, {"servers": {"": {**state, "user_options": {"repo": REPO, "ref": "other"}}}})
    with pytest.raises(Conflict, match="runs something else"):
        await launches.launch("t", "alice", REQUEST, "")


FORMER = former_server_name(REPO, "main")
START_FORMER = ("POST", f"/users/alice/servers/{FORMER}")


async def test_a_server_by_its_former_name_is_found_again(hub: FakeHub, launches: Launches) -> None:
    hub.answers["GET", "/users/alice"] = (200, {"servers": {FORMER: {"ready": False, "pending": None}}})
    hub.answers[START_FORMER] = (201, "")
    assert (await launches.launch("t", "alice", REQUEST, "")).server == FORMER
    assert [asked.path for asked in starts(hub)] == [START_FORMER[1]]


async def test_a_server_by_its_former_name_that_runs_is_said_to_run(hub: FakeHub, launches: Launches) -> None:
    hub.answers["GET", "/users/alice"] = (200, {"servers": {FORMER: {"ready": True, "pending": None}}})
    hub.answers["POST", f"/users/alice/servers/{FORMER}"] = (400, {"message": f"alice:{FORMER} is already running"})
    launched = await launches.launch("t", "alice", REQUEST, "")
    assert (launched.server, launched.already_running) == (FORMER, True)


async def test_a_hub_that_starts_no_former_names_starts_the_new_one(hub: FakeHub, launches: Launches) -> None:
    hub.answers["GET", "/users/alice"] = (200, {"servers": {FORMER: {"ready": False, "pending": None}}})
    hub.answers[START_FORMER] = (400, {"message": "Starting invalid server_name r is disabled, contact your administrator"})
    hub.answers[START] = (201, "")
    assert (await launches.launch("t", "alice", REQUEST, "")).server == SERVER


async def test_a_person_without_a_server_of_the_former_name_gets_the_new_one(hub: FakeHub, launches: Launches) -> None:
    hub.answers["GET", "/users/alice"] = (200, {"servers": {"of-another-repository": {}}})
    hub.answers[START] = (201, "")
    assert (await launches.launch("t", "alice", REQUEST, "")).server == SERVER


async def test_a_server_that_is_stopping_is_a_conflict(hub: FakeHub, launches: Launches) -> None:
    hub.answers[START] = (400, {"message": "is pending stop"})
    hub.answers["GET", "/users/alice"] = (200, {"servers": {SERVER: {"ready": False, "pending": "stop"}}})
    with pytest.raises(Conflict, match="being stopped"):
        await launches.launch("t", "alice", REQUEST, "")


async def test_a_hub_that_does_not_answer_is_not_taken_for_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(Unavailable, match="did not answer"):
        await Launches(f"http://127.0.0.1:{port}/hub/api", "/hub/", providers()).launch("t", "alice", REQUEST, "")


async def test_a_hub_that_is_too_slow_is_not_taken_for_a_refusal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        launches = Launches(f"http://127.0.0.1:{silent.getsockname()[1]}/hub/api", "/hub/", providers(), timeout_seconds=0.1)
        with pytest.raises(Unavailable, match="did not answer"):
            await launches.launch("t", "alice", REQUEST, "")


async def test_a_name_cannot_lead_to_another_address(hub: FakeHub, launches: Launches) -> None:
    with pytest.raises(NotFound):
        await launches.launch("t", "../a?b#c d/@é", REQUEST, "")
    [asked] = starts(hub)
    assert asked.path == f"/users/..%2Fa%3Fb%23c%20d%2F@%C3%A9/servers/{SERVER}"


async def test_a_hub_with_a_base_url_keeps_it_in_every_address(hub: FakeHub) -> None:
    hub.answers[START] = (201, "")
    launched = await Launches(hub.api_url, "/at/school/hub/", providers()).launch("t", "alice", REQUEST, "")
    assert launched.url == f"/at/school/user/alice/{SERVER}/"
    assert launched.pending_url.startswith(f"/at/school/hub/spawn-pending/alice/{SERVER}?next=%2Fat%2Fschool%2Fuser%2F")


@pytest.mark.parametrize(
    ("request_", "path"),
    [
        (Request("https://sekret-token@github.com/o/r"), ""),
        (Request("https://alice:sekret@example.org/o/r"), ""),
        (Request("file:///etc/passwd"), ""),
        (Request("o/r", "-x"), ""),
        (Request("o/r", "a b"), ""),
        (Request("o/r", provider="nobody"), ""),
        (Request(""), ""),
        (REQUEST, "../x"),
    ],
)
async def test_what_cannot_be_used_never_reaches_the_hub(hub: FakeHub, launches: Launches, request_: Request, path: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        await launches.launch("t", "alice", request_, path)
    assert hub.asked == []
    assert "sekret" not in f"{caught.value.message} {caught.value.hint}"


BAD_PATHS = [
    "../x", "a/../x", "/lab/../../hub", "/%2e%2e/hub", "/..?x", "/x/..#y",
    "//evil.example", "/%2Fevil", "/%2F%2Fevil", "http://evil.example", "javascript:alert(1)", "HTTPS:x",
    "\\\\evil", "/..\\x", "a\nb", "/a%0d%0aSet-Cookie:x", "x" * 1025,
]  # fmt: skip


@pytest.mark.parametrize("path", BAD_PATHS)
def test_a_path_out_of_the_server_is_refused(path: str) -> None:
    with pytest.raises(InvalidRequest):
        check_path(path)


@pytest.mark.parametrize("path", [path for path in BAD_PATHS if "#" not in path])
def test_a_path_that_is_refused_in_a_link_is_refused_in_the_form(path: str) -> None:
    with pytest.raises(Refused):
        options_from_json({"repo": REPO, "path": path})


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ({}, ""),
        ({"urlpath": "lab/tree/x.ipynb"}, "/lab/tree/x.ipynb"),
        ({"urlpath": "/lab"}, "/lab"),
        ({"urlpath": "//evil.example/x"}, "/evil.example/x"),
        ({"urlpath": "/"}, ""),
        ({"filepath": "a/b.ipynb"}, "a/b.ipynb"),
        ({"filepath": "/a/b.ipynb/"}, "a/b.ipynb"),
        ({"labpath": "a/b.ipynb"}, "a/b.ipynb"),
        ({"urlpath": "lab", "filepath": "a"}, "a"),
        ({"urlpath": "lab", "filepath": "a", "labpath": "b"}, "b"),
    ],
)
def test_a_links_query_means_what_it_means_to_binderhub(query: dict[str, str], path: str) -> None:
    assert path_from_query(**({"urlpath": "", "filepath": "", "labpath": ""} | query)) == path


NBGITPULLER = "git-pull?repo=https%3A%2F%2Fgithub.com%2Fo%2Fr&branch=main&urlpath=lab%2Ftree%2Fr%2Fa.ipynb"
# Paths to open as links name them, and where the server opens them.
LANDINGS = {
    # files
    "index.ipynb": "/lab/tree/index.ipynb", "notebooks/first.ipynb": "/lab/tree/notebooks/first.ipynb", "a b.ipynb": "/lab/tree/a%20b.ipynb",
    "./a.ipynb": "/lab/tree/a.ipynb", "a//b.ipynb": "/lab/tree/a/b.ipynb", "ü/é.ipynb": "/lab/tree/%C3%BC/%C3%A9.ipynb",
    "day 1: start.ipynb": "/lab/tree/day%201%3A%20start.ipynb", "12:30.md": "/lab/tree/12%3A30.md", "a:b/c.ipynb": "/lab/tree/a%3Ab/c.ipynb",
    "why?.ipynb": "/lab/tree/why%3F.ipynb", "c#.ipynb": "/lab/tree/c%23.ipynb", "100%.ipynb": "/lab/tree/100%25.ipynb",
    "a+b.ipynb": "/lab/tree/a%2Bb.ipynb", "a&b=c.ipynb": "/lab/tree/a%26b%3Dc.ipynb", "[1] x.ipynb": "/lab/tree/%5B1%5D%20x.ipynb",
    "...ipynb": "/lab/tree/...ipynb", "a..b/c": "/lab/tree/a..b/c", ".hidden": "/lab/tree/.hidden", "~x": "/lab/tree/~x",
    "日本.ipynb": "/lab/tree/%E6%97%A5%E6%9C%AC.ipynb", "a'b.ipynb": "/lab/tree/a%27b.ipynb", 'a"b.ipynb': "/lab/tree/a%22b.ipynb",
    "<b>.ipynb": "/lab/tree/%3Cb%3E.ipynb", "data/": "/lab/tree/data",
    # paths of the server
    "/lab": "/lab", "/tree": "/tree", "/rstudio": "/rstudio", "/rstudio/": "/rstudio/", "/shiny/app/": "/shiny/app/", "/voila": "/voila",
    "/voila/render/a%20b.ipynb": "/voila/render/a%20b.ipynb", "/voila/render/x.ipynb?theme=dark": "/voila/render/x.ipynb?theme=dark",
    "/proxy/8080/": "/proxy/8080/", "/proxy/8501//": "/proxy/8501//", "/proxy/absolute/3000/x": "/proxy/absolute/3000/x",
    "/proxy/localhost:8888/": "/proxy/localhost:8888/", "/vscode": "/vscode", "/vscode/?folder=/home/jovyan/x": "/vscode/?folder=/home/jovyan/x",
    "/desktop": "/desktop", "/desktop/?password=x": "/desktop/?password=x", "/retro/notebooks/a.ipynb": "/retro/notebooks/a.ipynb",
    "/notebooks/a.ipynb": "/notebooks/a.ipynb", "/doc/tree/a.ipynb": "/doc/tree/a.ipynb", "/lab/tree/a.ipynb#Part-1": "/lab/tree/a.ipynb#Part-1",
    "/lab/tree/a.ipynb?factory=Notebook%20Editor": "/lab/tree/a.ipynb?factory=Notebook%20Editor", "/hub/x?y": "/hub/x?y",
    "/lab?path=a.ipynb": "/lab?path=a.ipynb", "/lab/index.html?path=x/y.ipynb": "/lab/index.html?path=x/y.ipynb", "/edit/a.py": "/edit/a.py",
    "/terminals/1": "/terminals/1", "/streamlit/": "/streamlit/", "/pluto/open?path=a.jl": "/pluto/open?path=a.jl",
    "/pluto/open?url=https://example.org/a.jl": "/pluto/open?url=https://example.org/a.jl", f"/{NBGITPULLER}": f"/{NBGITPULLER}",
    "/git-pull?repo=https://github.com/o/r&subPath=a/../b": "/git-pull?repo=https://github.com/o/r&subPath=a/../b",
    "/git-pull?repo=https%3A//h/r%0A": "/git-pull?repo=https%3A//h/r%0A", "/panel/app?x=1;y=2": "/panel/app?x=1;y=2",
    "/user-redirect/x": "/user-redirect/x", "/lab/tree/ü.ipynb": "/lab/tree/%C3%BC.ipynb", "/lab/tree/a b.ipynb": "/lab/tree/a%20b.ipynb",
    "/a?b#c?d#e": "/a?b#c?d#e", "/?": "/?", "/api/contents/x?download=1": "/api/contents/x?download=1",
}  # fmt: skip


@pytest.mark.parametrize("path", LANDINGS)
def test_what_links_open_is_opened_inside_the_server(path: str) -> None:
    assert url_path(check_path(path)) == LANDINGS[path]


def test_a_link_of_nbgitpuller_opens_what_it_says() -> None:
    assert path_from_query(NBGITPULLER, "", "") == f"/{NBGITPULLER}"


@pytest.mark.parametrize("query", [{"urlpath": "http://evil.example"}, {"urlpath": "../x"}, {"filepath": "a/../../x"}, {"labpath": "javascript:x"}])
def test_a_links_query_that_leads_away_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest):
        path_from_query(**({"urlpath": "", "filepath": "", "labpath": ""} | query))


@pytest.mark.parametrize("path", ["", "a b/ü.ipynb", "100%.ipynb", "/lab/tree/a%20b.ipynb?x=1&y=ü", "/proxy/8050/"])
def test_a_path_is_opened_where_the_spawner_opens_it(path: str) -> None:
    assert url_path(path) == options_from_json({"repo": REPO, "path": path}).landing_url
