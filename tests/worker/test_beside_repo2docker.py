"""What repo2docker 2026.4.0 makes of the repositories under `tests/repos`, beside what the modes make of them, and the documents' table of it."""

from __future__ import annotations

import builtins
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import requests

from binderhub_service.errors import BuildFailed
from binderhub_service.worker.definition import Definition
from binderhub_service.worker.environment_files import REPO2DOCKER_FILES
from binderhub_service.worker.environments import definition_in
from tests.harness import cases

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # repo2docker imports something by an old name
    from repo2docker.app import Repo2Docker
    from repo2docker.buildpacks.julia.julia_require import JuliaRequireBuildPack

PAGE = Path(__file__).parents[2] / "docs" / "repositories.md"
PROGRAMS_WORDS = ("read", "not read", "refused")
EMBEDDED_WORDS = ("read", "not read", "refused", "said")
# What is no file that describes an environment, or what is not looked at in a checkout.
OTHER_WORDS = ("fetched", "content", "settings", "refused")
# What is installed without being named, by what installs it.
_OF_PIP = "install --no-cache-dir ."
INSTALLED = {
    "pyproject.toml": _OF_PIP,
    "setup.py": _OF_PIP,
    "setup.cfg": _OF_PIP,
    "DESCRIPTION": "remotes::install_local()",
    "Project.toml": "Pkg.instantiate()",
}


@dataclass(frozen=True)
class Row:
    """A line of the table.

    Attributes:
        files: names of files, or of folders with a slash at the end.
        program, embedded, docker: the cells' first words.
        folders: of `tests/repos`.
    """

    files: tuple[str, ...]
    program: str
    embedded: str
    docker: str
    folders: tuple[str, ...]

    def paths(self, folder: Path) -> set[str]:
        """Return those files of a checkout that the line is about."""
        found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() or path.is_symlink()}
        return {path for path in found if any(_is(path, name) for name in self.files)}


def _is(path: str, name: str) -> bool:
    return path.startswith(name) if name.endswith("/") else path == name or PurePosixPath(path).name == name


def _rows() -> Iterator[Row]:
    lines = PAGE.read_text().partition("| File |")[2].partition("\n\n")[0].splitlines()[2:]
    for line in lines:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        assert len(cells) == 6, line
        words = [re.split(r"[:;,]", cell)[0] for cell in cells[1:4]]
        yield Row(tuple(re.findall(r"`([^`]+)`", cells[0])), *words, folders=tuple(re.findall(r"[a-z0-9-]+", cells[5])))


ROWS = list(_rows())


@pytest.fixture
def checkout(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a case's files."""
    cases.load(request.getfixturevalue("name")).write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass(frozen=True)
class Reading:
    """What repo2docker makes of a folder.

    Attributes:
        read: the files that have an effect on the image, apart from being in it.
        error: why it refuses the folder.
    """

    read: frozenset[str]
    error: str = ""


def reading_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Reading:
    """Let repo2docker choose how to build the working directory and write the Dockerfile; nothing is built, and nobody is asked."""
    opened: set[str] = set()
    usual_open = builtins.open

    def noting(file: Any, *arguments: Any, **options: Any) -> Any:
        opened.add(str(file).removeprefix("./"))
        return usual_open(file, *arguments, **options)

    with monkeypatch.context() as context:
        context.setattr(builtins, "open", noting)
        context.setattr(requests, "get", lambda *_arguments, **_options: _Answer({"1.10.0": {}}))  # versions of Julia
        context.setattr(requests, "post", lambda *_arguments, **_options: _Answer({"upsi": "1"}))  # a day's versions of R's packages
        try:
            text = _dockerfile(Repo2Docker(platform="linux/amd64"))
        except (ValueError, RuntimeError) as error:
            return Reading(frozenset(), str(error))
    paths = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    read = {path for path in paths if path not in INSTALLED and (path in opened or _names(text, path))}
    return Reading(frozenset(read | {path for path, command in INSTALLED.items() if path in paths and command in text}))


@dataclass(frozen=True)
class _Answer:
    content: dict[str, Any]

    def json(self) -> dict[str, Any]:
        return self.content


def _dockerfile(app: Repo2Docker) -> str:
    for kind in app.buildpacks:
        buildpack = kind(base_image=app.base_image)
        if buildpack.detect():
            break
    else:
        buildpack = app.default_buildpack(base_image=app.base_image)
    buildpack.platform = app.platform
    if isinstance(buildpack, JuliaRequireBuildPack):
        buildpack.build()  # only says why not
    return str(buildpack.render())


def _names(dockerfile: str, path: str) -> bool:
    return bool(re.search(rf"(?:^|[\s\"'=]|\./|\}}/|src/){re.escape(path)}(?:$|[\s\"'])", dockerfile, re.MULTILINE))


def test_every_folder_is_in_the_table_and_every_line_is_tried() -> None:
    assert {folder for row in ROWS for folder in row.folders} == set(cases.every())
    assert all(row.folders for row in ROWS)
    assert all(row.program in PROGRAMS_WORDS + OTHER_WORDS for row in ROWS)
    assert all(row.embedded in EMBEDDED_WORDS + OTHER_WORDS for row in ROWS)
    assert all(row.docker in ("as repo2docker", "fetched", "refused", "settings") for row in ROWS)


@pytest.mark.parametrize("name", cases.every())
def test_the_table_says_what_repo2docker_does(checkout: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = reading_of(checkout, monkeypatch)
    for row in (row for row in ROWS if name in row.folders and row.program in PROGRAMS_WORDS and row.files):
        told = row.paths(checkout)
        assert told, f"{name} has none of {row.files}"
        assert bool(reading.error) == (row.program == "refused"), reading
        if row.program != "refused":
            assert bool(told & reading.read) == (row.program == "read"), reading


@pytest.mark.parametrize("name", cases.every())
def test_the_table_says_what_embedded_mode_does(checkout: Path, name: str) -> None:
    case = cases.load(name)
    for row in (row for row in ROWS if name in row.folders and row.embedded in EMBEDDED_WORDS and row.files):
        told = row.paths(checkout)
        if row.embedded == "refused":
            assert case.refused
            assert any(file.strip("/") in case.refused for file in row.files)
            continue
        definition = definition_in(checkout)
        said = any(path in note for note in definition.notes for path in told)
        assert said if row.embedded == "said" else bool(told & set(definition.files)) == (row.embedded == "read"), definition


@pytest.mark.parametrize("name", cases.every())
def test_no_image_is_shared_by_commits_of_which_repo2docker_reads_other_files(checkout: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = reading_of(checkout, monkeypatch)
    refused = any(name in row.folders and row.files and row.docker == "refused" for row in ROWS)
    try:
        definition: Definition | None = definition_in(checkout, REPO2DOCKER_FILES)
    except BuildFailed:
        definition = None
    assert (definition is None) == refused
    assert definition is None or definition.tied_to_commit or reading.read <= set(definition.files)
