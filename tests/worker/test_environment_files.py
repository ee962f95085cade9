"""What files that only repo2docker honours say about the rest of the tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderhub_service.errors import BuildFailed
from binderhub_service.worker.definition import Definition
from binderhub_service.worker.environment_files import REPO2DOCKER_FILES
from binderhub_service.worker.environments import definition_in

SHARED = {
    "environment.yml": [
        "channels: [conda-forge]\ndependencies:\n  - python=3.11\n  - pip:\n    - numpy\n    - git+https://host/o/r@main\n",
        "# -e .\nname: x\ndependencies:\n- r-base\n",
    ],
    "apt.txt": ["git\ncurl\n"],
    "install.R": ["install.packages('jsonlite')\n"],
    "Project.toml": ['[deps]\nIJulia = "7073ff75-c697-5162-941a-fcdaad2a7d2a"\n'],
    "Manifest.toml": ['julia_version = "1.10"\n[[deps.A]]\ngit-tree-sha1 = "x"\n'],
    "REQUIRE": ["julia 0.6\n"],
    "Pipfile": ['[packages]\nnumpy = "*"\n'],
    "runtime.txt": ["r-4.3-2023-10-01\n", "python-3.12\n"],
    "requirements.txt": ["numpy\n"],
}
TIED = {
    "Dockerfile": ["FROM x\n"],
    "default.nix": ["{}"],
    "DESCRIPTION": ["Package: x\n"],
    "environment.yml": [
        "dependencies:\n - pip:\n   - -e .\n",
        "dependencies:\n - pip:\n   - -r requirements.txt\n",
        "dependencies:\n - pip: ['./local']\n",
        "dependencies:\n - pip:\n   - x @ file:///tmp/x\n",
        "dependencies:\n - pip:\n   - '--editable=.'\n",
    ],
    "install.R": ["source('helpers.R')\n", "devtools::install_local('.')\n"],
    "Project.toml": ['name = "Mine"\nuuid = "x"\n', "not = [toml"],
    "Manifest.toml": ['[[deps.Mine]]\npath = ".."\n'],
    "Pipfile": ['[packages]\nmine = {path = ".", editable = true}\n'],
    "postBuild": ["#!/bin/sh\n"],
    "setup.py": [""],
    ".dockerignore": ["data\n"],
    "requirements.txt": ["-e .\n", "./wheel.whl\n"],
}


def read(folder: Path, **files: str) -> Definition:
    for name, content in files.items():
        (folder / name).write_text(content)
    return definition_in(folder, REPO2DOCKER_FILES)


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, contents in SHARED.items() for content in contents])
def test_an_environment_that_its_files_describe_is_shared(tmp_path: Path, name: str, content: str) -> None:
    definition = read(tmp_path, **{name: content})
    assert definition.tied_to_commit is None
    assert list(definition.files) == [name]


@pytest.mark.parametrize(("name", "content"), [(name, content) for name, contents in TIED.items() for content in contents])
def test_an_environment_that_may_use_the_tree_belongs_to_its_commit(tmp_path: Path, name: str, content: str) -> None:
    definition = read(tmp_path, **{name: content})
    assert definition.tied_to_commit
    assert name in definition.tied_to_commit


def test_a_dockerfile_decides_alone(tmp_path: Path) -> None:
    definition = read(tmp_path, Dockerfile="FROM x", **{"requirements.txt": "-r nowhere.txt", "pyproject.toml": "broken"})
    assert list(definition.files) == ["Dockerfile"]


def test_without_a_mode_that_honours_them_they_are_refused(tmp_path: Path) -> None:
    (tmp_path / "apt.txt").write_text("git")
    with pytest.raises(BuildFailed) as caught:
        definition_in(tmp_path)
    assert caught.value.code == "environment_not_supported"


@pytest.mark.parametrize("name", sorted(REPO2DOCKER_FILES))
def test_no_file_may_lead_out_of_the_tree(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(BuildFailed) as caught:
        definition_in(tmp_path, REPO2DOCKER_FILES)
    assert caught.value.code == "environment_invalid"


def test_requirements_may_not_lead_out_of_the_tree_either(tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").symlink_to("/etc/passwd")
    with pytest.raises(BuildFailed):
        definition_in(tmp_path, REPO2DOCKER_FILES)
