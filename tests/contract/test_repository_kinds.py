"""The repositories under `tests/repos` that show what they show without a hub and without JupyterLab, each built by embedded mode's own recipe."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.harness import cases
from tests.harness.build_directory import BuildDirectory, Made
from tests.harness.cases import Case
from tests.harness.git_server import GitServer
from tests.harness.repository import Submodule


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BuildDirectory]:
    """One directory for all of them, so that equal environments are made once; packages are those of the machine's own index."""
    directory = BuildDirectory(tmp_path_factory.mktemp("kinds"))
    directory.settings = replace(directory.settings, base=("tomli",))
    yield directory
    directory.close()


async def make(directory: BuildDirectory, git_server: GitServer, case: Case) -> Made:
    repository = case.serve(git_server, "kinds")
    return await directory.make(directory.ask(repository.url, repository.rev("main")))


@pytest.mark.parametrize("name", cases.names(refused=False, bare=True))
async def test_what_a_repository_asks_for_is_there(directory: BuildDirectory, git_server: GitServer, tmp_path: Path, name: str) -> None:
    case = cases.load(name)
    made = await make(directory, git_server, case)
    assert made.error is None, made.log
    assert case.log is None or any(case.log in line for line in made.log), made.log
    image = directory.manifest(made.build)
    assert image["start"] == case.start
    shutil.copytree(image["content"], tmp_path / "copy", symlinks=True)
    python = Path(image["environment"]) / "bin" / "python"
    done = subprocess.run([python, case.verify], cwd=tmp_path / "copy", capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", cases.names(refused=True, bare=True))
async def test_what_cannot_be_honoured_is_refused_by_name(directory: BuildDirectory, git_server: GitServer, name: str) -> None:
    case = cases.load(name)
    made = await make(directory, git_server, case)
    assert made.error, made.log
    assert case.refused in f"{made.error['message']} {made.error['hint']}"
    assert made.error["hint"], "it says what to do"
    assert case.log is None or any(case.log in line for line in made.log), made.log


async def test_a_requirement_from_a_repository_is_fetched_and_neither_its_lfs_files_nor_folders_of_the_machine_as_its_submodules(
    directory: BuildDirectory, git_server: GitServer
) -> None:
    setup = "setup(name='from-git', version='7', py_modules=['from_git'], data_files=[('share', ['weights.bin', 'whole.bin'])])"
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
    package = {"setup.py": f"from setuptools import setup\n{setup}\n", "from_git.py": "", "weights.bin": pointer, "whole.bin": "whole"}
    repository = git_server.create("kinds/package", package)
    repository.branch("feature/x")
    user = git_server.create("kinds/user", {"requirements.txt": f"-e git+{repository.url}@feature/x#egg=from-git\n"})
    made = await directory.make(directory.ask(user.url, user.rev("main")))
    assert made.error is None, made.log
    assert list(Path(directory.manifest(made.build)["environment"]).glob("lib/*/site-packages/from_git-7.dist-info"))
    assert any(line.startswith("In the package from_git, 1 file is a pointer of Git LFS, not what that stands for") for line in made.log), made.log
    part = repository.commit({"from_git.py": "x"})
    hostile = git_server.create("kinds/hostile", {**package, "part": Submodule(part), ".gitmodules": _module(repository.directory)})
    user = git_server.create("kinds/hostile-user", {"requirements.txt": f"from-git @ git+{hostile.url}\n"})
    made = await directory.make(directory.ask(user.url, user.rev("main")))
    assert made.error, made.log
    assert any("transport 'file' not allowed" in line for line in made.log)


def _module(address: Path) -> str:
    return f'[submodule "part"]\n\tpath = part\n\turl = file://{address}\n'


async def test_postbuild_makes_an_environment_belong_to_its_commit(directory: BuildDirectory, git_server: GitServer) -> None:
    repository = git_server.create("kinds/not-shared", cases.load("post-build-in-python").files())
    environments = set()
    for _ in range(2):
        made = await directory.make(directory.ask(repository.url, repository.rev("main")))
        environments.add(directory.manifest(made.build)["environment"])
        repository.commit({"README.md": "more\n"})
    assert len(environments) == 2
