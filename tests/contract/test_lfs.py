"""What a build makes of files that a repository keeps with Git LFS."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from binderhub_service.common.address_rules import AddressRules
from binderhub_service.worker.job import ProcessLimits
from spawner.local import working_copy
from tests.harness.build_directory import BuildDirectory, Made
from tests.harness.git_server import Repository
from tests.harness.repository import Submodule

NewRepository = Callable[..., Repository]
KEPT = b"a large file\0" * 100
ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
needs_lfs = pytest.mark.skipif(not shutil.which("git-lfs"), reason="needs git-lfs")


@pytest.fixture
def repository(new_repository: NewRepository) -> Repository:
    """A repository with two files that are kept with Git LFS."""
    repository = new_repository({".gitattributes": ATTRIBUTES, "README.md": "version https://git-lfs.github.com/spec/v1 is what we use\n"})
    repository.commit({"data/a.bin": repository.keep_for_lfs(KEPT), "b.bin": repository.keep_for_lfs(KEPT + b"b")})
    return repository


async def make(build_directory: BuildDirectory, repository: Repository, limits: ProcessLimits = ProcessLimits()) -> Made:  # noqa: B008  # frozen
    return await build_directory.make(build_directory.ask(repository.url, repository.rev("main")), limits)


def content_of(build_directory: BuildDirectory, made: Made) -> Path:
    assert made.error is None, made.log
    return Path(build_directory.manifest(made.build)["content"])


@needs_lfs
async def test_the_files_are_there(build_directory: BuildDirectory, repository: Repository) -> None:
    made = await make(build_directory, repository)
    content = content_of(build_directory, made)
    assert ((content / "data" / "a.bin").read_bytes(), (content / "b.bin").read_bytes()) == (KEPT, KEPT + b"b")
    assert "pointer" not in str(made.log)
    assert build_directory.manifest(made.build)["notes"] == []
    assert not (content / ".git" / "lfs").exists(), "once is enough"


@needs_lfs
async def test_an_untouched_copy_follows_such_a_repository(build_directory: BuildDirectory, repository: Repository, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    working_copy.place(content_of(build_directory, await make(build_directory, repository)), repository.rev("main"), copy)
    assert (copy / "b.bin").read_bytes() == KEPT + b"b"
    repository.commit({"b.bin": repository.keep_for_lfs(b"newer"), "README.md": "newer"})
    told = working_copy.place(content_of(build_directory, await make(build_directory, repository)), repository.rev("main"), copy)
    assert "untouched" in told
    assert ((copy / "b.bin").read_bytes(), (copy / "data" / "a.bin").read_bytes(), (copy / "README.md").read_text()) == (b"newer", KEPT, "newer")


@needs_lfs
async def test_what_the_server_does_not_give_is_said(build_directory: BuildDirectory, repository: Repository) -> None:
    repository.lfs.popitem()
    made = await make(build_directory, repository)
    note = "1 file is a pointer of Git LFS, not what that stands for: the server did not give it."
    assert note in made.log
    assert build_directory.manifest(made.build)["notes"] == [note]


@needs_lfs
@pytest.mark.parametrize("address", ["file:///srv/secrets", "ssh://git@host.invalid/r"])
async def test_the_repository_sends_git_lfs_to_web_addresses_only(build_directory: BuildDirectory, repository: Repository, address: str) -> None:
    repository.commit({".lfsconfig": f"[lfs]\n\turl = {address}\n"})
    content = content_of(build_directory, await make(build_directory, repository))
    assert (content / "b.bin").read_bytes() == KEPT + b"b", "from the repository's own server"


@needs_lfs
async def test_files_in_a_submodule_are_there_and_those_that_are_missing_are_said(
    build_directory: BuildDirectory, repository: Repository, new_repository: NewRepository
) -> None:
    outer = new_repository({".gitmodules": '[submodule "data"]\n\tpath = parts/data\n\turl = ../project.git\n'}, name="outer")
    outer.commit({"parts/data": Submodule(repository.rev("main"))})
    made = await make(build_directory, outer)
    assert (content_of(build_directory, made) / "parts" / "data" / "b.bin").read_bytes() == KEPT + b"b"
    repository.lfs.popitem()
    outer.commit({"README.md": "newer"})
    made = await make(build_directory, outer)
    assert "1 file is a pointer of Git LFS in the submodule parts/data, not what that stands for: the server did not give it." in made.log


async def test_where_only_public_addresses_may_be_asked_nothing_is_fetched_and_that_is_said(
    build_directory: BuildDirectory, repository: Repository
) -> None:
    rules = AddressRules(public_only=True, exceptions=("127.0.0.1",))
    made = await make(build_directory, repository, ProcessLimits(addresses=rules))
    assert any(line.startswith("2 files are pointers of Git LFS") and "public addresses" in line for line in made.log), made.log
    assert repository.count("objects/batch") == 0


async def test_without_the_program_it_is_said_that_it_is_missing(
    build_directory: BuildDirectory, repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    for folder in reversed(os.environ["PATH"].split(os.pathsep)):
        for program in Path(folder).glob("*"):
            if program.name != "git-lfs":
                (programs / program.name).unlink(missing_ok=True)
                (programs / program.name).symlink_to(program)
    monkeypatch.setenv("PATH", str(programs))
    made = await make(build_directory, repository)
    assert any(line.startswith("2 files are pointers of Git LFS") and "not installed" in line for line in made.log), made.log
