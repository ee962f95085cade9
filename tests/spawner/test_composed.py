"""The operator's own spawner beside servers from repositories, in real hubs: with the call of `configure` and without."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jupyterhub import orm
from jupyterhub.spawner import LocalProcessSpawner, SimpleLocalProcessSpawner, Spawner
from jupyterhub.utils import random_port
from traitlets import Unicode

from spawner.build_token import SCOPES
from spawner.composed import ComposedSpawner
from spawner.composition import composed_class
from spawner.local.spawner import ProcessSpawner
from tests.harness.waiting import until
from tests.spawner.fakes import COMMIT, REPO, FakeService, Hub, ask_server, make_environment, make_image, running_hub, xsrf

# Whole hubs run in here; their warnings are their own.
pytestmark = [pytest.mark.filterwarnings("default"), pytest.mark.asyncio(loop_scope="module")]

FORM = '<label>Size <select name="size"><option>small</option><option>big</option></select></label> <input name="repo"><input name="path">'


class ProcessesOfTheirs(SimpleLocalProcessSpawner):
    """An operator's class of processes, which can start those of repositories, too."""

    size = Unicode("small")

    def get_env(self) -> dict[str, str]:
        return {**super().get_env(), "THEIR_SIZE": self.size, "THEIR_FILES": self.user_options.get("path", "")}


class UnitsOfTheirs(Spawner):
    """An operator's class that starts servers in its own way, as units of a machine's init system."""

    size = Unicode("small")
    unit = 0
    program: subprocess.Popen[bytes] | None = None  # so that it leaves no zombie

    async def start(self) -> tuple[str, int]:
        self.port = self.port or random_port()
        env = {**self.get_env(), "THEIR_SIZE": self.size, "THEIR_FILES": self.user_options.get("path", "")}
        self.program = subprocess.Popen([*self.cmd, *self.get_args()], env=env, cwd="/")
        self.unit = self.program.pid
        return "127.0.0.1", self.port

    async def poll(self) -> int | None:
        if self.program:
            return self.program.poll()
        return None if self.unit and Path(f"/proc/{self.unit}").exists() else 1

    async def stop(self, now: bool = False) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.unit, signal.SIGKILL)
        if self.program:
            self.program.wait()

    def get_state(self) -> dict[str, Any]:
        return {**super().get_state(), "unit": self.unit}

    def load_state(self, state: dict[str, Any]) -> None:
        super().load_state(state)
        self.unit = state.get("unit", 0)

    def clear_state(self) -> None:
        super().clear_state()
        self.unit, self.program = 0, None


def size_from_form(form: Mapping[str, list[str]]) -> dict[str, str]:
    return {name: values[0] for name, values in form.items() if name in {"size", "path"}}


def apply_size(spawner: Any, options: Mapping[str, str]) -> None:
    spawner.size = options.get("size", "small")


def before_each_start(spawner: Any) -> None:
    spawner.environment["BY_THE_HOOK"] = f"{spawner.user.name} of {spawner.at_the_door}"
    spawner.http_timeout = 29


def at_the_door(spawner: Any, _auth_state: Any) -> None:
    spawner.at_the_door = "the operator's"


@dataclass
class Seen:
    """What a person sees of an ordinary server."""

    form: str
    environment: dict[str, str]
    arguments: list[str]
    cwd: str
    options: Any
    state: set[str]
    progress: list[Any]


@dataclass
class ComposedHub:
    """A hub with the operator's class composed, and what was seen in it without that."""

    hub: Hub
    service: FakeService
    folder: Path
    before: Seen


async def seen(hub: Hub, form_data: Mapping[str, str]) -> Seen:
    """Start alice's server by the form, and stop it."""
    async with hub.browser("alice") as browser:
        page = (await browser.get("spawn")).text
        answer = await browser.post("spawn", params=xsrf(browser), data=dict(form_data))
        assert answer.status_code == 302, answer.text
        spawner = hub.user("alice").spawner
        progress = [event async for event in spawner.progress()]
        await until(lambda: spawner.ready, "the server")
        told = await ask_server(spawner.server.url)
        options, state = spawner.orm_spawner.user_options, set(spawner.get_state())
        await hub.user("alice").stop()
    form = page.partition('id="spawn_form"')[2].partition("</form>")[0]
    return Seen(_neutral(form), _neutral(told["environment"]), told["arguments"], told["cwd"], options, state, progress)


def _neutral(value: Any) -> Any:
    """Return a text, or the texts in a dict, without what is another one in every hub."""
    if isinstance(value, dict):
        return {name: "a secret" if name.endswith("TOKEN") else _neutral(text) for name, text in value.items()}
    return re.sub(r"127\.0\.0\.1:\d+|_xsrf=[^\"&]*|/before/|/after/", "", value)


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=[ProcessesOfTheirs, UnitsOfTheirs])
async def composed_hub(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[ComposedHub]:
    """One hub of each kind of class for all tests."""
    folder = tmp_path_factory.mktemp("hub")
    service = FakeService()
    await service.start()
    environment = make_environment(folder / "environment")
    (folder / "content").mkdir()
    make_image(folder / "images", "img", environment, folder / "content", COMMIT)
    builders = {"name": "builders", "scopes": list(SCOPES), "groups": ["builders"]}
    grouped = {"groups": ["builders"], "spawner_override": {"environment": {"BY_THE_GROUP": "builders"}}}
    settings = {
        "JupyterHub": {
            "load_roles": [{"name": "user", "scopes": ["self"]}, builders],
            "load_groups": {"builders": {"users": []}},
        },
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1, "cmd": ["jupyterhub-singleuser"], "notebook_dir": ""},
        "ProcessSpawner": {"images_dir": str(folder / "images"), "users_dir": str(folder / "people")},
        "SimpleLocalProcessSpawner": {"home_dir_template": str(folder / "{username}")},
        "Spawner": {
            "cmd": [f"{environment}/bin/jupyterhub-singleuser"],
            "args": ["--of-the-operator"],
            "environment": {"OF_THE_OPERATOR": "yes"},
            "notebook_dir": "/their/notebooks",
            "start_timeout": 20,
            "options_form": FORM,
            "options_from_form": size_from_form,
            "apply_user_options": apply_size,
            "pre_spawn_hook": before_each_start,
            "auth_state_hook": at_the_door,
            "group_overrides": {"builders": grouped},
        },
    }
    (folder / "before").mkdir()
    (folder / "after").mkdir()
    async with running_hub(folder / "before", request.param, settings) as hub:
        add(hub, "alice")
        before = await seen(hub, {"size": "big", "repo": "theirs", "path": "theirs, too"})
        await hub.clear()
    async with running_hub(folder / "after", composed_class(request.param, ProcessSpawner), settings) as hub:
        yield ComposedHub(hub, service, folder, before)
    await service.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def service(composed_hub: ComposedHub) -> FakeService:
    await composed_hub.service.begin_anew()
    composed_hub.service.on_ask = lambda build: build.ready()
    return composed_hub.service


@pytest_asyncio.fixture(loop_scope="module")
async def hub(composed_hub: ComposedHub, service: FakeService) -> AsyncIterator[Hub]:
    """The composed hub: alice may build, eve may not."""
    add(composed_hub.hub, "alice")
    composed_hub.hub.add("eve")
    yield composed_hub.hub
    await composed_hub.hub.clear()


def add(hub: Hub, name: str) -> None:
    """Add a person who may build."""
    group = orm.Group.find(hub.app.db, "builders")
    hub.add(name).orm_user.groups.append(group)
    hub.app.db.commit()


async def started(hub: Hub, start: Callable[[], Awaitable[Any]], name: str = "alice") -> dict[str, Any]:
    """Start a server and return what it says about itself."""
    await start()
    spawner = hub.user(name).spawner
    await until(lambda: not spawner.pending, "the end of a start")
    assert spawner.ready, spawner._spawn_future.exception() if spawner._spawn_future else "not started"
    return await ask_server(spawner.server.url)


def post(hub: Hub, options: Any, name: str = "alice") -> Callable[[], Awaitable[Any]]:
    async def ask() -> None:
        async with hub.api(name) as api:
            reply = await api.post(f"users/{name}/server", json=options)
            assert reply.status_code in {201, 202}, reply.text

    return ask


def field(page: str, name: str) -> str:
    found = re.search(rf'id="binder-{name}"[^>]*value="([^"]*)"', page)
    assert found, page
    return found[1]


async def test_who_uses_no_repository_sees_the_same_but_for_the_section(hub: Hub, composed_hub: ComposedHub) -> None:
    after = await seen(hub, {"size": "big", "repo": "theirs", "path": "theirs, too", "binder-repo": " ", "binder-ref": ""})
    section = after.form[after.form.index('<fieldset class="mt-4">') :].partition("</script>")[0] + "</script>"
    assert 'name="binder-repo"' in section
    assert " required" not in section
    after.form = after.form.replace(section, "")
    assert after == composed_hub.before
    assert composed_hub.service.asks == []


async def test_who_may_not_build_sees_what_was_there_before_and_starts_it(hub: Hub, composed_hub: ComposedHub) -> None:
    async with hub.browser("eve") as browser:
        assert "binder-form" not in (await browser.get("spawn")).text
        told = await started(hub, lambda: browser.post("spawn", params=xsrf(browser), data={"size": "big"}), "eve")
        assert told["environment"]["THEIR_SIZE"] == "big"
        await hub.user("eve").stop()
        link = (await browser.get("spawn", params={"repo": REPO})).text
        assert field(link, "repo") == REPO, "a link is not lost"
        await browser.post("spawn", params=xsrf(browser), data={"binder-repo": REPO})
        await until(lambda: not hub.user("eve").spawner.pending, "the refusal")
        assert "Ask an administrator of this hub for the right" in (await browser.get("spawn-pending/eve")).text


async def test_a_repository_in_the_section_becomes_a_server_with_what_hub_and_hooks_give_to_every_server(hub: Hub, composed_hub: ComposedHub) -> None:
    async with hub.browser("alice") as browser:
        form = {"size": "big", "repo": "theirs", "binder-repo": REPO, "binder-ref": "v1", "binder-path": "a.ipynb"}
        told = await started(hub, lambda: browser.post("spawn", params=xsrf(browser), data=form))
        environment = told["environment"]
        assert Path(told["cwd"]).is_relative_to(composed_hub.folder / "people" / "alice")
        assert environment["JUPYTERHUB_ROOT_DIR"] == told["cwd"]
        assert environment["BINDER_REF"] == "v1"
        assert environment["OF_THE_OPERATOR"] == "yes"
        assert environment["BY_THE_HOOK"] == "alice of the operator's"
        assert environment["BY_THE_GROUP"] == "builders"
        assert environment.get("THEIR_SIZE") == ("small" if isinstance(hub.user("alice").spawner, SimpleLocalProcessSpawner) else None)
        spawner = hub.user("alice").spawner
        assert spawner.orm_spawner.user_options == {"repo": REPO, "ref": "v1", "path": "a.ipynb"}
        assert spawner.get_state()["binder"] == {"id": "b1", "image": "img"}
        assert spawner._repository.server is spawner.server
        await hub.user("alice").stop()
        assert "binder" not in spawner.get_state()
        assert field((await browser.get("spawn")).text, "repo") == REPO, "as the hub shows what was started last"


async def test_kinds_of_servers_follow_each_other_and_each_is_stopped_by_its_own(hub: Hub, composed_hub: ComposedHub) -> None:
    for options in ({"size": "big"}, {"repo": REPO}, {"size": "small"}, {"repo": REPO}):
        told = await started(hub, post(hub, options))
        assert ("BINDER_REPO_URL" in told["environment"]) is ("repo" in options)
        assert await hub.user("alice").spawner.poll() is None
        await hub.user("alice").stop()
        await until(lambda pid=told["pid"]: not _runs(pid), "the end of the process")


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_restarted_hub_knows_whose_a_running_server_is(hub: Hub) -> None:
    for options in ({"size": "big"}, {"repo": REPO}):
        told = await started(hub, post(hub, options))
        spawner = hub.user("alice").spawner
        stored = json.loads(json.dumps(spawner.get_state()))
        again = type(spawner)(**spawner._given)
        again.load_state(stored)
        assert await again.poll() is None
        assert again.get_state() == stored
        plain = type(spawner).operators_class(**spawner._given)
        plain.load_state(stored)
        adopted = await plain.poll() is None
        assert adopted is ("repo" not in options or isinstance(plain, LocalProcessSpawner)), "going back loses only what that class cannot know"
        await hub.user("alice").stop()
        assert not _runs(told["pid"])


async def test_a_link_with_a_repository_only_fills_in_the_section_and_others_are_the_operators(hub: Hub, service: FakeService) -> None:
    async with hub.browser("alice") as browser:
        page = await browser.get("spawn", params={"repo": REPO, "ref": "v1", "size": "big"})
        assert (page.status_code, field(page.text, "repo"), field(page.text, "ref")) == (400, REPO, "v1")
        assert "press Start" in page.text
        assert not hub.user("alice").spawner.active
        told = await started(hub, lambda: browser.get("spawn", params={"size": "big"}))
        assert told["environment"]["THEIR_SIZE"] == "big"
    assert service.asks == []


async def test_a_hub_without_a_form_starts_without_asking_unless_there_is_a_repository(hub: Hub) -> None:
    for name in ("alice", "eve"):
        hub.user(name).spawner.options_form = ""
    async with hub.browser("alice") as browser:
        page = (await browser.get("spawn", params={"repo": REPO})).text
        assert field(page, "repo") == REPO
        assert "Size" not in page
        await started(hub, lambda: browser.get("spawn"))
        await hub.user("alice").stop()
        refused = await browser.post("spawn", params=xsrf(browser), data={"binder-repo": "not a repo"})
        assert (refused.status_code, field(refused.text, "repo")) == (400, "not a repo")
        await started(hub, lambda: browser.post("spawn", params=xsrf(browser), data={"binder-repo": REPO}))
        await hub.user("alice").stop()
        assert field((await browser.get("spawn")).text, "repo") == REPO, "it does not start again by itself"
        told = await started(hub, lambda: browser.post("spawn", params=xsrf(browser), data={"binder-repo": ""}))
        assert "BINDER_REPO_URL" not in told["environment"]


@pytest.mark.parametrize(
    ("options", "sentence"), [({"repo": 7}, "text"), ({"repo": ""}, "address"), ({"repo": REPO, "size": "big"}, "no such option: size")]
)
async def test_options_with_a_repository_are_checked_as_ever(hub: Hub, options: dict[str, Any], sentence: str) -> None:
    await post(hub, options)()
    spawner = hub.user("alice").spawner
    await until(lambda: not spawner.pending, "the refusal")
    assert sentence in str(spawner._spawn_future.exception())


async def test_a_build_is_the_progress_of_a_start_and_has_its_own_time(hub: Hub, service: FakeService) -> None:
    service.on_ask = lambda build: build.tell("log", text="fetching")
    await post(hub, {"repo": REPO})()
    spawner = hub.user("alice").spawner
    await until(lambda: service.builds, "the build")
    assert spawner.start_timeout == 20
    service.builds[0].ready()
    assert any("fetching" in str(event.get("message")) for event in [event async for event in spawner.progress()])
    await until(lambda: spawner.ready, "the server")


async def test_the_home_of_a_deleted_account_is_given_up(hub: Hub) -> None:
    await started(hub, post(hub, {"repo": REPO}))
    user = hub.user("alice")
    await user.stop()
    repository = user.spawner._repository
    repository.deleted_homes = "remove"
    assert Path(repository.home_dir).exists()
    await user.delete_spawners()
    assert not Path(repository.home_dir).exists()


async def test_what_starts_as_the_mode_does_starts_repositories_and_what_does_not_stays_apart() -> None:
    class OwnStart(LocalProcessSpawner):
        async def start(self) -> Any:
            return await super().start()

    apart = (LocalProcessSpawner, SimpleLocalProcessSpawner, OwnStart, UnitsOfTheirs)
    for theirs in (*apart, ProcessesOfTheirs):
        made: Any = composed_class(theirs, ProcessSpawner)
        assert issubclass(made, ComposedSpawner)
        assert issubclass(made, theirs)
        assert (made.repo_class is ProcessSpawner) is (theirs in apart)
        assert issubclass(composed_class(theirs, ProcessSpawner, required=True), ProcessSpawner)
    with pytest.raises(ValueError, match="ComposedUnitsOfTheirs has repositories already"):
        composed_class(composed_class(UnitsOfTheirs, ProcessSpawner), ProcessSpawner)
