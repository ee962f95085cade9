"""What one repository brings along never gets into an environment that another one shares.

Every case is made twice, with the same files but for the package that it carries. Either the package is not seen, and then both have the
index's; or each repository has its own, in an environment of its own.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from binderhub_service.models import Build
from tests.harness.build_directory import BuildDirectory, Made
from tests.harness.git_server import Repository
from tests.harness.index_server import PackageIndex
from tests.harness.repository import Files

NewRepository = Callable[..., Repository]
PROJECT = '[project]\nname = "p"\nversion = "1"\nrequires-python = ">=3.8"\ndependencies = ["{needs}"]\n'
WHEEL = "base-9.0-py3-none-any.whl"
LOCK = 'version = 1\nrevision = 3\nrequires-python = ">=3.8"\n'
LOCKED = '[[package]]\nname = "p"\nversion = "1"\nsource = {{ virtual = "." }}\ndependencies = [{{ name = "base" }}]\n'


def project(needs: str = "base", more: str = "") -> str:
    return PROJECT.format(needs=needs) + more


# Not seen: the package that is installed is the index's.
UNSEEN: dict[str, Files] = {
    "uv.toml": {"uv.toml": 'find-links = ["./carried"]\n'},
    "uv.toml with an index": {"uv.toml": '[[index]]\nurl = "./simple"\ndefault = true\n'},
    "settings of uv without a project": {"pyproject.toml": '[tool.uv]\nfind-links = ["./carried"]\n'},
    "settings of pip's index": {"pyproject.toml": '[tool.uv.pip]\nfind-links = ["./carried"]\n'},
    "settings beside a binder folder": {
        "binder/requirements.txt": "base\n",
        "pyproject.toml": '[tool.uv]\nfind-links = ["./carried"]\n',
        "uv.toml": 'find-links = ["./carried"]\n',
    },
    "uv.toml in a binder folder": {"binder/requirements.txt": "base\n", "binder/uv.toml": 'find-links = ["../carried"]\n'},
    "sources without a project": {"requirements.txt": "base\n", "pyproject.toml": f'[tool.uv.sources]\nbase = {{ path = "carried/{WHEEL}" }}\n'},
    "pip's configuration": {"requirements.txt": "base\n", "pip.conf": "[global]\nfind-links = carried\n"},
    "variables in a file": {"requirements.txt": "base\n", ".env": "UV_FIND_LINKS=./carried\n"},
    "a module that Python loads by itself": {"requirements.txt": "base\n", "sitecustomize.py": "raise SystemExit(9)\n"},
    "a package's folder": {"requirements.txt": "base\n", "base/__init__.py": "version = '9.0'\n"},
}

# Seen by its author alone.
TIED: dict[str, Files] = {
    "-f": {"requirements.txt": "-f carried\nbase\n"},
    "--find-links": {"requirements.txt": "--find-links carried\nbase\n"},
    "--find-links with a sign": {"requirements.txt": "--find-links=./carried\nbase\n"},
    "--index-url": {"requirements.txt": "--index-url ./simple\nbase\n"},
    "-i": {"requirements.txt": "-i simple\nbase\n"},
    "--extra-index-url": {"requirements.txt": "--extra-index-url ./simple\nbase\n"},
    "a wheel": {"requirements.txt": f"./carried/{WHEEL}\n"},
    "a wheel without a dot": {"requirements.txt": f"carried/{WHEEL}\n"},
    "name @ file:": {"requirements.txt": f"base @ file:carried/{WHEEL}\n"},
    "name @ path": {"requirements.txt": f"base @ ./carried/{WHEEL}\n"},
    "name @ path from a variable": {"requirements.txt": f"base @ ${{PWD}}/carried/{WHEEL}\n"},
    "path from a variable": {"requirements.txt": f"${{PWD}}/carried/{WHEEL}\n"},
    "a path with a marker": {"requirements.txt": f"base @ ./carried/{WHEEL} ; python_version > '3'\n"},
    "in an included file": {"requirements.txt": "-r deep/more.txt\n", "deep/more.txt": "-f ../carried\nbase\n"},
    "in an included file of an included file": {
        "requirements.txt": "-r a/a.txt\n",
        "a/a.txt": "--requirement=b.txt\n",
        "a/b.txt": f"../carried/{WHEEL}\n",
    },
    "in a constraint": {"requirements.txt": "-c limits.txt\nbase\n", "limits.txt": f"base @ ./carried/{WHEEL}\n"},
    "continued lines": {"requirements.txt": "-f \\\n carried\nbase\n"},
    "a project's requirement": {"pyproject.toml": project(f"base @ file:carried/{WHEEL}")},
    "a project's source": {"pyproject.toml": project(more=f'[tool.uv.sources]\nbase = {{ path = "carried/{WHEEL}" }}\n')},
    "one of a project's sources": {
        "pyproject.toml": project(more=f"[tool.uv.sources]\nbase = [{{ path = 'carried/{WHEEL}', marker = \"python_version > '3'\" }}]\n")
    },
    "a project's index": {"pyproject.toml": project(more='[[tool.uv.index]]\nurl = "./simple"\n')},
    "a project's explicit index": {
        "pyproject.toml": project(
            more='[tool.uv.sources]\nbase = { index = "mine" }\n[[tool.uv.index]]\nname = "mine"\nurl = "./simple"\nexplicit = true\n'
        )
    },
    "a project in a binder folder": {"binder/pyproject.toml": project(f"base @ file:../carried/{WHEEL}")},
    "a lock with a local index": {
        "pyproject.toml": project(),
        "uv.lock": LOCK
        + LOCKED.format()
        + f'[[package]]\nname = "base"\nversion = "9.0"\nsource = {{ registry = "carried" }}\nwheels = [{{ path = "{WHEEL}" }}]\n',
    },
    "a lock with a path": {
        "pyproject.toml": project(more=f'[tool.uv.sources]\nbase = {{ path = "carried/{WHEEL}" }}\n'),
        "uv.lock": LOCK
        + LOCKED.format()
        + f'[[package]]\nname = "base"\nversion = "9.0"\nsource = {{ path = "carried/{WHEEL}" }}\nwheels = [{{ filename = "{WHEEL}" }}]\n',
    },
}

# Said to be wrong: what is named there is never used.
REFUSED: dict[str, Files] = {
    "requires-python is a program": {"pyproject.toml": project().replace(">=3.8", "./python")},
    "requires-python is a program elsewhere": {"pyproject.toml": project().replace(">=3.8", "/usr/bin/python3")},
    "runtime.txt is a program": {"runtime.txt": "./python\n"},
    "an address of a file": {"requirements.txt": "-r file:carried/more.txt\nbase\n"},
}


@dataclass
class Twins:
    """Two builds of the same files, one with a package in version 9.0, the other with something else under the same name."""

    first: Made
    second: Made


@pytest.fixture
def make_twins(build_directory: BuildDirectory, new_repository: NewRepository, tmp_path: Path) -> Callable[[Files], Any]:
    def carried(mark: str) -> dict[str, bytes]:
        index = PackageIndex(tmp_path / mark)
        index.add("base", "9.0", module=f"version = {mark!r}\n")
        wheel = (tmp_path / mark / "base" / WHEEL).read_bytes()
        page = f'<!DOCTYPE html><a href="{WHEEL}">{WHEEL}</a>'.encode()
        return {f"carried/{WHEEL}": wheel, f"simple/base/{WHEEL}": wheel, "simple/base/index.html": page, "python": b"#!/bin/sh\nexit 9\n"}

    async def make(files: Files) -> Twins:
        made = []
        for mark in ("first", "second"):
            repository = new_repository({**files, **carried(mark)}, name=mark)
            made.append(await build_directory.make(build_directory.ask(repository.url, repository.rev("main"))))
        return Twins(*made)

    return make


def version(build_directory: BuildDirectory, build: Build) -> str:
    """Return what the package `base` says in a build's environment."""
    manifest = build_directory.manifest(build)
    command = [f"{manifest['environment']}/bin/python", "-I", "-c", "import base; print(base.version)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("case", UNSEEN)
async def test_what_is_in_no_key_is_not_seen(build_directory: BuildDirectory, make_twins: Callable[[Files], Any], case: str) -> None:
    twins: Twins = await make_twins(UNSEEN[case])
    assert twins.first.error is None, twins.first.log
    assert twins.second.error is None, twins.second.log
    assert [version(build_directory, made.build) for made in (twins.first, twins.second)] == ["1.0", "1.0"]
    assert "nothing to install" in " ".join(twins.second.log)


@pytest.mark.parametrize("case", TIED)
async def test_what_a_definition_takes_from_the_repository_is_its_authors_alone(
    build_directory: BuildDirectory, make_twins: Callable[[Files], Any], case: str
) -> None:
    twins: Twins = await make_twins(TIED[case])
    for made in (twins.first, twins.second):
        assert "It belongs to this commit alone" in " ".join(made.log)
        assert "nothing to install" not in " ".join(made.log)
    if twins.second.error is None:  # uv does not take all of these spellings
        assert version(build_directory, twins.second.build) in {"second", "1.0"}


@pytest.mark.parametrize("case", REFUSED)
async def test_what_would_run_or_read_a_path_is_refused(make_twins: Callable[[Files], Any], case: str) -> None:
    twins: Twins = await make_twins(REFUSED[case])
    assert twins.first.error, twins.first.log
    assert twins.first.error["code"] in {"environment_invalid", "environment_not_supported"}


# Written to by nobody


async def test_an_environment_is_read_only_once_it_is_there(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "base\n"})
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    environment = Path(build_directory.manifest(made.build)["environment"])
    paths = [environment, *environment.rglob("*")]
    assert [path for path in paths if not path.is_symlink() and path.stat().st_mode & 0o222] == []


async def test_an_environment_that_is_read_only_can_be_removed(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    repository = new_repository({"requirements.txt": "base\n"})
    made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
    environment = Path(build_directory.manifest(made.build)["environment"])
    await build_directory.images.delete(made.build.image.name)
    assert not environment.exists()


SPOIL = "#!/bin/sh\nprintf 'version = \"spoilt\"\\n' >\"$(python -c 'import base; print(base.__file__)')\"\n"


async def test_what_a_script_writes_into_a_package_is_in_no_other_environment(build_directory: BuildDirectory, new_repository: NewRepository) -> None:
    for name, files in (("before", {"requirements.txt": "base\n"}), ("spoils", {"postBuild": SPOIL}), ("after", {"requirements.txt": "base==1.0\n"})):
        repository = new_repository(files, name=name)
        made = await build_directory.make(build_directory.ask(repository.url, repository.rev("main")))
        assert made.error is None, made.log
        assert version(build_directory, made.build) == ("spoilt" if name == "spoils" else "1.0")
