"""Making environments with uv: what goes wrong is said in a sentence, what is there is not made again."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from binderhub_service.models import Build
from binderhub_service.worker.job import ProcessLimits
from tests.harness.build_directory import BuildDirectory, Made
from tests.harness.git_server import Repository
from tests.harness.index_server import PackageIndex
from tests.harness.repository import BareRepository, Files
from tests.harness.waiting import in_time, until
from tests.harness.web_thread import in_thread

NewRepository = Callable[..., Repository]
FOUND = "nothing to install"
EDITABLE = "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n"
BACKEND = """\
import os, zipfile
def build_editable(folder, *a):
    name = 'mine-1-py3-none-any.whl'
    with zipfile.ZipFile(f'{folder}/{name}', 'w') as wheel:
        wheel.writestr('mine.pth', os.getcwd())
        wheel.writestr('mine-1.dist-info/METADATA', 'Metadata-Version: 2.1\\nName: mine\\nVersion: 1\\n')
        wheel.writestr('mine-1.dist-info/WHEEL', 'Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')
        wheel.writestr('mine-1.dist-info/RECORD', '')
    return name
build_wheel = build_editable
"""
# A server that starts when its environment has a file "go" in it, and fails if there is something in that file.
WAITS = """\
import pathlib, sys, time
def main():
    go = pathlib.Path(sys.prefix, 'go')
    while not go.exists():
        time.sleep(0.02)
    sys.exit(go.read_text() or None)
"""


@pytest.fixture(scope="module", autouse=True)
def packages(package_index: PackageIndex) -> None:
    package_index.add("left", requires="common==1.0")
    package_index.add("right", requires="common==2.0")
    package_index.add("common", "1.0")
    package_index.add("common", "2.0")
    package_index.add_unbuildable("unbuildable")
    package_index.add("starts", module="def main():\n    print('It started.')\n", program="jupyterhub-singleuser")
    package_index.add("waits", module=WAITS, program="jupyterhub-singleuser")
    package_index.add("broken", module="raise SystemExit('It is broken.')\n", program="jupyterhub-singleuser")


def error_of(made: Made) -> dict[str, str]:
    assert made.error, made.log
    assert made.error["message"].endswith(".")
    assert made.error["hint"]
    return made.error


async def make(build_directory: BuildDirectory, repository: Repository, limits: ProcessLimits = ProcessLimits()) -> Made:  # noqa: B008  # frozen
    return await build_directory.make(build_directory.ask(repository.url, repository.rev("main")), limits)


def installed(build_directory: BuildDirectory, build: Build, code: str) -> str:
    """Return what a line of Python prints in a build's environment and checkout."""
    manifest = build_directory.manifest(build)
    done = subprocess.run([f"{manifest['environment']}/bin/python", "-c", code], cwd=manifest["content"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


async def test_the_versions_of_a_pylock_are_installed_although_newer_ones_would_do(
    build_directory: BuildDirectory, new_repository: NewRepository, package_index: PackageIndex
) -> None:
    wheel = package_index.root / "common" / "common-1.0-py3-none-any.whl"
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    lock = f"""lock-version = "1.0"
created-by = "tests"
[[packages]]
name = "common"
version = "1.0"
wheels = [{{ url = "{package_index.url}/common/{wheel.name}", hashes = {{ sha256 = "{digest}" }} }}]
"""
    made = await make(build_directory, new_repository({"pylock.toml": lock, "requirements.txt": "common\n"}))
    assert made.error is None, made.log
    assert installed(build_directory, made.build, "import common; print(common.version)") == "1.0"


async def test_early_versions_are_installed_where_they_are_asked_for(
    build_directory: BuildDirectory, new_repository: NewRepository, package_index: PackageIndex
) -> None:
    package_index.add("early", "1.0")
    package_index.add("early", "2.0rc1")
    for text, version in (("early\n", "1.0"), ("--pre\nearly\n", "2.0rc1")):
        made = await make(build_directory, new_repository({"requirements.txt": text}, name=version))
        assert made.error is None, made.log
        assert installed(build_directory, made.build, "import early; print(early.version)") == version


# What goes wrong

FAILING = {
    "a requirement that is not there": ({"requirements.txt": "nowhere-to-be-found\n"}, "requirement_not_found", "nowhere-to-be-found"),
    "a version that is not there": ({"requirements.txt": "common==9\n"}, "requirement_not_found", "common==9"),
    "requirements that contradict": ({"requirements.txt": "left\nright\n"}, "requirements_conflict", "contradict"),
    "a requirement that cannot be built": ({"requirements.txt": "unbuildable\n"}, "requirement_build_failed", "unbuildable"),
    "a Python that is not there": ({"runtime.txt": "python-3.99"}, "python_not_available", "Python 3.99"),
    "a script that fails": ({"postBuild": "#!/bin/sh\necho why\nexit 7\n"}, "post_build_failed", "exit status 7"),
    "a script without a first line": ({"postBuild": "echo why\nfalse"}, "post_build_failed", "exit status 1"),
    "a script for a program that is not there": ({"postBuild": "#!/no/such/program\n"}, "post_build_failed", "postBuild"),
    "a file that needs another mode": ({"apt.txt": "curl"}, "environment_not_supported", "apt.txt"),
    "no requirements file at all": ({"requirements.txt": "not a requirement !!\n"}, "requirements_failed", "not a requirement !!"),
    "a file with another hash": ({"requirements.txt": f"common==1.0 --hash=sha256:{'0' * 64}\n"}, "requirements_failed", "common==1.0"),
    "one equals sign": ({"requirements.txt": "common=1.0\n"}, "requirements_failed", "written for conda"),
    "a path of another machine": ({"requirements.txt": "common @ file:///croot/common\n"}, "requirement_not_found", "/croot/common"),
    "a script with Windows line endings": ({"postBuild": "#!/bin/sh\r\necho hi\r\n"}, "script_invalid", "postBuild has Windows line endings"),
    "a start script with Windows line endings": ({"start": '#!/bin/sh\r\nexec "$@"\r\n'}, "script_invalid", "start has Windows line endings"),
    "a script that removes the server": (
        {"requirements.txt": "starts\n", "postBuild": "#!/bin/sh\nrm $NB_PYTHON_PREFIX/bin/jupyterhub-singleuser\n"},
        "no_singleuser",
        "has removed jupyterhub-singleuser",
    ),
    "a script that removes Python": (
        {"postBuild": "#!/bin/sh\nrm $NB_PYTHON_PREFIX/bin/python\n"},
        "no_singleuser",
        "has removed python",
    ),
    "a server that does not run": ({"requirements.txt": "broken\n"}, "no_singleuser", "It is broken."),
}


@pytest.mark.parametrize("case", FAILING)
async def test_a_failure_is_said_in_one_sentence(build_directory: BuildDirectory, new_repository: NewRepository, case: str) -> None:
    files, code, said = FAILING[case]
    made = await make(build_directory, new_repository(files))
    assert error_of(made)["code"] == code, made.log
    assert said in error_of(made)["message"]
    assert build_directory.half_made() == []
    assert await build_directory.images.exists(made.build.image.name) is None


async def test_an_index_that_is_away_is_no_missing_requirement(
    build_directory: BuildDirectory, new_repository: NewRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"http://127.0.0.1:{probe.getsockname()[1]}")
        made = await make(build_directory, new_repository({"requirements.txt": "common\n"}))
    assert error_of(made)["code"] == "package_index_unavailable", made.log


async def test_a_checkout_beyond_its_limit_is_refused(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"large": os.urandom(3 * 1024 * 1024)})
    assert error_of(await make(build_directory, repository, ProcessLimits(content_bytes=1024 * 1024)))["code"] == "content_too_large"
    assert build_directory.half_made() == []


async def test_a_disk_that_is_full_is_not_filled_further(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    assert error_of(await make(build_directory, new_repository({"a": "b"}), ProcessLimits(free_bytes=2**60)))["code"] == "disk_full"


async def test_a_commit_that_the_server_does_not_have_is_said_so(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    made = await build_directory.make(build_directory.ask(new_repository({"a": "b"}).url, "f" * 40))
    assert error_of(made)["code"] == "fetch_failed"


HOME_AND_VARIABLES = """\
#!/bin/sh
set -u
echo "$REPO_DIR" > ~/repo_dir
mkdir -p ~/.local/share && echo "$NB_PYTHON_PREFIX" > ~/.local/share/prefix
"""


async def test_a_build_has_a_home_of_its_own_that_is_part_of_the_environment(
    build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tmp_path / "real"
    real.mkdir()
    monkeypatch.setenv("HOME", str(real))
    made = await make(build_directory, new_repository({"postBuild": HOME_AND_VARIABLES}))
    assert made.error is None, made.log
    manifest = build_directory.manifest(made.build)
    home = Path(manifest["environment"]) / "home"
    assert (home / "repo_dir").read_text().strip() == manifest["content"]
    assert (home / ".local" / "share" / "prefix").read_text().strip() == manifest["environment"]
    assert {str(path.relative_to(real)) for path in real.rglob("*") if path.is_file() and "uv" not in path.parts} == set(), "only what uv keeps"


async def test_requirements_as_pip_takes_them_are_installed(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository(
        {
            "requirements.txt": "--no-deps\r\ncommon \\\r\n==1.0\r\n-e .\r\n".encode("utf-16"),
            "pyproject.toml": EDITABLE,
            "backend.py": BACKEND,
            "mine.py": "",
        }
    )
    made = await make(build_directory, repository)
    assert made.error is None, made.log
    assert installed(build_directory, made.build, "import common; print(common.version)") == "1.0"
    assert any("--no-deps" in line for line in made.log)
    manifest = build_directory.manifest(made.build)
    assert Path(manifest["content"], "requirements.txt").read_bytes().startswith(b"\xff\xfe"), "the checkout is the repository's"
    assert manifest["import_from"] == ["."]


# Fetching


async def test_a_passing_trouble_of_the_git_server_is_waited_out(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"a": "b"})
    repository.answer(503, times=1)
    made = await make(build_directory, repository)
    assert made.error is None
    assert "The Git server has a problem; trying again in 1 s." in made.log


async def test_a_checkout_is_a_repository_with_its_origin_at_the_commit(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"a": "old"})
    old = repository.rev("main")
    repository.commit({"a": "new"})
    made = await build_directory.make(build_directory.ask(repository.url, old))
    content = build_directory.manifest(made.build)["content"]
    assert Path(content, "a").read_text() == "old"
    told = subprocess.run(["git", "-C", content, "remote", "get-url", "origin"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == repository.url


@pytest.fixture
def dumb_server(tmp_path: Path) -> Iterator[tuple[BareRepository, str]]:
    """A repository that is served as plain files, which gives no single commits."""
    repository = BareRepository(tmp_path / "served" / "r.git")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path / "served"))
    handler.func.log_message = lambda *arguments: None  # type: ignore[method-assign]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    with in_thread(server):
        yield repository, f"http://127.0.0.1:{server.server_port}/r.git"


async def test_a_server_that_gives_no_single_commits_gives_everything(
    build_directory: BuildDirectory, dumb_server: tuple[BareRepository, str]
) -> None:
    repository, url = dumb_server
    old = repository.commit({"a": "old"})
    repository.commit({"a": "new"})
    repository._git("update-server-info")
    made = await build_directory.make(build_directory.ask(url, old))
    assert made.error is None, made.log
    assert "The server gives no single commits; fetching all history." in made.log
    assert Path(build_directory.manifest(made.build)["content"], "a").read_text() == "old"


async def test_a_server_that_gives_no_single_commits_gives_a_pull_request(
    build_directory: BuildDirectory, dumb_server: tuple[BareRepository, str]
) -> None:
    repository, url = dumb_server
    repository.commit({"a": "main"})
    proposed = repository.commit({"a": "proposed"}, branch="proposal", parent="main")
    repository._git("update-ref", "refs/pull/12/head", proposed)
    repository._git("update-ref", "-d", "refs/heads/proposal")
    repository._git("update-server-info")
    made = await build_directory.make(build_directory.ask(url, proposed, ref="pull/12/head"))
    assert made.error is None, made.log
    assert Path(build_directory.manifest(made.build)["content"], "a").read_text() == "proposed"


def with_submodule(repository: Repository, folder: Path, url: str, commit: str) -> None:
    """Commit a submodule at `sub` that leads to a commit of `url`."""
    environment = repository.environment()
    clone = ["git", "clone", "--quiet", str(repository.directory), str(folder)]
    link = ["git", "update-index", "--add", "--cacheinfo", f"160000,{commit},sub"]
    subprocess.run(clone, env=environment, check=True)
    (folder / ".gitmodules").write_text(f'[submodule "sub"]\n\tpath = sub\n\turl = {url}\n')
    for command in (link, ["git", "add", ".gitmodules"], ["git", "commit", "--quiet", "-m", "Add sub"], ["git", "push", "--quiet", "origin", "main"]):
        subprocess.run(command, cwd=folder, env=environment, check=True)


async def test_submodules_are_checked_out(build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path) -> None:
    sub = new_repository({"inner.txt": "deep"}, name="sub")
    repository = new_repository({"a": "b"})
    with_submodule(repository, tmp_path / "clone", sub.url, sub.rev("main"))
    made = await make(build_directory, repository)
    assert made.error is None, made.log
    assert Path(build_directory.manifest(made.build)["content"], "sub", "inner.txt").read_text() == "deep"


async def test_a_submodule_of_a_server_that_gives_no_part_of_a_history_is_checked_out(
    build_directory: BuildDirectory, dumb_server: tuple[BareRepository, str], new_repository: NewRepository, tmp_path: Path
) -> None:
    sub, url = dumb_server
    old = sub.commit({"inner.txt": "old"})
    sub.commit({"inner.txt": "new"})
    sub._git("gc", "--quiet")
    sub._git("update-server-info")
    repository = new_repository({"a": "b"})
    with_submodule(repository, tmp_path / "clone", url, old)
    made = await make(build_directory, repository)
    assert made.error is None, made.log
    assert Path(build_directory.manifest(made.build)["content"], "sub", "inner.txt").read_text() == "old"


async def test_a_submodule_cannot_lead_into_this_machine(build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path) -> None:
    sub = new_repository({"inner.txt": "deep"}, name="sub")
    repository = new_repository({"a": "b"})
    with_submodule(repository, tmp_path / "clone", f"file://{sub.directory}", sub.rev("main"))
    made = await make(build_directory, repository)
    assert error_of(made)["code"] == "fetch_failed"
    assert error_of(made)["message"].startswith("The submodule sub of the repository, at file:///")
    assert error_of(made)["message"].endswith("could not be fetched: that is no address that may be used.")


async def test_a_submodule_inside_another_and_one_at_a_relative_address_are_checked_out(
    build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path
) -> None:
    inner, outer, repository = (new_repository({"inner.txt": name}, name=name) for name in ("inner", "outer", "project"))
    with_submodule(outer, tmp_path / "outer", "../inner.git", inner.rev("main"))
    with_submodule(repository, tmp_path / "project", "../outer", outer.rev("main"))
    made = await make(build_directory, repository)
    assert made.error is None, made.log
    assert Path(build_directory.manifest(made.build)["content"], "sub", "sub", "inner.txt").read_text() == "inner"


async def test_a_submodule_that_is_named_and_not_committed_is_left_out(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = https://host.invalid/x\n'})
    assert (await make(build_directory, repository)).error is None


SUBMODULES = {
    "{server}/o/gone.git": "at {server}/o/gone.git, could not be fetched: it does not exist or is not public.",
    "http://alice:s3kret@{host}/o/gone.git": "at http://***@{host}/o/gone.git, could not be fetched: it does not exist or is not public.",
    "git@127.0.0.1:o/r.git": "at git@127.0.0.1:o/r.git, could not be fetched: builds have no key for ssh.",
    "ssh://git@127.0.0.1:1/o/r.git": "at ssh://git@127.0.0.1:1/o/r.git, could not be fetched: builds have no key for ssh.",
    "{repository}": "at {repository}, could not be fetched: its server does not give the commit 1111111.",
    "../gone": "at {owner}/gone, could not be fetched: it does not exist or is not public.",
}


@pytest.mark.parametrize("url", SUBMODULES, ids=range(len(SUBMODULES)))
async def test_a_submodule_that_fails_is_named_with_its_address_and_why(
    build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path, url: str
) -> None:
    repository = new_repository({"a": "b"})
    owner = repository.url.rsplit("/", 1)[0]
    server = owner.rsplit("/", 1)[0]
    places = {"server": server, "host": server.removeprefix("http://"), "owner": owner, "repository": repository.url}
    with_submodule(repository, tmp_path / "clone", url.format(**places), "1" * 40)
    made = await make(build_directory, repository)
    assert error_of(made)["message"] == f"The submodule sub of the repository, {SUBMODULES[url].format(**places)}"
    assert ("Write https://127.0.0.1/o/r.git in .gitmodules" in error_of(made)["hint"]) == ("git@" in url)
    assert "s3kret" not in str(made)


# What is there is not made again


async def test_the_next_commit_with_the_same_environment_installs_nothing(
    build_directory: BuildDirectory, new_repository: NewRepository, package_index: PackageIndex
) -> None:
    repository = new_repository({"requirements.txt": "common==1.0\n"})
    first = await make(build_directory, repository)
    repository.commit({"README.md": "more"})
    package_index.asked.clear()
    second = await make(build_directory, repository)
    assert (first.error, second.error, package_index.asked) == (None, None, [])
    assert any(FOUND in line for line in second.log)
    assert not any(FOUND in line for line in first.log)
    one, two = build_directory.manifest(first.build), build_directory.manifest(second.build)
    assert one["environment"] == two["environment"]
    assert one["content"] != two["content"]
    assert installed(build_directory, second.build, "import base, common; print(common.version)") == "1.0"


async def test_an_environment_with_the_files_of_one_that_was_tried_is_not_tried_again(
    build_directory: BuildDirectory, new_repository: NewRepository
) -> None:
    repository = new_repository({"requirements.txt": "starts\n"})
    first = await make(build_directory, repository)
    repository.commit({"requirements.txt": "# The same.\nstarts\n"})
    same = await make(build_directory, repository)
    repository.commit({"requirements.txt": "starts\ncommon==1.0\n"})
    more = await make(build_directory, repository)
    repository.commit({"requirements.txt": "starts\n", "postBuild": "true\n"})
    scripted = await make(build_directory, repository)
    assert [made.error for made in (first, same, more, scripted)] == [None] * 4
    assert ["It started." in made.log for made in (first, same, more, scripted)] == [True, False, True, True]
    one, two = (build_directory.manifest(made.build)["environment"] for made in (first, same))
    assert one != two


def let_server_end(build_directory: BuildDirectory, build: Build, word: str = "") -> None:
    environment = Path(build_directory.manifest(build)["environment"])
    environment.joinpath("said").write_text(word)
    environment.joinpath("said").rename(environment / "go")


async def being_tried(build_directory: BuildDirectory, build: Build) -> asyncio.Task[Made]:
    """Begin a build, and wait until its image is told as made."""
    making = asyncio.create_task(build_directory.make(build))
    told = build_directory.root / "builds" / build.id / "events.jsonl"
    await until(lambda: making.done() or (told.exists() and b'"made": true' in told.read_bytes()), "the word that the image is made")
    assert not making.done(), making.result()
    return making


async def test_servers_are_started_while_it_is_tried_whether_they_start_and_other_builds_of_the_environment_wait(
    build_directory: BuildDirectory, new_repository: NewRepository
) -> None:
    repository = new_repository({"requirements.txt": "waits\n"})
    first = build_directory.ask(repository.url, repository.rev("main"))
    making = await being_tried(build_directory, first)
    assert await build_directory.images.exists(first.image.name)
    second = build_directory.ask(repository.url, repository.commit({"README.md": "more"}))
    waiting = asyncio.create_task(build_directory.make(second))
    told = build_directory.root / "builds" / second.id / "events.jsonl"
    await until(lambda: told.exists() and b"Waiting for another build" in told.read_bytes(), "the other build")
    assert await build_directory.images.exists(second.image.name) is None
    let_server_end(build_directory, first)
    one, two = await in_time(making), await in_time(waiting)
    assert (one.error, two.error) == (None, None)
    assert any(FOUND in line for line in two.log)
    manifest = build_directory.manifest(first)
    environment = Path(manifest["environment"])
    assert manifest["environment_bytes"] > 0
    assert not [path for path in environment.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o222], "nobody is to write to it"


async def test_an_environment_in_which_no_server_started_is_no_other_builds(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "waits\n"})
    first = build_directory.ask(repository.url, repository.rev("main"))
    making = await being_tried(build_directory, first)
    second = build_directory.ask(repository.url, repository.commit({"README.md": "more"}))
    waiting = asyncio.create_task(being_tried(build_directory, second))
    let_server_end(build_directory, first, "It will never start.")
    assert error_of(await in_time(making))["code"] == "no_singleuser"
    assert await build_directory.images.exists(first.image.name) is None
    remaking = await in_time(waiting)
    let_server_end(build_directory, second)
    two = await in_time(remaking)
    assert two.error is None
    assert not any(FOUND in line for line in two.log)


async def test_what_is_forced_is_tried_before_servers_start_from_it(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "starts\n"})
    assert (await make(build_directory, repository)).error is None
    repository.commit({"requirements.txt": "broken\n"})
    assert error_of(await make(build_directory, repository))["code"] == "no_singleuser"
    forced = build_directory.ask(repository.url, repository.rev("main"), force=True)
    assert error_of(await build_directory.make(forced))["code"] == "no_singleuser"
    assert b'"made": true' not in (build_directory.root / "builds" / forced.id / "events.jsonl").read_bytes()


async def test_two_builds_of_one_environment_at_once_make_it_once(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "common==2.0\n"})
    first = repository.rev("main")
    second = repository.commit({"README.md": "more"})
    one, two = await asyncio.gather(*(build_directory.make_by_process(build_directory.ask(repository.url, commit)) for commit in (first, second)))
    assert (one.error, two.error) == (None, None)
    assert sum(FOUND in line for line in one.log + two.log) == 1
    assert build_directory.manifest(one.build)["environment"] == build_directory.manifest(two.build)["environment"]


@pytest.mark.parametrize(
    "files",
    [
        {"requirements.txt": "-e .\n", "pyproject.toml": "[project]\nname = 'mine'\nversion = '1'\n"},
        {"postBuild": "#!/bin/sh\ncp greeting.py $(echo $NB_PYTHON_PREFIX/lib/python*/site-packages)/mine.py\n"},
    ],
    ids=["-e .", "postBuild"],
)
async def test_an_environment_that_uses_the_tree_is_made_for_every_commit(
    build_directory: BuildDirectory, new_repository: NewRepository, files: Files
) -> None:
    if "pyproject.toml" in files:
        files = {**files, "pyproject.toml": f"{files['pyproject.toml']}{EDITABLE}", "backend.py": BACKEND}
    repository = new_repository({**files, "mine.py": "word = 'one'\n", "greeting.py": "word = 'one'\n"})
    first = await make(build_directory, repository)
    repository.commit({"mine.py": "word = 'two'\n", "greeting.py": "word = 'two'\n"})
    second = await make(build_directory, repository)
    assert (first.error, second.error) == (None, None), first.log + second.log
    assert any("belongs to this commit alone" in line for line in first.log)
    assert build_directory.manifest(first.build)["environment"] != build_directory.manifest(second.build)["environment"]
    words = [installed(build_directory, made.build, "import os; os.chdir('/'); import mine; print(mine.word)") for made in (first, second)]
    assert words == ["one", "two"]


async def test_force_makes_everything_anew_and_keeps_what_a_server_may_use(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "common==1.0\n"})
    first = await make(build_directory, repository)
    old = build_directory.manifest(first.build)
    second = await build_directory.make(build_directory.ask(repository.url, repository.rev("main"), force=True))
    new = build_directory.manifest(second.build)
    assert first.build.image.name == second.build.image.name
    assert {old["environment"], old["content"]}.isdisjoint({new["environment"], new["content"]})
    assert not any(FOUND in line for line in second.log)
    for place in (old, new):
        subprocess.run([f"{place['environment']}/bin/python", "-c", "import common"], check=True)
        assert Path(place["content"], "requirements.txt").exists()


@pytest.mark.parametrize("lost", ["bin/python", ".size.json"], ids=["has lost its Python", "was not tried to the end"])
async def test_an_environment_is_made_anew_that(build_directory: BuildDirectory, new_repository: NewRepository, lost: str) -> None:
    repository = new_repository({"requirements.txt": "common==1.0\n"})
    first = await make(build_directory, repository)
    Path(build_directory.manifest(first.build)["environment"], lost).unlink()
    second = await make(build_directory, repository)
    assert second.error is None, second.log
    assert not any(FOUND in line for line in second.log)
    assert await build_directory.images.exists(second.build.image.name)


async def test_a_repository_without_anything_is_a_plain_environment(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    made = await make(build_directory, new_repository({"README.md": "x"}))
    assert made.error is None
    assert any("plain JupyterLab" in line for line in made.log)
    assert installed(build_directory, made.build, "import base; print(base.version)") == "1.0"
    assert build_directory.manifest(made.build)["start"] is None


async def test_credentials_and_prompts_have_no_place_in_a_build(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    private = new_repository({"a": "b"}, login=("robot", "s3cret"))
    assert error_of(await make(build_directory, private))["code"] == "fetch_failed"


@pytest.mark.parametrize(
    ("files", "ours"),
    [
        ({"data.csv": ""}, True),
        ({"requirements.txt": "common\n"}, True),
        ({"requirements.txt": "common\n# jupyterhub\n"}, False),
        ({"requirements.txt": "common\nJupyterHub-Something; python_version < '3'\n".encode("utf-16")}, False),
        ({"postBuild": "#!/bin/sh\npip download jupyterhub || true\n"}, False),
    ],
)
async def test_a_package_of_this_machine_takes_the_place_of_the_same_version_unless_the_repository_names_jupyterhub(
    build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path, files: Files, ours: bool
) -> None:
    here = PackageIndex(tmp_path / "with space, and comma")
    here.add("base", module="of_this_machine = True\n")
    build_directory.settings = replace(build_directory.settings, packages=str(here.root / "base"))
    repository = new_repository(files)
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error is None, made.log
    assert ("of_this_machine" in module_of(build_directory, made, "base")) is ours


async def test_packages_of_this_machine_go_with_those_that_the_operator_links_to(
    build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, theirs, more = (PackageIndex(tmp_path / name) for name in ("here", "theirs", "more"))
    here.add("base", module="of_this_machine = True\n")
    theirs.add("linked")
    more.add("too")
    monkeypatch.setenv("UV_FIND_LINKS", f"{theirs.root / 'linked'},{more.root / 'too'}")
    build_directory.settings = replace(build_directory.settings, packages=str(here.root / "base"))
    repository = new_repository({"requirements.txt": "linked\ntoo\n"})
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error is None, made.log
    assert "of_this_machine" in module_of(build_directory, made, "base")


async def test_packages_of_this_machine_that_somebody_has_removed_are_not_missed(
    build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path
) -> None:
    build_directory.settings = replace(build_directory.settings, packages=str(tmp_path / "gone"))
    repository = new_repository({"requirements.txt": "common\n"})
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    assert made.error is None, made.log
    assert "version = '1.0'" in module_of(build_directory, made, "base")


def module_of(build_directory: BuildDirectory, made: Made, name: str) -> str:
    """Return the module that a package of an environment is."""
    [file] = Path(build_directory.manifest(made.build)["environment"]).glob(f"lib/python*/site-packages/{name}.py")
    return file.read_text()
