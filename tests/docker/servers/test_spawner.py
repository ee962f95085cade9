"""DockerRepoSpawner in a real hub, with a real engine: containers, homes, limits, failures; images are built by hand."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from spawner.docker.spawner import DockerRepoSpawner
from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.registries import OwnRegistry
from tests.harness.waiting import until
from tests.spawner.fakes import REPO, FakeService, Hub, running_hub, xsrf
from tests.spawner.servers import START_SECONDS, Servers

pytestmark = [
    pytest.mark.skipif(bool(reason_to_skip()), reason=reason_to_skip()),
    pytest.mark.filterwarnings("default"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Hub, FakeService]]:
    """One hub and one service for all tests."""
    service = FakeService()
    await service.start()
    settings = {
        "RepoSpawner": {"binder_url": service.url, "service_patience": 1},
        "Spawner": {"consecutive_failure_limit": 5, "start_timeout": START_SECONDS, "default_url": "/tree"},
        "DockerRepoSpawner": {"extra_create_kwargs": {"labels": {"operators": "own-{username}"}}, "extra_host_config": {"shm_size": 2**20}},
    }
    async with running_hub(tmp_path_factory.mktemp("hub"), DockerRepoSpawner, settings) as hub:
        yield hub, service
    await service.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def service(shared: tuple[Hub, FakeService]) -> FakeService:
    """The service, as if it were new."""
    await shared[1].begin_anew()
    return shared[1]


@pytest_asyncio.fixture(loop_scope="module")
async def servers(
    shared: tuple[Hub, FakeService], service: FakeService, test_engine: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Servers]:
    """alice in the hub, whose containers and volumes bear the test's mark."""
    monkeypatch.setitem(shared[0].app.config.DockerRepoSpawner, "prefix", test_engine.mark)
    yield Servers(shared[0], service)
    await shared[0].clear()


Build = Callable[..., str]


@pytest.fixture
def build(test_engine: TestEngine, fake_image: str) -> Build:
    """Builds images of a test's own on top of the fake server's: ``build(dockerfile, files)``."""
    count = iter(range(100))

    def build(dockerfile: str, files: dict[str, str | bytes] | None = None) -> str:
        return test_engine.build(f"{test_engine.mark}-image:{next(count)}", f"FROM {fake_image}\n{dockerfile}", files)

    return build


@pytest.fixture
def image(build: Build) -> str:
    """An image with content in its working directory, as most images have it."""
    return build("COPY a.txt /home/jovyan/\nUSER jovyan\n", {"a.txt": "theirs"})


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


class Commits:
    """Images with a shallow checkout of each commit, owned by another user than the server's, as some images have it."""

    def __init__(self, folder: Path, engine: TestEngine, fake_image: str) -> None:
        self.folder, self.engine, self.fake_image = folder, engine, fake_image
        git(folder, "init", "-q")

    def add(self, **files: str) -> tuple[str, str]:
        """Commit files (``a_txt`` is ``a.txt``); return an image with the commit's content and the commit."""
        for name, text in files.items():
            (self.folder / name.replace("_", ".")).write_text(text)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", "change")
        commit = git(self.folder, "rev-parse", "HEAD")
        git(self.folder, "clone", "-q", "--depth=1", f"file://{self.folder}", "checkout")
        packed = subprocess.run(["tar", "-C", "checkout", "-c", "."], cwd=self.folder, check=True, capture_output=True).stdout
        subprocess.run(["rm", "-r", "checkout"], cwd=self.folder, check=True)
        dockerfile = f"FROM {self.fake_image}\nADD content.tar /srv/repo/\nENV REPO_DIR=/srv/repo\nUSER jovyan\n"
        return self.engine.build(f"{self.engine.mark}-image:{commit[:7]}", dockerfile, {"content.tar": packed}), commit


@pytest.fixture
def commits(tmp_path: Path, test_engine: TestEngine, fake_image: str) -> Commits:
    return Commits(tmp_path, test_engine, fake_image)


# --- a server --------------------------------------------------------------------------------------------------------


async def test_a_server_runs_in_a_container_that_says_what_it_is_for(servers: Servers, image: str, test_engine: TestEngine) -> None:
    told = await servers.started(image, ref="v{1}", path="n/{0.__class__}.ipynb")
    assert told["environment"]["BINDER_REF"] == "v{1}"
    assert told["environment"]["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/n/%7B0.__class__%7D.ipynb"
    container = test_engine.client.inspect_container(f"{test_engine.mark}-alice")
    labels = container["Config"]["Labels"]
    ours = {name.removeprefix("binder."): text for name, text in labels.items() if name.startswith("binder.")}
    assert ours == {"user": "alice", "server": "", "build": "b1", "repository": REPO, "commit": servers.service.builds[0].commit}
    assert labels["operators"] == "own-alice"
    assert container["HostConfig"]["ShmSize"] == 2**20
    [[binding]] = [ports for ports in container["NetworkSettings"]["Ports"].values() if ports]
    assert binding["HostIp"] == "127.0.0.1"


async def test_a_server_has_no_privileges(servers: Servers, image: str, test_engine: TestEngine) -> None:
    told = await servers.started(image)
    status = dict(line.split(":\t", 1) for line in told["status"].splitlines() if ":\t" in line)
    assert (status["NoNewPrivs"], int(status["CapBnd"], 16), told["uid"]) == ("1", 0, 1000)
    container = test_engine.client.inspect_container(f"{test_engine.mark}-alice")
    assert container["HostConfig"]["Privileged"] is False
    assert [mount["Destination"] for mount in container["Mounts"]] == ["/home/person"]


async def test_an_image_whose_user_is_root_starts_without_privileges_as_well(servers: Servers, build: Build) -> None:
    told = await servers.started(build("WORKDIR /srv/content\nCOPY a.txt .\nUSER root\n", {"a.txt": "theirs"}))
    assert (told["uid"], told["arguments"][1:], told["files"]) == (0, ["--allow-root"], {"a.txt": "theirs"})
    assert "CapBnd:\t0000000000000000" in told["status"]


@pytest.mark.parametrize("text", ["{foo}", "{0.__class__}", "{raw_username.__class__}", "$(id)", "`id`", "';id;'", '"${HOME}"'])
async def test_a_ref_and_a_path_that_look_like_code_do_no_harm(servers: Servers, image: str, test_engine: TestEngine, text: str) -> None:
    repo = f"https://git.example.org/o/{text}"
    told = await servers.started(image, repo=repo, ref=text, path=f"{text}.ipynb")
    assert (told["environment"]["BINDER_REPO_URL"], told["environment"]["BINDER_REF"]) == (repo, text)
    assert told["files"]["a.txt"] == "theirs"
    assert test_engine.client.inspect_container(f"{test_engine.mark}-alice")["Config"]["Labels"]["binder.repository"] == repo


async def test_stopping_removes_the_container(servers: Servers, image: str, test_engine: TestEngine) -> None:
    await servers.started(image)
    await servers.started(image, "second")
    assert test_engine.containers() == [f"{test_engine.mark}-alice", f"{test_engine.mark}-alice--second"]
    await servers.stop()
    await servers.stop("second")
    assert test_engine.containers() == []


# --- the home --------------------------------------------------------------------------------------------------------


async def test_the_content_is_there_although_the_home_is_a_volume_and_stays_as_the_person_left_it(
    servers: Servers, image: str, build: Build, test_engine: TestEngine
) -> None:
    told = await servers.started(image)
    assert told["environment"]["HOME"] == "/home/person"
    assert told["cwd"].startswith("/home/person/default/r-")
    assert told["files"]["a.txt"] == "theirs"
    command = f"echo mine > {told['cwd']}/a.txt; echo mine > {told['cwd']}/new.txt"
    test_engine.in_container(f"{test_engine.mark}-alice", "sh", "-c", command, user="1000")
    await servers.stop()
    again = await servers.started(build("COPY a.txt /home/jovyan/\nUSER jovyan\n", {"a.txt": "newer"}))
    assert again["cwd"] == told["cwd"]
    assert [again["files"][name] for name in ("a.txt", "new.txt")] == ["mine\n", "mine\n"]


async def test_who_takes_the_name_of_a_deleted_account_gets_a_home_of_their_own(
    servers: Servers, image: str, test_engine: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = await servers.started(image)
    test_engine.in_container(f"{test_engine.mark}-alice", "sh", "-c", f"echo secret > {told['cwd']}/new.txt", user="1000")
    await servers.stop()
    await servers.hub.clear()
    monkeypatch.setitem(servers.hub.app.config.DockerRepoSpawner, "deleted_homes", "remove")
    servers.hub.add("alice")
    again = await servers.started(image)
    assert (again["cwd"], "new.txt" in again["files"]) == (told["cwd"], False)
    assert any("earlier account named alice" in line for line in servers.told)
    assert len(volumes_of(test_engine)) == 2
    await servers.stop()
    await servers.hub.user("alice").delete_spawners()
    assert volumes_of(test_engine) == [f"{test_engine.mark}-home-alice"], "the earlier account's stays"


def volumes_of(engine: TestEngine) -> list[str]:
    return [volume["Name"] for volume in engine.client.volumes(filters={"name": engine.mark})["Volumes"] or ()]


async def test_every_server_and_every_repository_has_a_copy_of_its_own_in_the_one_home(servers: Servers, image: str) -> None:
    folders = [(await servers.started(image, server, repo=f"{REPO}{more}"))["cwd"] for server, more in [("", ""), ("a", ""), ("b", "2")]]
    assert len(set(folders)) == 3
    assert {Path(folder).parent.name for folder in folders} == {"default", "a", "b"}


async def test_images_with_different_users_each_have_a_home_that_they_can_write_to(
    servers: Servers, image: str, build: Build, test_engine: TestEngine
) -> None:
    other = build("RUN useradd -m -u 1001 worker\nCOPY --chown=1001 a.txt /home/worker/\nUSER worker\nWORKDIR /home/worker\n", {"a.txt": "worker's"})
    container = f"{test_engine.mark}-alice"
    write = "mkdir -p ~/.local && echo x >> ~/.local/x && cat ~/.local/x | wc -l"
    for made_of, uid, home, lines in ((image, 1000, "", 1), (other, 1001, "/user-1001", 1), (image, 1000, "", 2)):
        told = await servers.started(made_of)
        assert (told["uid"], told["environment"]["HOME"]) == (uid, f"/home/person{home}")
        assert told["cwd"].startswith(f"/home/person{home}/default/")
        assert told["files"]["a.txt"] == ("worker's" if home else "theirs")
        in_home = f"export HOME={told['environment']['HOME']}; {write}"
        assert test_engine.in_container(container, "sh", "-c", in_home, user=str(uid)).strip() == str(lines)
        await servers.stop()


async def test_what_an_image_has_in_its_home_is_seen_behind_what_the_person_has(servers: Servers, build: Build, test_engine: TestEngine) -> None:
    made = "RUN mkdir -p .local/lib/python3.11/site-packages .local/bin .config data && echo theirs | tee .config/tool > data/one\n"
    told = await servers.started(build(f"USER jovyan\nWORKDIR /home/jovyan\n{made}"))
    seen = told["environment"]
    assert seen["JUPYTER_PATH"] == "/home/person/.local/share/jupyter:/home/jovyan/.local/share/jupyter"
    assert seen["JUPYTER_CONFIG_PATH"] == f"/home/person/.jupyter:{told['cwd']}/.jupyter:/home/jovyan/.jupyter"
    assert seen["PYTHONPATH"] == ":".join(f"/home/{whose}/.local/lib/python3.11/site-packages" for whose in ("person", "jovyan"))
    assert seen["PATH"].endswith(":/home/jovyan/.local/bin")
    look = "cd /home/person && echo mine > .bashrc && cat .config/tool data/one && readlink data"
    found = test_engine.in_container(f"{test_engine.mark}-alice", "sh", "-c", look, user="1000")
    assert found.split() == ["theirs", "theirs", f"{told['cwd']}/data"]
    await servers.stop()
    newer = f"{made}RUN echo newer | tee .bashrc > .config/tool\n"
    await servers.started(build(f"USER jovyan\nWORKDIR /home/jovyan\n{newer}"))
    found = test_engine.in_container(f"{test_engine.mark}-alice", "sh", "-c", "cat /home/person/.config/tool /home/person/.bashrc", user="1000")
    assert found.split() == ["newer", "mine"]


async def test_an_untouched_copy_follows_the_repository_and_a_changed_one_stays(servers: Servers, commits: Commits, test_engine: TestEngine) -> None:
    told = await servers.started(*_image_and_commit(commits.add(a_txt="one")))
    assert told["files"]["a.txt"] == "one"
    assert f"Copied the repository to {told['cwd']}." in servers.told
    await servers.stop()
    image, newer = commits.add(a_txt="two", b_txt="new")
    told = await servers.started(image, commit=newer)
    assert f"Your copy was untouched, so it was brought to commit {newer}." in servers.told
    assert [told["files"][name] for name in ("a.txt", "b.txt")] == ["two", "new"]
    assert git_in(test_engine, told["cwd"], "rev-parse", "HEAD") == newer
    test_engine.in_container(f"{test_engine.mark}-alice", "sh", "-c", f"echo mine > {told['cwd']}/a.txt", user="1000")
    await servers.stop()
    image, newest = commits.add(a_txt="three", c_txt="c")
    told = await servers.started(image, commit=newest)
    assert told["files"]["a.txt"] == "mine\n"
    assert "c.txt" not in told["files"]
    assert git_in(test_engine, told["cwd"], "rev-parse", "HEAD") == newer
    assert "You have changed files, so your copy stays as it is." in servers.told


def _image_and_commit(made: tuple[str, str]) -> tuple[str, str, str]:
    return made[0], "", made[1]


def git_in(engine: TestEngine, folder: str, *arguments: str) -> str:
    return engine.in_container(f"{engine.mark}-alice", "git", "-C", folder, *arguments, user="1000").strip()


async def test_a_copy_needs_no_git_in_the_image(servers: Servers, commits: Commits, test_engine: TestEngine) -> None:
    image, commit = commits.add(a_txt="one")
    bare = test_engine.build(f"{test_engine.mark}-image:bare", f"FROM {image}\nUSER root\nRUN rm /usr/bin/git\nUSER jovyan\n")
    for _ in range(2):
        assert (await servers.started(bare, commit=commit))["files"]["a.txt"] == "one"
        await servers.stop()


async def test_content_that_cannot_be_copied_is_worked_in_where_it_is(servers: Servers, build: Build, test_engine: TestEngine) -> None:
    files: dict[str, str | bytes] = {"a.txt": "theirs", "b.txt": "secret"}
    told = await servers.started(build("WORKDIR /srv/content\nCOPY a.txt b.txt ./\nRUN chmod 0 b.txt && chmod 666 a.txt\nUSER jovyan\n", files))
    assert told["cwd"] == "/srv/content"
    assert "could not be copied" in test_engine.client.logs(f"{test_engine.mark}-alice").decode()


async def test_without_a_home_that_stays_a_server_works_in_the_images_own_content(
    servers: Servers, image: str, test_engine: TestEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(servers.hub.app.config.DockerRepoSpawner, "home_volume", "")
    told = await servers.started(image)
    assert (told["cwd"], told["environment"]["HOME"], told["files"]["a.txt"]) == ("/home/jovyan", "/home/jovyan", "theirs")
    assert test_engine.client.inspect_container(f"{test_engine.mark}-alice")["Mounts"] == []


# --- choices and limits ----------------------------------------------------------------------------------------------


@pytest.fixture
def choices(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(servers.hub.app.config.DockerRepoSpawner, "resource_choices", {"memory": ["256M", "512M"], "cpu": [0.5, 1]})


def limits(engine: TestEngine) -> tuple[int, float]:
    host = engine.client.inspect_container(f"{engine.mark}-alice")["HostConfig"]
    return host["Memory"], host["CpuQuota"] / (host["CpuPeriod"] or 1)


@pytest.mark.usefixtures("choices")
async def test_people_choose_from_what_the_operator_offers(servers: Servers, image: str, test_engine: TestEngine) -> None:
    await servers.started(image)
    assert limits(test_engine) == (256 * 2**20, 0.5)
    await servers.stop()
    await servers.started(image, memory="512M", cpu="1")
    assert limits(test_engine) == (512 * 2**20, 1)
    assert servers.spawner().orm_spawner.user_options == {"repo": REPO, "memory": "512M", "cpu": "1"}


@pytest.mark.usefixtures("choices")
@pytest.mark.parametrize("more", [{"memory": "999G"}, {"cpu": 1}, {"memory": ["256M"]}, {"disk": "1G"}, {"image": "evil", "memory": "256M"}])
async def test_what_is_not_offered_is_refused(servers: Servers, more: dict[str, Any]) -> None:
    servers.hub.app.tornado_application.settings["slow_spawn_timeout"] = 5
    async with servers.hub.api("alice") as api:
        answer = await api.post("users/alice/server", json={"repo": REPO, **more})
    assert answer.status_code == 400
    assert servers.service.asks == []


@pytest.mark.usefixtures("choices")
async def test_the_form_shows_what_is_offered_and_keeps_what_was_chosen(servers: Servers, image: str, test_engine: TestEngine) -> None:
    servers.service.on_ask = lambda build: build.ready(image)
    async with servers.hub.browser("alice") as browser:
        page = (await browser.get("spawn", follow_redirects=True)).text
        assert "<option>256M</option>" in page
        answer = await browser.post("spawn", params=xsrf(browser), data={"repo": REPO, "ref": "", "path": "", "memory": "999G"})
        assert "999G is not offered for memory" in answer.text
        assert "selected" not in answer.text.partition("<select")[2].partition("</select>")[0]
        answer = await browser.post("spawn", params=xsrf(browser), data={"repo": REPO, "ref": "", "path": "", "memory": "512M", "cpu": "1"})
        assert answer.status_code == 302, answer.text
    await until(lambda: servers.spawner().ready, "the server")
    assert limits(test_engine) == (512 * 2**20, 1)


async def test_without_choices_memory_and_processors_are_no_options(servers: Servers) -> None:
    servers.hub.app.tornado_application.settings["slow_spawn_timeout"] = 5
    async with servers.hub.api("alice") as api:
        answer = await api.post("users/alice/server", json={"repo": REPO, "memory": "256M"})
    assert (answer.status_code, "no such option: memory" in answer.text) == (400, True)


# --- images ----------------------------------------------------------------------------------------------------------


async def test_an_image_in_a_registry_is_pulled_by_its_digest_and_the_pull_is_told(
    servers: Servers, image: str, test_engine: TestEngine, test_registry: str
) -> None:
    reference = test_engine.push(image, test_registry)
    told: list[str] = []
    spawner = servers.spawner()
    spawner_tell, spawner.tell = spawner.tell, told.append  # type: ignore[method-assign]  # to hear it
    assert (await servers.started(reference))["files"]["a.txt"] == "theirs"
    spawner.tell = spawner_tell  # type: ignore[method-assign]
    assert told[0] == "Pulling the image."
    assert all("layers" in line for line in told[1:])
    assert len(told) < 20
    await servers.stop()
    await servers.started(reference)
    assert test_engine.client.inspect_container(f"{test_engine.mark}-alice")["Config"]["Image"] == reference


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[OwnRegistry]:
    """A registry with a login."""
    with OwnRegistry(tmp_path / "registry", login=("hub", "sekret")).running() as registry:
        yield registry


Logins = tuple[dict[str, Any] | None, list[dict[str, Any]]]
LOGIN = {"username": "hub", "password": "sekret"}
LOGINS: dict[str, Callable[[str], Logins]] = {
    "in the environment alone": lambda host: ({"registry": host, **LOGIN}, []),
    "in the environment and wrong in the settings": lambda host: ({"registry": host, **LOGIN}, [{"registry": host, **LOGIN, "password": "old"}]),
    "in the settings, another one's in the environment": lambda host: (
        {"registry": "ghcr.io", **LOGIN, "password": "x"},
        [{"registry": f"https://{host}", **LOGIN}],
    ),
}


@pytest.mark.parametrize("where", LOGINS)
async def test_an_image_is_pulled_with_the_login_that_is_given(
    servers: Servers, test_engine: TestEngine, guarded: OwnRegistry, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    small = test_engine.build(f"{test_engine.mark}-image:small", "FROM scratch\nCOPY a.txt /\n", {"a.txt": ""})
    reference = test_engine.push(small, guarded.host, LOGIN)
    assert "does not let this hub pull" in await servers.refused(reference)
    in_environment, in_settings = LOGINS[where](guarded.host)
    monkeypatch.setenv("CONTAINER_ENGINE_REGISTRY_CREDENTIALS", json.dumps(in_environment))
    monkeypatch.setitem(servers.hub.app.config.DockerRepoSpawner, "registry_credentials", in_settings)
    assert "cannot be started" in await servers.refused(reference), "it was pulled, and has nothing that runs"
    assert test_engine.has_image(reference)


async def test_a_login_in_the_environment_that_is_none_is_a_sentence(servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONTAINER_ENGINE_REGISTRY_CREDENTIALS", "sekret")
    said = await servers.refused(f"127.0.0.1:9/image:1@sha256:{'0' * 64}")
    assert "CONTAINER_ENGINE_REGISTRY_CREDENTIALS is no JSON" in said
    assert "sekret" not in said


async def test_an_image_that_the_registry_does_not_have_any_more_is_a_sentence(servers: Servers, image: str, test_registry: str) -> None:
    name = f"{test_registry}/{image}@sha256:{'0' * 64}"
    assert "made anew" in await servers.refused(name)


async def test_a_name_without_a_digest_is_never_looked_for_elsewhere(servers: Servers, test_registry: str) -> None:
    assert "made anew" in await servers.refused(f"{test_registry}/debian:12-unknown")


async def test_a_registry_that_does_not_answer_is_a_sentence(servers: Servers) -> None:
    assert "127.0.0.1:9" in await servers.refused(f"127.0.0.1:9/image:1@sha256:{'0' * 64}")


# --- starts that fail ------------------------------------------------------------------------------------------------


async def test_an_image_without_a_server_says_how_to_add_it(servers: Servers, build: Build, test_engine: TestEngine) -> None:
    for _ in range(6):
        assert "pip install jupyterhub jupyterlab" in await servers.refused(build("ENV PATH=/usr/bin:/bin\nUSER jovyan\n"))
    assert test_engine.containers() == []


async def test_a_server_that_ends_at_once_says_its_last_words(servers: Servers, build: Build) -> None:
    broken = build('RUN printf "#!/bin/sh\\necho no such extension >&2; exit 3\\n" > /fake/jupyterhub-singleuser\nUSER jovyan\n')
    said = await servers.refused(broken)
    assert "status 3" in said
    assert "no such extension" in said


async def test_an_image_without_a_shell_is_a_sentence(servers: Servers, test_engine: TestEngine) -> None:
    empty = test_engine.build(f"{test_engine.mark}-image:empty", "FROM scratch\nCOPY a.txt /\n", {"a.txt": ""})
    assert "cannot be started" in await servers.refused(empty)
    assert (await servers.spawner().poll()) is not None
    assert test_engine.containers() == []


async def test_an_engine_that_is_away_is_a_sentence(servers: Servers, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise ConnectionError("no such file")

    monkeypatch.setattr(DockerRepoSpawner, "_docker", away)
    assert "engine does not answer" in await servers.refused(image)
    monkeypatch.undo()


# --- what a dead hub leaves ------------------------------------------------------------------------------------------


async def test_a_container_that_a_dead_hub_left_half_started_makes_way(servers: Servers, image: str, test_engine: TestEngine) -> None:
    left_over = test_engine.client.create_container(image, ["sleep", "600"], name=f"{test_engine.mark}-alice")
    test_engine.client.start(left_over["Id"])
    assert (await servers.started(image))["files"]["a.txt"] == "theirs"
    assert test_engine.client.inspect_container(f"{test_engine.mark}-alice")["Id"] != left_over["Id"]


async def test_a_running_server_is_found_again_by_what_the_hub_stored(servers: Servers, image: str, test_engine: TestEngine) -> None:
    await servers.started(image)
    state = servers.spawner().get_state()
    found = DockerRepoSpawner(user=servers.hub.user("alice"), hub=servers.hub.app.hub, config=servers.hub.app.config)
    found.load_state(state)
    assert await found.poll() is None
    assert found.repo_build["image"] == image
    await found.stop()
    assert test_engine.containers() == []
    assert await found.poll() is not None


async def test_a_container_that_the_first_release_started_is_found_and_stopped(servers: Servers, image: str, test_engine: TestEngine) -> None:
    """Its name, its labels and what the hub has stored about it are those of the release of 21 November 2026."""
    name = f"{test_engine.mark}-alice"
    labels = {"binder.build": "19aa5f2e301", "binder.repository": REPO, "binder.commit": "1" * 40, "binder.user": "alice", "binder.server": ""}
    made = test_engine.client.create_container(image, ["jupyterhub-singleuser"], name=name, labels=labels)
    test_engine.client.start(made)
    spawner = servers.spawner()
    assert spawner.object_name == name
    spawner.load_state({"object_id": made["Id"], "object_name": name, "binder": {"id": "19aa5f2e301", "image": image}})
    assert await spawner.poll() is None
    assert spawner.repo_build == {"id": "19aa5f2e301", "image": image}
    await spawner.stop()
    assert test_engine.containers() == []


async def test_a_server_that_ended_by_itself_leaves_no_container(servers: Servers, image: str, test_engine: TestEngine) -> None:
    await servers.started(image)
    test_engine.client.kill(f"{test_engine.mark}-alice", "SIGTERM")
    test_engine.client.wait(f"{test_engine.mark}-alice")
    assert "ExitCode=0" in str(await servers.spawner().poll())
    assert test_engine.containers() == []


async def test_an_engine_in_trouble_is_not_taken_for_a_server_that_is_gone(servers: Servers, image: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from docker.errors import APIError
    from requests import Response

    await servers.started(image)
    response = Response()
    response.status_code = 500

    def trouble(*_: object) -> None:
        raise APIError("in trouble", response=response)

    with monkeypatch.context() as context:
        context.setattr(DockerRepoSpawner, "_docker", trouble)
        with pytest.raises(APIError):
            await servers.spawner().poll()
    assert await servers.spawner().poll() is None
