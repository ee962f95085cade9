"""RepoSpawner in a real hub: the form, links, REST options, the build as progress, failures and cancelling."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from html import unescape
from typing import Any

import httpx
import jinja2
import pytest
import pytest_asyncio
from jupyterhub import orm
from jupyterhub.spawner import SimpleLocalProcessSpawner

from spawner.mixin import RepoSpawner
from spawner.rejection import Rejection
from tests.harness.waiting import until
from tests.spawner.fakes import COMMIT, REPO, FakeBuild, FakeService, Hub, ask_server, make_environment, running_hub, xsrf

# A whole hub runs in here; its warnings are its own.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.asyncio(loop_scope="module")]

EVIL = "<script>alert(1)</script>"


class LittleSpawner(RepoSpawner, SimpleLocalProcessSpawner):
    """Starts the same little server from every image, and remembers which image it was."""

    environment_dir = ""
    used: list[str] = []  # noqa: RUF012  (reset by the fixture)

    def use_image(self, build: Mapping[str, Any]) -> None:
        self.used.append(build["image"])
        self.cmd = [f"{self.environment_dir}/bin/jupyterhub-singleuser"]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Hub, FakeService]]:
    """One hub and one service for all tests, because a hub takes a second to come up."""
    folder = tmp_path_factory.mktemp("hub")
    service = FakeService()
    await service.start()
    settings = {
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1},
        "Spawner": {"consecutive_failure_limit": 5, "start_timeout": 20, "default_url": "/tree"},
        "SimpleLocalProcessSpawner": {"home_dir_template": str(folder / "{username}")},
    }
    environment = make_environment(folder / "environment")
    async with running_hub(folder, LittleSpawner, settings) as hub:
        LittleSpawner.environment_dir = str(environment)
        yield hub, service
    await service.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared: tuple[Hub, FakeService]) -> FakeService:
    """The service, as if it were new."""
    await shared[1].begin_anew()
    return shared[1]


@pytest_asyncio.fixture(loop_scope="module")
async def hub(shared: tuple[Hub, FakeService], service: FakeService) -> AsyncIterator[Hub]:
    """The hub, with nobody in it."""
    LittleSpawner.used = []
    yield shared[0]
    await shared[0].clear()


async def start(hub: Hub, name: str, options: dict[str, Any] | None = None, server: str = "") -> httpx.Response:
    async with hub.api(name) as api:
        path = f"users/{name}/servers/{server}" if server else f"users/{name}/server"
        return await api.post(path, json=options)


async def progress(hub: Hub, name: str, seen: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
    """Return all progress events that a browser sees from now on; they are in `seen` as they come."""
    events = [] if seen is None else seen
    async with hub.api(name) as api, api.stream("GET", f"users/{name}/server/progress") as answer:
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                events.append(json.loads(line[6:]))
    return events


def texts(events: list[dict[str, Any]]) -> list[str]:
    return [str(event.get("message")) for event in events]


def field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return unescape(found[1])


def spawner_of(hub: Hub, name: str, server: str = "") -> Any:
    return hub.user(name).spawners[server]


# --- the form --------------------------------------------------------------------------------------------------------


async def test_a_link_fills_in_the_form_and_starts_nothing(hub: Hub, service: FakeService) -> None:
    async with hub.browser("alice") as browser:
        for place in ("spawn", "spawn/alice", "spawn/alice/other"):
            for prefix in ("", "opt-"):
                link = {f"{prefix}repo": "https://github.com/o/r/tree/main", f"{prefix}path": "a.ipynb"}
                answer = await browser.get(place, params=link)
                assert answer.status_code == 200
                assert (field(answer.text, "repo"), field(answer.text, "ref"), field(answer.text, "path")) == (REPO, "main", "a.ipynb")
    assert service.asks == []
    assert not any(spawner.active for spawner in hub.user("alice").spawners.values())


async def test_a_link_with_anything_else_still_starts_nothing(hub: Hub, service: FakeService) -> None:
    async with hub.browser("alice") as browser:
        answer = await browser.get("spawn", params={"repo": REPO, "image": "evil"})
    assert answer.status_code == 400
    assert "press Start" in answer.text
    assert field(answer.text, "repo") == REPO
    assert service.asks == []
    assert not hub.user("alice").spawner.active


async def test_a_link_with_a_token_is_not_shown_again(hub: Hub) -> None:
    async with hub.browser("alice") as browser:
        answer = await browser.get("spawn", params={"repo": "https://sekret@github.com/o/r"})
    inside = answer.text.partition('id="binder-form"')[2].partition("</form>")[0]
    assert "token or a password" in inside
    assert "sekret" not in inside


@pytest.mark.parametrize("value", ["{{7*7}}", "{% raw %}", "{#x#}", '"><script>alert(1)</script>', "'{{ spawner.api_token }}'"])
async def test_whatever_a_link_says_is_text_in_the_form(hub: Hub, value: str) -> None:
    async with hub.browser("alice") as browser:
        answer = await browser.get("spawn", params={"repo": REPO, "ref": "main", "path": value})
    assert field(answer.text, "path") == value
    assert EVIL not in answer.text.partition('id="binder-form"')[2]


async def test_the_form_stays_the_same_when_it_is_rendered_as_a_template_again(hub: Hub) -> None:
    spawner = hub.add("alice").spawner
    spawner.user_options = {"repo": REPO, "ref": "{{7}}", "path": "{{7*7}}{%x%}.ipynb"}
    text = await spawner.get_options_form()
    again = jinja2.Environment(autoescape=True).from_string(text).render()
    assert again.strip() == text.strip()
    assert field(again, "path") == "{{7*7}}{%x%}.ipynb"


async def test_the_form_tells_the_script_where_everything_is(hub: Hub) -> None:
    spawner = hub.add("alice").spawner
    text = await spawner.get_options_form()
    assert 'data-service="/services/binder/"' in text
    assert 'data-hub="/hub/"' in text
    assert 'data-user="alice"' in text
    assert 'src="/services/binder/static/form.js"' in text


async def test_the_form_says_what_the_service_tells_everybody_and_that_it_is_away(hub: Hub, service: FakeService) -> None:
    service.notices = ["Down at <b>noon</b> {{ 1 }}.", "No new builds are begun at the moment."]
    async with hub.browser("alice") as browser:
        page = (await browser.get("spawn")).text
        assert "Down at &lt;b&gt;noon&lt;/b&gt; &#123;&#123; 1 &#125;&#125;.</div>" in page
        assert "No new builds are begun at the moment.</div>" in page
        await service.stop()
        assert "The build service does not answer. Try again in a minute" in (await browser.get("spawn")).text
    assert "Build for the server alice" not in hub.tokens("alice")


COURSE = {"name": "course", "description": "Statistics {{7}}", "image": "img", "profile": ""}
PICKED = {"repo": "course", "ref": "", "path": "a.ipynb", "provider": "prepared"}


async def test_a_prepared_environment_is_picked_in_the_form_and_shown_again(hub: Hub, service: FakeService) -> None:
    service.prepared = [COURSE, {"name": "lab", "description": "", "image": None}]
    service.on_ask = lambda build: build.ready("img-1")
    async with hub.browser("alice") as browser:
        page = (await browser.get("spawn")).text
        assert [unescape(label) for label in re.findall(r"<option[^>]*>([^<]*)</option>", page)] == [
            "None: a repository of your own choice",
            "course: Statistics {{7}}",
            "lab (not built yet)",
        ]
        data = {"prepared": "course", "repo": "", "ref": "", "path": "a.ipynb"}
        assert (await browser.post("spawn", params=xsrf(browser), data=data)).status_code == 302
        await until(lambda: hub.user("alice").spawner.ready, "the server")
        assert hub.user("alice").spawner.orm_spawner.user_options == PICKED
        assert [body for _, body in service.asks] == [{"repo": "course", "provider": "prepared"}]
        await hub.user("alice").stop()
        page = (await browser.get("spawn")).text
    assert '<option value="course" selected>' in page
    assert field(page, "repo") == ""
    assert 'name="provider"' not in page


async def test_a_link_picks_a_prepared_environment_and_starts_nothing(hub: Hub, service: FakeService) -> None:
    service.prepared = [COURSE]
    async with hub.browser("alice") as browser:
        page = (await browser.get("spawn", params={"repo": "course", "provider": "prepared"})).text
    assert '<option value="course" selected>' in page
    assert not hub.user("alice").spawner.active


async def test_an_environment_and_a_repository_together_are_refused(hub: Hub, service: FakeService) -> None:
    service.prepared = [COURSE]
    async with hub.browser("alice") as browser:
        answer = await browser.post("spawn", params=xsrf(browser), data={"prepared": "course", "repo": REPO, "ref": "", "path": ""})
    assert answer.status_code == 400
    assert "Pick a prepared environment or name a repository, not both." in answer.text
    assert field(answer.text, "repo") == REPO
    assert '<option value="course" selected>' in answer.text


async def test_where_only_prepared_environments_may_be_used_the_form_has_no_other_fields(hub: Hub, service: FakeService) -> None:
    service.only_prepared = True
    async with hub.browser("alice") as browser:
        page = (await browser.get("spawn")).text
        assert "There are no prepared environments yet" in page
        service.prepared = [COURSE]
        page = (await browser.get("spawn")).text
    assert 'id="binder-prepared" name="prepared" required' in page
    assert 'id="binder-repo"' not in page
    assert "None" not in page.partition('id="binder-prepared"')[2].partition("</select>")[0]


async def test_what_was_typed_is_still_there_after_a_refusal(hub: Hub) -> None:
    async with hub.browser("alice") as browser:
        form = {"repo": "not a repo", "ref": "v{1}", "path": "a.ipynb"}
        for place in ("spawn", "spawn/alice/other"):
            answer = await browser.post(place, params=xsrf(browser), data=form)
            assert answer.status_code == 400
            assert "neither begins with a dash nor has spaces" in answer.text
            assert (field(answer.text, "repo"), field(answer.text, "ref"), field(answer.text, "path")) == ("not a repo", "v{1}", "a.ipynb")


async def test_a_token_that_was_typed_is_neither_shown_nor_stored(hub: Hub) -> None:
    async with hub.browser("alice") as browser:
        answer = await browser.post("spawn", params=xsrf(browser), data={"repo": "https://sekret@github.com/o/r", "ref": "", "path": ""})
    assert answer.status_code == 400
    assert "sekret" not in answer.text
    assert "sekret" not in json.dumps(hub.user("alice").spawner.orm_spawner.user_options or {})


async def test_saved_options_are_shown_again_only_while_they_are_valid(hub: Hub) -> None:
    async with hub.browser("alice") as browser:
        stored = hub.user("alice").spawner
        stored.user_options = {"repo": REPO, "ref": "main", "path": "a.ipynb"}
        assert field((await browser.get("spawn")).text, "ref") == "main"
        stored.user_options = {"repo": REPO, "ref": "main", "image": "evil"}
        assert field((await browser.get("spawn")).text, "ref") == ""


async def test_a_form_builds_and_ends_in_a_server(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.ready("img-1")
    async with hub.browser("alice") as browser:
        answer = await browser.post("spawn", params=xsrf(browser), data={"repo": "o/r", "ref": "v{1}", "path": "n/{0.__class__}.ipynb"})
        assert answer.status_code == 302, answer.text
    spawner = spawner_of(hub, "alice")
    await until(lambda: spawner.ready, "the server")
    environment = (await ask_server(spawner.server.url))["environment"]
    assert LittleSpawner.used == ["img-1"]
    assert environment["BINDER_REPO_URL"] == REPO
    assert environment["BINDER_REF"] == "v{1}"
    assert environment["BINDER_COMMIT"] == COMMIT
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/n/%7B0.__class__%7D.ipynb"
    assert spawner.orm_spawner.user_options == {"repo": REPO, "ref": "v{1}", "path": "n/{0.__class__}.ipynb"}
    assert spawner.get_state()["binder"] == {"id": "b1", "image": "img-1"}


async def test_a_server_starts_as_soon_as_its_image_is_told(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.tell("phase", phase="pushing", message="Looking whether a server starts", image="img-2", environment=None)
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: spawner_of(hub, "alice").ready, "the server")
    assert (LittleSpawner.used, service.builds[0].ended, service.withdrawn) == (["img-2"], False, [])


async def test_a_server_that_does_not_start_while_its_image_is_tried_fails_for_the_trials_reason(
    hub: Hub, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: LittleSpawner, build: dict[str, Any]) -> None:
        service.builds[0].fail("The image cannot be used by a hub.", "Install jupyterhub.")
        raise Rejection(422, "The server ended with status 1.")

    service.on_ask = lambda build: build.tell("phase", phase="pushing", message="Looking whether a server starts", image="img-2", environment=None)
    monkeypatch.setattr(LittleSpawner, "use_image", broken)
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
    assert "The image cannot be used by a hub. Install jupyterhub." in str(spawner_of(hub, "alice")._spawn_future.exception())


async def test_no_server_starts_from_an_image_that_was_refused_before(hub: Hub, service: FakeService) -> None:
    def refused(build: FakeBuild) -> None:
        build.tell("phase", phase="pushing", message="Looking whether a server starts", image="img-2", environment=None)
        build.fail("The image cannot be used by a hub.")

    service.on_ask = refused
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
    assert "The image cannot be used by a hub." in str(spawner_of(hub, "alice")._spawn_future.exception())
    assert LittleSpawner.used == []


async def test_the_service_says_where_the_branch_of_a_pages_address_ends(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.ready("img-1")
    async with hub.browser("alice") as browser:
        answer = await browser.post("spawn", params=xsrf(browser), data={"repo": f"{REPO}/blob/feature/x/notebooks/a.ipynb", "ref": "", "path": ""})
        assert answer.status_code == 302, answer.text
    spawner = spawner_of(hub, "alice")
    await until(lambda: spawner.ready, "the server")
    environment = (await ask_server(spawner.server.url))["environment"]
    assert (environment["BINDER_REPO_URL"], environment["BINDER_REF"]) == (REPO, "feature/x")
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/notebooks/a.ipynb"


async def test_a_page_of_a_branch_that_is_gone_is_refused_in_the_services_words(hub: Hub, service: FakeService) -> None:
    async with hub.browser("alice") as browser:
        await browser.post("spawn", params=xsrf(browser), data={"repo": f"{REPO}/blob/gone/a.ipynb", "ref": "", "path": ""})
        await until(lambda: not spawner_of(hub, "alice").pending, "the refusal")
        page = await browser.get("spawn-pending/alice")
    assert "has no such branch" in page.text
    assert service.asks == []


# --- options by REST -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ref", ["{foo}", "{0.__class__}", "{unescaped_username.__class__}", "%(x)s", "$(id)"])
async def test_a_ref_in_braces_does_no_harm(hub: Hub, service: FakeService, ref: str) -> None:
    service.on_ask = lambda build: build.ready()
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO, "ref": ref})
    spawner = spawner_of(hub, "alice")
    await until(lambda: spawner.ready, "the server")
    assert (await ask_server(spawner.server.url))["environment"]["BINDER_REF"] == ref


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (None, "Name a repository"),
        ({}, "Name a repository"),
        ({"repo": REPO, "image": "evil"}, "from an image or from a repository, not from both"),
        ({"repo": REPO, "profile": "big"}, "no such option: profile"),
        ({"repo": REPO, "ref": ["x"]}, "has to be a text"),
        ({"repo": "https://sekret@github.com/o/r"}, "token or a password"),
    ],
)
async def test_bad_options_by_rest_end_in_a_sentence_and_are_forgotten(
    hub: Hub, service: FakeService, options: dict[str, Any] | None, sentence: str
) -> None:
    hub.add("alice")
    await start(hub, "alice", options)
    spawner = spawner_of(hub, "alice")
    await until(lambda: not spawner.pending, "the refusal")
    events = await progress(hub, "alice")
    assert events[-1]["failed"]
    assert sentence in events[-1]["message"]
    assert spawner._spawn_future.exception().status_code == 400
    assert spawner.orm_spawner.user_options == {}
    assert service.asks == []
    assert "sekret" not in json.dumps(events)


async def test_a_hub_that_waits_answers_bad_options_with_400(hub: Hub) -> None:
    hub.app.tornado_application.settings["slow_spawn_timeout"] = 5
    hub.add("alice")
    answer = await start(hub, "alice", {"repo": REPO, "image": "evil"})
    assert answer.status_code == 400
    assert "not from both" in answer.json()["message"]


async def test_a_server_starts_again_from_what_it_was_made_of(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.ready()
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO, "ref": "main", "path": "a.ipynb"})
    await until(lambda: spawner_of(hub, "alice").ready, "the server")
    async with hub.api("alice") as api:
        await api.delete("users/alice/server")
    await until(lambda: not spawner_of(hub, "alice").active, "the stop")
    await start(hub, "alice")
    await until(lambda: spawner_of(hub, "alice").ready, "the server again")
    assert [body["ref"] for _, body in service.asks] == ["main", "main"]
    assert spawner_of(hub, "alice").start_timeout == 20


async def test_without_a_path_the_operators_default_url_stays(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.ready()
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: spawner_of(hub, "alice").ready, "the server")
    environment = (await ask_server(spawner_of(hub, "alice").server.url))["environment"]
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/tree"


# --- the token -------------------------------------------------------------------------------------------------------


async def test_the_service_is_asked_as_the_user_with_a_token_that_is_gone_afterwards(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.asks, "the ask")
    token = service.asks[0][0]["Authorization"].removeprefix("token ")
    async with httpx.AsyncClient(base_url=hub.url, headers={"Authorization": f"token {token}"}) as requester:
        model = (await requester.get("api/user")).json()
        assert model["name"] == "alice"
        assert set(model["scopes"]) >= {"access:services!service=binder", "custom:binder:build"}
        assert not any(scope.startswith(("servers", "tokens", "self")) for scope in model["scopes"])
        service.builds[0].ready()
        await until(lambda: spawner_of(hub, "alice").ready, "the server")
        assert (await requester.get("api/user")).status_code == 403
    spawner = spawner_of(hub, "alice")
    told = json.dumps([await ask_server(spawner.server.url), spawner.get_state(), spawner.user_options])
    assert token not in told
    assert not any(note.startswith("Build for") for note in hub.tokens("alice"))


async def test_who_may_not_build_gets_a_sentence(hub: Hub, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("alice")
    role = orm.Role.find(hub.app.db, "user")
    monkeypatch.setattr(role, "scopes", ["self"])
    hub.app.db.commit()
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the refusal")
    assert spawner_of(hub, "alice")._spawn_future.exception().status_code == 403
    assert "You may not make servers" in (await progress(hub, "alice"))[-1]["message"]
    assert service.asks == []


# --- progress --------------------------------------------------------------------------------------------------------


async def test_two_browsers_both_see_the_whole_event_log(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.asks, "the ask")
    build = service.builds[0]
    build.phase("fetching", "Fetching the repository")
    build.log("first")
    seen_early: list[dict[str, Any]] = []
    seen_late: list[dict[str, Any]] = []
    early = asyncio.create_task(progress(hub, "alice", seen_early))
    await until(lambda: "first" in texts(seen_early), "the first line")
    build.phase("building", "Making the environment")
    build.log("second")
    await until(lambda: "second" in texts(seen_early), "the second line")
    late = asyncio.create_task(progress(hub, "alice", seen_late))
    await until(lambda: "second" in texts(seen_late), "the second line, for the other")
    build.log("third")
    build.ready()
    first, second = await early, await late
    seen = [text for text in texts(first) if text in {"first", "second", "third"}]
    assert seen == ["first", "second", "third"]
    assert texts(first) == texts(second)
    percents = [event["progress"] for event in first]
    assert percents == sorted(percents)
    assert first[-1]["ready"]
    # The other spawner's own progress comes behind the build.
    assert [event["progress"] for event in first if event["message"] == "Spawning server..."] == [90]
    assert texts(first).index("Spawning server...") > texts(first).index("third")


async def test_progress_that_is_asked_for_before_the_start_misses_nothing(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    waiting = asyncio.Event()
    spawner = hub.user("alice").spawner

    async def wait(_: object) -> None:
        await waiting.wait()

    spawner.pre_spawn_hook = wait
    await start(hub, "alice", {"repo": REPO})
    watching = asyncio.create_task(progress(hub, "alice"))
    await asyncio.sleep(0.2)
    waiting.set()
    await until(lambda: service.asks, "the ask")
    service.builds[0].log("line")
    service.builds[0].ready()
    assert "line" in texts(await watching)


async def test_build_output_is_text(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.asks, "the ask")
    seen: list[dict[str, Any]] = []
    watching = asyncio.create_task(progress(hub, "alice", seen))
    build = service.builds[0]
    build.log(f"\x1b[31m{EVIL}\x1b[0m\x07 \x1b]0;title\x07done\x9b\u202e")
    build.log("10%\r20%\r100%")
    build.phase("building", EVIL)
    await until(lambda: "100%" in texts(seen), "the log")
    build.fail(f"{EVIL} failed.", "See <b>there</b>.")
    events = await watching
    assert f"{EVIL} done" in texts(events)
    assert "100%" in texts(events)
    assert [event for event in events if "html_message" in event] == [events[-1]]
    assert events[-1]["failed"]
    assert "<script" not in events[-1]["html_message"]
    assert "<b>" not in events[-1]["html_message"]
    assert '<a href="/services/binder/builds/b1">' in events[-1]["html_message"]
    assert f"{EVIL} failed. See <b>there</b>. The whole log is at /services/binder/builds/b1" in events[-1]["message"]


async def test_of_a_long_log_the_beginning_and_the_end_are_kept(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.asks, "the ask")
    build = service.builds[0]
    for number in range(5000):
        build.events.append(("log", {"text": f"line {number}"}))
    build.log("last line")
    await until(lambda: spawner_of(hub, "alice")._repo_progress._count > 5000, "the log")
    seen: list[dict[str, Any]] = []
    watching = asyncio.create_task(progress(hub, "alice", seen))
    await until(lambda: "last line" in texts(seen), "the last line")
    build.ready()
    messages = texts(await watching)
    left_out = next(text for text in messages if "left out" in text)
    assert "/services/binder/builds/b1" in left_out
    assert len(messages) < 2100
    assert messages.index("line 0") < messages.index(left_out) < messages.index("last line")
    kept = sum(1 for text in messages if text.startswith(("line ", "last line")))
    assert int(left_out.split()[1]) + kept == 5001


# --- failure ---------------------------------------------------------------------------------------------------------


async def test_five_failing_builds_do_not_stop_the_hub(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.fail()
    settings = hub.app.tornado_application.settings
    hub.add("alice")
    for _ in range(6):
        await start(hub, "alice", {"repo": REPO})
        await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
        assert spawner_of(hub, "alice")._spawn_future.exception().status_code == 422
        # The failure is taken back before or after the hub counts it, which depends on the hub.
        await until(lambda: settings["failure_count"] == 0, "the count of failures")
    assert len(service.asks) == 6
    await asyncio.sleep(2.2)  # the hub stops itself after two seconds
    async with hub.browser("bob") as browser:
        assert (await browser.get("home")).status_code == 200


async def test_servers_that_do_not_start_are_counted_as_ever(hub: Hub, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    service.on_ask = lambda build: build.ready()
    monkeypatch.setattr(LittleSpawner, "environment_dir", "/nonexistent")
    hub.add("alice")
    for count in (1, 2):
        await start(hub, "alice", {"repo": REPO})
        await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
        assert hub.app.tornado_application.settings["failure_count"] == count


async def test_a_server_that_the_image_cannot_start_is_a_sentence_and_no_failure_of_the_hub(
    hub: Hub, service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: object) -> None:
        raise Rejection(422, "The image has no server.")

    service.on_ask = lambda build: build.ready()
    monkeypatch.setattr(SimpleLocalProcessSpawner, "start", refuse)
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
    assert "The image has no server." in str(spawner_of(hub, "alice")._spawn_future.exception())
    # The failure is taken back before or after the hub counts it, which depends on the hub.
    await until(lambda: hub.app.tornado_application.settings["failure_count"] == 0, "the count of failures")


@pytest.mark.parametrize(
    ("status", "code", "shown"),
    [
        (404, "ref_not_found", 404),
        (403, "forbidden", 403),
        (429, "too_many", 429),
        (503, "git_server_unavailable", 424),
        (500, "internal_error", 424),
    ],
)
async def test_a_refused_ask_is_the_services_sentence_and_no_failure_of_the_hub(
    hub: Hub, service: FakeService, status: int, code: str, shown: int
) -> None:
    service.refusal = (status, {"error": {"code": code, "message": "There is 100% no such branch.", "hint": "Check it."}}, {"Retry-After": "7"})
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the refusal")
    error = spawner_of(hub, "alice")._spawn_future.exception()
    assert error.status_code == shown
    assert error.jupyterhub_message == "There is 100% no such branch. Check it."
    assert error.headers == {"Retry-After": "7"}
    await until(lambda: hub.app.tornado_application.settings["failure_count"] == 0, "the count of failures")


async def test_a_service_that_is_away_is_a_sentence_and_no_failure_of_the_hub(hub: Hub, service: FakeService) -> None:
    await service.stop()
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the refusal")
    assert "does not answer" in (await progress(hub, "alice"))[-1]["message"]
    await until(lambda: hub.app.tornado_application.settings["failure_count"] == 0, "the count of failures")


async def test_a_start_says_what_the_service_tells_everybody_and_that_it_waits_for_it(hub: Hub, service: FakeService) -> None:
    service.notices = ["Down at noon."]
    service.refusal = (503, {"error": {"code": "service_starting", "message": "The database is away.", "hint": None}}, {})
    hub.add("alice")
    hub.user("alice").spawner.service_patience = 60
    await start(hub, "alice", {"repo": REPO})
    seen: list[dict[str, Any]] = []
    watching = asyncio.create_task(progress(hub, "alice", seen))
    waits = "The build service does not answer: The database is away. Waiting for it."
    await until(lambda: waits in texts(seen) and len(service.asks) > 2, "the wait")
    service.on_ask = lambda build: build.ready()
    service.refusal = None
    await watching
    assert [text for text in texts(seen) if text in {"Down at noon.", waits}] == ["Down at noon.", waits]


async def test_a_build_that_takes_too_long_goes_on_without_the_server(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    hub.user("alice").spawner.build_timeout = 1
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
    assert "still goes on after 1 seconds" in (await progress(hub, "alice"))[-1]["message"]
    assert service.withdrawn == []
    await until(lambda: hub.app.tornado_application.settings["failure_count"] == 0, "the count of failures")


async def test_a_build_may_take_longer_than_the_start_of_the_server(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    spawner = hub.user("alice").spawner
    spawner.start_timeout = 1
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.asks, "the ask")
    assert spawner.start_timeout == 1
    await asyncio.sleep(1.5)
    service.builds[0].ready()
    await until(lambda: not spawner.pending, "the server")
    assert spawner.ready


async def test_a_server_that_does_not_start_is_cut_at_its_own_timeout(hub: Hub, service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(self: object) -> None:
        await asyncio.sleep(60)

    monkeypatch.setattr(SimpleLocalProcessSpawner, "start", hang)
    monkeypatch.setattr("spawner.readiness.LAST_WORD_SECONDS", 0)
    service.on_ask = lambda build: build.ready()
    hub.add("alice")
    spawner = hub.user("alice").spawner
    spawner.start_timeout = spawner.http_timeout = 1
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the timeout")
    assert "The server did not start within 2 seconds." in str(spawner_of(hub, "alice")._spawn_future.exception())
    await until(lambda: hub.app.tornado_application.settings["failure_count"] == 0, "the count of failures")


async def test_a_build_that_somebody_cancelled_says_so(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.end("cancelled", {"code": "cancelled", "message": "Cancelled by bob.", "hint": None})
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: not spawner_of(hub, "alice").pending, "the failure")
    assert "Cancelled by bob. Start it again if you need it." in (await progress(hub, "alice"))[-1]["message"]


# --- cancelling ------------------------------------------------------------------------------------------------------


async def test_cancelling_a_pending_start_tells_the_service(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.resumes, "the following")
    async with hub.api("alice") as api:
        assert (await api.delete("users/alice/server")).status_code in {202, 204}
    await until(lambda: service.withdrawn == ["b1"], "the withdrawal")
    await until(lambda: not hub.user("alice").spawner.pending, "the end of the start")
    assert not any(note.startswith("Build for") for note in hub.tokens("alice"))
    assert LittleSpawner.used == []


async def test_cancelling_while_the_ask_is_on_its_way_tells_the_service(hub: Hub, service: FakeService) -> None:
    service.slow_asks.clear()
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.asks, "the ask")
    async with hub.api("alice") as api:
        leaving = asyncio.create_task(api.delete("users/alice/server"))
        await asyncio.sleep(0.3)
        service.slow_asks.set()
        await leaving
    await until(lambda: service.withdrawn == ["b1"], "the withdrawal")


async def test_a_person_can_start_again_after_cancelling(hub: Hub, service: FakeService) -> None:
    hub.add("alice")
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: service.resumes, "the following")
    async with hub.api("alice") as api:
        await api.delete("users/alice/server")
    await until(lambda: not hub.user("alice").spawner.pending, "the end of the start")
    service.builds[0].ready()
    await start(hub, "alice", {"repo": REPO})
    await until(lambda: spawner_of(hub, "alice").ready, "the server")
    assert spawner_of(hub, "alice").start_timeout == 20


async def test_a_leaf_has_to_say_how_it_uses_an_image() -> None:
    class Forgetful(RepoSpawner, SimpleLocalProcessSpawner):
        """Says nothing."""

    with pytest.raises(NotImplementedError, match="Forgetful"):
        Forgetful().use_image({})
