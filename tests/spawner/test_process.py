"""ProcessSpawner: images as directories, people's own copies, and processes that leave nothing behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import pytest_asyncio
from jupyterhub.objects import Hub as HubAddress
from jupyterhub.spawner import SimpleLocalProcessSpawner

from spawner.local import leftover, working_copy
from spawner.local.base import LocalSpawner
from spawner.local.spawner import PROCESS_FILE, ProcessSpawner, read_image
from spawner.options import RepoOptions
from spawner.rejection import Rejection
from tests.harness.waiting import HANGS_SECONDS, until
from tests.spawner.fakes import COMMIT, REPO, ask_server, make_environment, make_image

BUILD: Mapping[str, Any] = {"id": "b1", "repo": REPO, "ref": "HEAD", "commit": COMMIT, "image": "img-1", "state": "ready"}


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


def commit(folder: Path, files: Mapping[str, str]) -> str:
    """Commit these files and return the commit's name."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "change")
    return git(folder, "rev-parse", "HEAD")


MADE = "What its build made is there as well: a.txt, new.txt, out/data.csv."


class Contents:
    """A repository and shallow checkouts of its commits, as the service makes them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.origin = folder / "origin"
        self.origin.mkdir()
        git(self.origin, "init", "-q")

    def add(self, **files: str) -> tuple[Path, str]:
        """Commit the files (``a__b`` is ``a/b``, ``_`` a dot) and return a checkout of that commit and its name."""
        name = commit(self.origin, {key.replace("__", "/").replace("_", "."): text for key, text in files.items()})
        content = self.folder / name
        content.mkdir()
        git(content, "init", "-q")
        git(content, "remote", "add", "origin", f"file://{self.origin}")
        git(content, "fetch", "-q", "--no-tags", "--depth=1", "origin", name)
        git(content, "checkout", "-q", "--detach", name)
        return content, name


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    return Contents(tmp_path)


# --- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_has_the_repository_with_its_history_and_links(contents: Contents, tmp_path: Path) -> None:
    (contents.origin / "link").symlink_to("a.txt")
    content, name = contents.add(a_txt="one")
    copy = tmp_path / "people" / "copy"
    assert "Copied" in working_copy.place(content, name, copy)
    assert (copy / "a.txt").read_text() == "one"
    assert (copy / "link").is_symlink()
    assert git(copy, "rev-parse", "HEAD") == name
    assert git(copy, "remote", "get-url", "origin") == f"file://{contents.origin}"
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_an_untouched_copy_follows_the_repository(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    working_copy.place(*contents.add(a_txt="one"), copy)
    (copy / "mine.txt").write_text("untracked")
    content, newer = contents.add(a_txt="two", b_txt="new")
    assert f"to {newer[:7]}" in working_copy.place(content, newer, copy)
    assert (copy / "a.txt").read_text() == "two"
    assert (copy / "b.txt").read_text() == "new"
    assert (copy / "mine.txt").read_text() == "untracked"
    assert "is at commit" in working_copy.place(content, newer, copy)
    content, newest = contents.add(a_txt="three")
    assert f"to {newest[:7]}" in working_copy.place(content, newest, copy)


def test_a_changed_copy_stays_as_it_is_and_says_so(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    working_copy.place(*contents.add(a_txt="one"), copy)
    (copy / "a.txt").write_text("mine")
    content, newer = contents.add(a_txt="two")
    told = working_copy.place(content, newer, copy)
    assert "You have changed files" in told
    assert newer[:7] in told
    assert (copy / "a.txt").read_text() == "mine"


def test_a_copy_with_commits_of_its_own_stays_as_it_is(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    working_copy.place(*contents.add(a_txt="one"), copy)
    mine = commit(copy, {"a.txt": "mine"})
    content, newer = contents.add(a_txt="two")
    assert "commits of your own" in working_copy.place(content, newer, copy)
    assert git(copy, "rev-parse", "HEAD") == mine


@pytest.mark.parametrize("ignored", [False, True])
def test_a_file_of_the_persons_is_never_overwritten(contents: Contents, tmp_path: Path, ignored: bool) -> None:
    copy = tmp_path / "copy"
    working_copy.place(*contents.add(_gitignore="b.txt\n" if ignored else "x\n"), copy)
    (copy / "b.txt").write_text("mine")
    (contents.origin / ".gitignore").write_text("nothing\n")
    content, newer = contents.add(b_txt="theirs")
    assert "stays as it is" in working_copy.place(content, newer, copy)
    assert (copy / "b.txt").read_text() == "mine"


def built(content: Path, **files: str | None) -> None:
    """Write files into a checkout, as a build does; None removes one."""
    for key, text in files.items():
        path = content / key.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink() if text is None else path.write_text(text)


def test_an_untouched_copy_gets_what_the_newer_commits_build_has_made(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    content, name = contents.add(a_txt="one", b_txt="b", c_txt="c", _gitignore="out\n")
    built(content, a_txt="one, built", b_txt=None, out__data_csv="1", out__mine_csv="1", out__old_csv="1", free_txt="free")
    working_copy.place(content, name, copy)
    (copy / "out" / "mine.csv").write_text("changed by me")
    (copy / "out" / "notes.txt").write_text("mine")

    newer_content, newer = contents.add(a_txt="two", free_txt="of the commit now")
    built(newer_content, a_txt="two, built", b_txt=None, out__data_csv="22", out__mine_csv="22", new_txt="new")
    told = working_copy.place(newer_content, newer, copy)
    assert told == f"Your copy was untouched, so it was brought from commit {name[:7]} to {newer[:7]}. {MADE}"
    found = {path.relative_to(copy).as_posix(): path.read_text() for path in copy.rglob("*.*") if path.is_file() and ".git" not in path.parts}
    assert found == {
        "a.txt": "two, built",
        "c.txt": "c",
        "free.txt": "of the commit now",
        "new.txt": "new",
        ".gitignore": "out\n",
        "out/data.csv": "22",
        "out/mine.csv": "changed by me",
        "out/notes.txt": "mine",
    }

    newest_content, newest = contents.add(a_txt="three")
    working_copy.place(newest_content, newest, copy)
    assert ((copy / "a.txt").read_text(), (copy / "b.txt").exists(), (copy / "new.txt").exists()) == ("three", True, False)
    assert git(copy, "status", "--porcelain", "--untracked-files=no") == ""


def test_a_file_that_the_build_and_then_the_person_changed_stays_as_it_is(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    content, name = contents.add(a_txt="one")
    built(content, a_txt="one, built")
    working_copy.place(content, name, copy)
    (copy / "a.txt").write_text("mine, after all")
    assert "You have changed files" in working_copy.place(*contents.add(a_txt="two"), copy)
    assert (copy / "a.txt").read_text() == "mine, after all"


def test_a_copy_that_cannot_be_brought_forward_keeps_what_the_build_had_made(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    content, name = contents.add(a_txt="one")
    built(content, a_txt="one, built", out_csv="1")
    working_copy.place(content, name, copy)
    (copy / "b.txt").write_text("in the way")
    assert "stays as it is" in working_copy.place(*contents.add(a_txt="two", b_txt="new"), copy)
    assert [(copy / file).read_text() for file in ("a.txt", "out.csv", "b.txt")] == ["one, built", "1", "in the way"]
    (copy / "b.txt").unlink()
    assert "brought from" in working_copy.place(*contents.add(a_txt="three"), copy)


def test_a_record_of_results_that_leads_out_of_a_copy_moves_nothing_there(contents: Contents, tmp_path: Path) -> None:
    copy, victim = tmp_path / "copy", tmp_path / "victim"
    working_copy.place(*contents.add(a_txt="one"), copy)
    victim.write_text("untouched")
    state = [victim.stat().st_size, victim.stat().st_mtime_ns]
    (copy / "out").symlink_to(tmp_path)
    (copy / ".git" / working_copy.RESULTS).write_text(json.dumps({str(victim): state, "../victim": state, "out/victim": state}))
    working_copy.place(*contents.add(a_txt="two"), copy)
    assert victim.read_text() == "untouched"


def test_nothing_that_a_copy_configures_runs(contents: Contents, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    working_copy.place(*contents.add(a_txt="one", _gitattributes="* filter=evil"), copy)
    hit = tmp_path / "hit"
    program = tmp_path / "evil.sh"
    program.write_text(f"#!/bin/sh\ntouch {hit}\ncat\n")
    program.chmod(0o755)
    for name in ("post-checkout", "reference-transaction", "post-index-change"):
        shutil.copy(program, copy / ".git" / "hooks" / name)
    git(copy, "config", "core.fsmonitor", str(program))
    git(copy, "config", "core.hooksPath", str(copy / ".git" / "hooks"))
    content, newer = contents.add(a_txt="two")
    hit.unlink(missing_ok=True)
    assert f"to {newer[:7]}" in working_copy.place(content, newer, copy)
    assert not hit.exists()
    (tmp_path / "more").write_text(f'[filter "evil"]\n\tclean = {program}\n\tsmudge = {program}\n')
    git(copy, "config", "include.path", str(tmp_path / "more"))
    content, newest = contents.add(a_txt="three")
    (copy / "a.txt").touch()
    hit.unlink(missing_ok=True)
    assert "filters" in working_copy.place(content, newest, copy)
    assert not hit.exists()


def test_a_copy_whose_configuration_points_elsewhere_changes_nothing_there(contents: Contents, tmp_path: Path) -> None:
    copy, victim = tmp_path / "copy", tmp_path / "victim"
    working_copy.place(*contents.add(a_txt="one"), copy)
    victim.mkdir()
    (victim / "a.txt").write_text("one")
    git(copy, "config", "core.worktree", str(victim))
    content, newer = contents.add(a_txt="two")
    working_copy.place(content, newer, copy)
    assert (victim / "a.txt").read_text() == "one"


@pytest.mark.parametrize("spoil", ["no git", "git is a file", "link", "file"])
def test_a_copy_that_is_no_repository_any_more_stays_as_it_is(contents: Contents, tmp_path: Path, spoil: str) -> None:
    copy = tmp_path / "copy"
    content, name = contents.add(a_txt="one")
    working_copy.place(content, name, copy)
    if spoil == "no git":
        shutil.rmtree(copy / ".git")
    elif spoil == "git is a file":
        shutil.rmtree(copy / ".git")
        (copy / ".git").write_text(f"gitdir: {contents.origin}/.git")
    elif spoil == "link":
        shutil.rmtree(copy)
        copy.symlink_to(content)
    else:
        shutil.rmtree(copy)
        copy.write_text("mine")
    content, newer = contents.add(a_txt="two")
    assert "no Git repository any more" in working_copy.place(content, newer, copy)


def test_a_half_made_copy_is_never_used_and_is_cleared_away(contents: Contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "people" / "copy"
    content, name = contents.add(a_txt="one")

    def break_off(source: Path, target: Path, **_: object) -> None:
        target.mkdir()
        (target / "a.txt").write_text("half")
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "copytree", break_off)
        with pytest.raises(OSError, match="disk full"):
            working_copy.place(content, name, copy)
    assert list(copy.parent.iterdir()) == []
    (copy.parent / f".{copy.name}.deadbeef").mkdir()
    working_copy.place(content, name, copy)
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


def test_copies_of_different_people_servers_repositories_and_refs_are_different_places() -> None:
    home = working_copy.home_of(Path("/people"), "alice")
    asks = [
        ("", REPO, "HEAD"),
        ("", REPO, "main"),
        ("", REPO + "2", "HEAD"),
        ("default", REPO, "HEAD"),
        ("default-", REPO, "HEAD"),
        ("a/b", REPO, "HEAD"),
        ("a", REPO, "HEAD"),
        ("..", REPO, "HEAD"),
    ]
    places = [working_copy.copy_of(home, *ask) for ask in asks]
    assert len(set(places)) == len(asks)
    assert places[0].parent == Path("/people/alice/default")
    assert places[0].name.startswith("r-")
    for place in places:
        assert ".." not in place.parts
        assert len(place.relative_to(home).parts) == 2
        assert not any(part.startswith(".") for part in place.relative_to(home).parts)
    for user in ("../evil", "a/b", ".."):
        assert working_copy.home_of(Path("/people"), user).parent == Path("/people")
    assert working_copy.copy_of(home, "", "git@host:{0}.git", "x").name.startswith("0-")


# --- images ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", ".", "..", "../images/img-1", "img-1/../img-1", "/etc", ".made", "nope", "a\nb"])
def test_an_image_that_is_not_there_is_a_sentence(tmp_path: Path, name: str) -> None:
    make_image(tmp_path / "images", "img-1", tmp_path, tmp_path, COMMIT)
    assert read_image(tmp_path / "images", "img-1").commit == COMMIT
    with pytest.raises(Rejection, match="not on this machine"):
        read_image(tmp_path / "images", name)


# --- the process -----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(loop_scope="function")
async def spawner(tmp_path: Path, contents: Contents, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ProcessSpawner]:
    """A spawner of alice's, with the image ``img-1``; what it started is stopped in the end."""
    monkeypatch.setenv("CONFIGPROXY_AUTH_TOKEN", "sekret")
    monkeypatch.setenv("PYTHONPATH", "/nonexistent/hub")
    environment = make_environment(tmp_path / "environment")
    content, name = contents.add(a_txt="one", binder__start='#!/bin/bash\nexport STARTED=yes\nexec "$@"\n')
    make_image(tmp_path / "images", "img-1", environment, content, name)
    user = mock.MagicMock(url="/user/alice/", escaped_name="alice", id=1, created=datetime(2026, 1, 1, tzinfo=UTC))
    user.name = "alice"
    monkeypatch.setattr(ProcessSpawner, "check_new_copy", mock.AsyncMock())
    made = ProcessSpawner(
        user=user,
        hub=HubAddress(),
        images_dir=str(tmp_path / "images"),
        users_dir=str(tmp_path / "people"),
        orm_spawner=mock.Mock(name="", server=None),
    )
    made.orm_spawner.name = ""
    yield made
    await made.stop(now=True)


async def launch(spawner: ProcessSpawner, build: Mapping[str, Any] = BUILD, path: str = "") -> dict[str, Any]:
    """Start the server as the end of a start does, without asking a service; return how it was started."""
    spawner.repo_build = dict(build)
    spawner._repo_options = RepoOptions(REPO, path=path)
    await spawner.use_image(build)
    ip, port = await SimpleLocalProcessSpawner.start(spawner)
    return await ask_server(f"http://{ip}:{port}/")


def progress_of(spawner: ProcessSpawner) -> str:
    return json.dumps(spawner._repo_progress._head)


async def test_a_server_runs_in_the_persons_copy_with_the_images_programs_first(spawner: ProcessSpawner, tmp_path: Path) -> None:
    told = await launch(spawner)
    environment = told["environment"]
    copy = tmp_path / "people" / "alice" / "default" / Path(told["cwd"]).name
    assert Path(told["cwd"]) == copy
    assert (copy / "a.txt").read_text() == "one"
    assert environment["HOME"] == str(tmp_path / "people" / "alice")
    assert environment["PATH"].startswith(f"{tmp_path}/environment/bin{os.pathsep}")
    assert environment["VIRTUAL_ENV"] == f"{tmp_path}/environment"
    assert environment["JUPYTERHUB_ROOT_DIR"] == str(copy)
    assert environment["JUPYTERHUB_DEFAULT_URL"] == "/lab"
    assert environment["BINDER_COMMIT"] == COMMIT
    assert "STARTED" not in environment
    packages = str(tmp_path / "people" / "alice" / "default" / ".packages" / "environment")
    assert (environment["PIP_TARGET"], environment["PYTHONPATH"]) == (packages, packages), "pip would write to what others use"
    assert "sekret" not in json.dumps(told)
    assert "Copied the repository" in progress_of(spawner)


async def test_a_server_that_its_hub_has_forgotten_is_ended_before_another_starts(spawner: ProcessSpawner) -> None:
    await launch(spawner)
    spawner.process_started()
    forgotten = spawner.proc
    spawner.clear_state()
    await launch(spawner)
    assert forgotten.wait(HANGS_SECONDS) == -signal.SIGTERM
    assert "a hub had started and forgotten" in progress_of(spawner)


async def test_a_process_that_is_no_server_of_this_copy_is_left_alone(spawner: ProcessSpawner, tmp_path: Path) -> None:
    await launch(spawner)
    spawner.process_started()
    file = tmp_path / "people" / "alice" / "default" / PROCESS_FILE
    own = leftover.group_of(file, file.parent)
    assert own == spawner.pid
    assert leftover.group_of(file, tmp_path) is None, "another place's"
    asked = ((file.parent, os.getuid()), (tmp_path, os.getuid()), (file.parent, os.getuid() + 1))
    assert [leftover.groups_in(*places) for places in asked] == [[spawner.pid], [], []], "without a note, of an account"
    noted = json.loads(file.read_text())
    for changed in ({"created": 1.0}, {"pid": os.getpid()}, {"pid": "x"}, {"pid": None}):
        file.write_text(json.dumps(noted | changed))
        assert leftover.group_of(file, file.parent) is None
    file.write_text("[")
    assert leftover.group_of(file, file.parent) is None


async def test_braces_in_a_path_to_open_do_no_harm(spawner: ProcessSpawner) -> None:
    told = await launch(spawner, path="{0.__class__}/a b.ipynb")
    assert told["environment"]["JUPYTERHUB_DEFAULT_URL"] == "/lab/tree/%7B0.__class__%7D/a%20b.ipynb"


@pytest.mark.parametrize("kind", ["executable", "not executable", "without #!"])
async def test_a_start_script_gets_the_command(spawner: ProcessSpawner, tmp_path: Path, contents: Contents, kind: str) -> None:
    script = 'export STARTED=yes\nexec "$@"\n'
    content, name = contents.add(binder__start=script if kind == "without #!" else "#!/bin/sh\n" + script)
    (content / "binder" / "start").chmod(0o644 if kind == "not executable" else 0o755)
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name, start="binder/start")
    told = await launch(spawner, {**BUILD, "image": "img-2"})
    assert told["environment"]["STARTED"] == "yes"


@pytest.mark.parametrize("spoil", ["gone", "out of the copy"])
async def test_a_start_script_that_is_not_in_the_copy_is_not_run(spawner: ProcessSpawner, tmp_path: Path, contents: Contents, spoil: str) -> None:
    content, name = contents.add(a_txt="two")
    if spoil == "out of the copy":
        (tmp_path / "start").write_text('export STARTED=yes\nexec "$@"\n')
        (content / "start").symlink_to(tmp_path / "start")
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name, start="start")
    told = await launch(spawner, {**BUILD, "image": "img-2"})
    assert "STARTED" not in told["environment"]
    assert "There is no start in your copy any more" in progress_of(spawner)


SPOILT_STARTS = {
    "Windows line endings": ('#!/bin/sh\r\nexec "$@"\r\n', "start has Windows line endings (from line 1 on), so it cannot run. Save it"),
    "a program that is not here": ('#!/no/such/program\nexec "$@"\n', "start names in line 1 a program that is not here"),
    "no program": ('#!\nexec "$@"\n', "start names in line 1 a program that is not here"),
}


@pytest.mark.parametrize("case", SPOILT_STARTS)
async def test_a_start_script_that_cannot_run_is_refused_by_name(spawner: ProcessSpawner, tmp_path: Path, contents: Contents, case: str) -> None:
    script, said = SPOILT_STARTS[case]
    content, name = contents.add(start=script)
    (content / "start").chmod(0o755)
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name, start="start")
    with pytest.raises(Rejection) as caught:
        await launch(spawner, {**BUILD, "image": "img-2"})
    assert caught.value.status_code == 422
    assert said in str(caught.value)


async def test_where_no_new_copy_may_be_made_the_start_says_so_and_servers_start_in_the_copies_that_are_there(
    spawner: ProcessSpawner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await launch(spawner)
    await spawner.stop(now=True)
    refusal = Rejection(429, "Your files on this hub take 3 MB.")
    monkeypatch.setattr(ProcessSpawner, "check_new_copy", mock.AsyncMock(side_effect=refusal))
    with pytest.raises(Rejection, match="take 3 MB"):
        await spawner.use_image({**BUILD, "ref": "other"})
    assert len([*(tmp_path / "people" / "alice" / "default").glob("[!.]*")]) == 1
    await launch(spawner)


async def test_a_start_script_that_forgets_the_server_is_told_the_cure(spawner: ProcessSpawner, tmp_path: Path, contents: Contents) -> None:
    content, name = contents.add(start="export STARTED=yes\n")
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name, start="start")
    spawner.repo_build = {**BUILD, "image": "img-2"}
    await spawner.use_image(spawner.repo_build)
    with pytest.raises(Rejection, match=r'The script start ended without starting the server. Its last line must be: exec "\$@"'):
        await LocalSpawner.start(spawner)


async def test_a_server_finds_what_a_build_found(spawner: ProcessSpawner, tmp_path: Path) -> None:
    told = await launch(spawner)
    environment = told["environment"]
    assert (environment["REPO_DIR"], environment["NB_PYTHON_PREFIX"]) == (told["cwd"], f"{tmp_path}/environment")
    assert environment["NB_USER"]


async def test_a_start_says_what_of_the_repository_is_not_honoured(spawner: ProcessSpawner, tmp_path: Path) -> None:
    manifest = tmp_path / "images" / "img-1" / "image.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "notes": ["The file pixi.lock is not read."]}))
    await launch(spawner)
    assert "The file pixi.lock is not read." in progress_of(spawner)


async def test_an_environment_without_its_servers_program_is_a_sentence(spawner: ProcessSpawner, tmp_path: Path) -> None:
    (tmp_path / "environment" / "bin" / "jupyterhub-singleuser").unlink()
    with pytest.raises(Rejection, match="there is no jupyterhub-singleuser in it that can be run"):
        await launch(spawner)


async def test_what_is_installed_in_editable_mode_is_imported_from_the_copy(spawner: ProcessSpawner, tmp_path: Path) -> None:
    manifest = tmp_path / "images" / "img-1" / "image.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "import_from": ["src", "."]}))
    told = await launch(spawner)
    packages, *copies = told["environment"]["PYTHONPATH"].split(os.pathsep)
    assert packages == told["environment"]["PIP_TARGET"]
    assert copies == [f"{told['cwd']}/src", told["cwd"]]


async def test_settings_in_the_repositorys_root_take_effect(spawner: ProcessSpawner, tmp_path: Path, contents: Contents) -> None:
    content, name = contents.add(a_txt="two")
    (content / ".jupyter").mkdir()
    (content / ".jupyter" / "jupyter_server_config.py").write_text("c.ServerApp.terminals_enabled = False\n")
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name)
    told = await launch(spawner, {**BUILD, "image": "img-2"})
    assert told["environment"]["JUPYTER_CONFIG_PATH"] == f"{told['cwd']}/.jupyter"
    assert "IPYTHONDIR" not in told["environment"]


async def test_what_the_build_left_in_its_home_is_in_the_persons(spawner: ProcessSpawner, tmp_path: Path) -> None:
    (tmp_path / "environment" / "home").mkdir()
    (tmp_path / "environment" / "home" / "words.txt").write_text("one")
    told = await launch(spawner)
    assert Path(told["environment"]["HOME"], "words.txt").read_text() == "one"
    assert "Files that the build made in its home are in yours now: 1." in progress_of(spawner)


async def test_a_copy_survives_stop_and_start(spawner: ProcessSpawner) -> None:
    copy = Path((await launch(spawner))["cwd"])
    (copy / "a.txt").write_text("mine")
    await spawner.stop()
    assert await spawner.poll() is not None
    spawner.clear_state()
    assert Path((await launch(spawner))["cwd"]) == copy
    assert (copy / "a.txt").read_text() == "mine"


async def test_stopping_leaves_nothing_of_the_servers_group_running(spawner: ProcessSpawner, tmp_path: Path, contents: Contents) -> None:
    stubborn = 'sh -c "trap \'\' TERM INT; while true; do sleep 0.2; done" &\necho $! > "$HOME/child"\n'
    content, name = contents.add(start=f'sleep 300 &\n{stubborn}"$@"\n')
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name, start="start")
    with mock.patch("spawner.local.base.GROUP_END_SECONDS", 0.5):
        told = await launch(spawner, {**BUILD, "image": "img-2"})
        group = spawner.pid
        assert told["pid"] != group  # the script did not use exec, so it stands between the hub and the server
        spawner.interrupt_timeout = 1  # the shell does not pass the interrupt on
        child = int((tmp_path / "people" / "alice" / "child").read_text())
        await spawner.stop()
    await until(lambda: not is_running(child), "the end of the child")
    await until(lambda: not is_running(told["pid"]), "the end of the server")


async def test_a_server_that_ends_while_it_starts_leaves_nothing_of_its_group_running(
    spawner: ProcessSpawner, tmp_path: Path, contents: Contents
) -> None:
    content, name = contents.add(start='sleep 300 &\necho $! > "$HOME/child"\nexit 3\n')
    make_image(tmp_path / "images", "img-2", tmp_path / "environment", content, name, start="start")
    spawner.repo_build = {**BUILD, "image": "img-2"}
    await spawner.use_image(spawner.repo_build)
    with pytest.raises(Rejection, match="The server ended with status 3 while it started"):
        await LocalSpawner.start(spawner)
    assert not is_running(int((tmp_path / "people" / "alice" / "child").read_text()))


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_a_spawner_that_never_started_stops_without_a_word(spawner: ProcessSpawner) -> None:
    await spawner.stop()
    await spawner.stop(now=True)
