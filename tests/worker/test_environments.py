"""What a repository's files say about its environment."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from binderhub_service.errors import BuildFailed
from binderhub_service.worker.definition import Definition
from binderhub_service.worker.environment_files import REPO2DOCKER_FILES
from binderhub_service.worker.environments import definition_in

SOME = "six==1.16.0\n"
PROJECT = "[project]\nname = 'p'\nversion = '1'\ndependencies = ['six']\n"
PACKAGE = PROJECT + "[build-system]\nrequires = ['setuptools']\n"
Read = Callable[[Mapping[str, str | bytes]], Definition]
PYLOCK = """lock-version = "1.0"
requires-python = ">=3.11"
[[packages]]
name = "x"
wheels = [{ url = "https://host/x-1-py3-none-any.whl", hashes = { sha256 = "0" } }]
"""
LOCK = "version = 1\n[[package]]\nname = 'p'\nsource = { virtual = '.' }\n"


def write(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@pytest.fixture
def read(tmp_path: Path) -> Read:
    return lambda files: definition_in(write(tmp_path, files))


# What defines it

TOLD_ELSEWHERE = {"files", "rewritten", "notes"}
FOUND = {
    "nothing at all": ({"README.md": "x"}, {}),
    "requirements": ({"requirements.txt": SOME}, {"requirements": "requirements.txt"}),
    "requirements in binder": (
        {"binder/requirements.txt": SOME, "requirements.txt": "other"},
        {"folder": "binder", "requirements": "binder/requirements.txt"},
    ),
    "requirements in .binder": (
        {".binder/requirements.txt": SOME, "requirements.txt": "other"},
        {"folder": ".binder", "requirements": ".binder/requirements.txt"},
    ),
    "an empty binder folder hides the root": ({"binder/README": "", "requirements.txt": SOME}, {"folder": "binder"}),
    "a file named binder is no folder": ({"binder": "x", "requirements.txt": SOME}, {"requirements": "requirements.txt"}),
    "a folder named requirements.txt is no file": ({"requirements.txt/x": ""}, {}),
    "a project": ({"pyproject.toml": PROJECT}, {"project": "pyproject.toml"}),
    "a project in binder is never a package": ({"binder/pyproject.toml": PACKAGE}, {"folder": "binder", "project": "binder/pyproject.toml"}),
    "a locked project": ({"pyproject.toml": PROJECT, "uv.lock": LOCK}, {"project": "pyproject.toml", "locked": True}),
    "a pylock.toml": ({"pylock.toml": PYLOCK}, {"pylock": "pylock.toml", "python": ">=3.11"}),
    "a lock without a project": ({"uv.lock": LOCK}, {}),
    "settings of tools are no project": ({"pyproject.toml": "[tool.ruff]\nline-length = 99\n"}, {}),
    "a project that is no table": ({"pyproject.toml": "project = 7\n"}, {}),
    "requires-python": ({"pyproject.toml": PROJECT + "requires-python = '>=3.11'\n"}, {"project": "pyproject.toml", "python": ">=3.11"}),
    "requires-python that is no text": ({"pyproject.toml": PROJECT + "requires-python = 3\n"}, {"project": "pyproject.toml"}),
    "runtime.txt": ({"runtime.txt": "python-3.12\n"}, {"python": "3.12"}),
    "runtime.txt with a patch version": ({"runtime.txt": "python-3.12.4"}, {"python": "3.12.4"}),
    "runtime.txt with only a comment": ({"runtime.txt": "# none\n\n", ".python-version": "3.11"}, {"python": "3.11"}),
    ".python-version": ({".python-version": "# pyenv\n3.13\n3.12\n"}, {"python": "3.13"}),
    "runtime.txt wins": ({"runtime.txt": "python-3.11", ".python-version": "3.13"}, {"python": "3.11"}),
    "a version file wins over requires-python": (
        {".python-version": "3.12", "pyproject.toml": PROJECT + "requires-python = '>=3.11'\n"},
        {"project": "pyproject.toml", "python": "3.12"},
    ),
    "start": ({"start": '#!/bin/sh\nexec "$@"\n'}, {"start": "start"}),
    "start in binder": ({"binder/start": "x", "start": "y"}, {"folder": "binder", "start": "binder/start"}),
    "requirements and a project": (
        {"requirements.txt": SOME, "pyproject.toml": PROJECT},
        {"requirements": "requirements.txt", "project": "pyproject.toml"},
    ),
    "what needs another mode is ignored in the root beside a binder folder": (
        {"binder/requirements.txt": SOME, "Dockerfile": "x"},
        {"folder": "binder", "requirements": "binder/requirements.txt"},
    ),
    "a package of Poetry's": (
        {"pyproject.toml": "[tool.poetry]\nname = 'p'\n[build-system]\nrequires = ['poetry-core']\n"},
        {"package": True, "tied_to_commit": "the repository itself is installed (pyproject.toml)"},
    ),
    "setup.cfg alone": ({"setup.cfg": "[metadata]\nname = p\n"}, {}),
    "a name of pyenv is no version": ({".python-version": "miniconda3-latest"}, {}),
    "nor is a program": ({".python-version": "./python"}, {}),
    "UTF-16": ({"requirements.txt": "six\n".encode("utf-16")}, {"requirements": "requirements.txt"}),
    "a byte order mark": ({"runtime.txt": b"\xef\xbb\xbfpython-3.12"}, {"python": "3.12"}),
}


@pytest.mark.parametrize("case", FOUND)
def test_the_files_that_define_it_are_found(read: Read, case: str) -> None:
    files, wanted = FOUND[case]
    found: Definition = read(files)
    told = {name: value for name, value in vars(found).items() if name not in TOLD_ELSEWHERE and value != vars(Definition())[name]}
    assert told == wanted


def test_everything_that_was_read_is_part_of_the_definition(read: Read) -> None:
    files = {"requirements.txt": "-r more.txt\n", "more.txt": SOME, "start": "x", "runtime.txt": "python-3.12", "postBuild": "y", "README.md": "z"}
    assert set(read(files).files) == set(files) - {"README.md"}


# May it be shared between commits?

TIED = {
    "postBuild": {"postBuild": "#!/bin/sh\n"},
    "setup.py": {"setup.py": "from setuptools import setup; setup()"},
    "a package": {"pyproject.toml": PACKAGE},
    "dynamic dependencies": {"pyproject.toml": "[project]\nname = 'p'\nversion = '1'\ndynamic = ['dependencies']\n"},
    "-e .": {"requirements.txt": "-e .\n"},
    "--editable=./x": {"requirements.txt": "--editable=./x\n"},
    ".": {"requirements.txt": ".\n"},
    "./x": {"requirements.txt": "./x\n"},
    "../x": {"requirements.txt": "../x\n"},
    ".[extra]": {"requirements.txt": ".[extra] ; python_version > '3'\n"},
    "sub/folder": {"requirements.txt": "sub/folder\n"},
    "file:": {"requirements.txt": "file:x\n"},
    "file://": {"requirements.txt": "file:///srv/x\n"},
    "name @ file:": {"requirements.txt": "x @ file:///srv/x\n"},
    "name @ ./x": {"requirements.txt": "x @ ./x\n"},
    "name@./x": {"requirements.txt": "x@./x\n"},
    "a wheel": {"requirements.txt": "x-1-py3-none-any.whl\n"},
    "-f folder": {"requirements.txt": "-f wheels\n"},
    "--find-links=folder": {"requirements.txt": "--find-links=./wheels\n"},
    "in an included file": {"requirements.txt": "-r deep/more.txt\n", "deep/more.txt": "-e ..\n"},
    "continued lines": {"requirements.txt": "-e \\\n ./x\n"},
    "a pylock.toml with a folder": {"pylock.toml": "[[packages]]\nname = 'x'\ndirectory = { path = 'x' }\n"},
    "a pylock.toml with a wheel": {"pylock.toml": "[[packages]]\nname = 'x'\nwheels = [{ path = 'x-1-py3-none-any.whl' }]\n"},
    "a pylock.toml with a file's address": {"pylock.toml": "[[packages]]\nname = 'x'\narchive = { url = 'file:///x-1.zip' }\n"},
    "a lock with local packages": {"pyproject.toml": PROJECT, "uv.lock": "[[package]]\nname = 'x'\nsource = { editable = 'x' }\n"},
}


@pytest.mark.parametrize("case", TIED)
def test_what_depends_on_the_rest_of_the_tree_belongs_to_its_commit(read: Read, case: str) -> None:
    definition: Definition = read(TIED[case])
    assert definition.tied_to_commit
    assert definition.key("a", "s") != definition.key("b", "s")


SHARED = {
    "nothing": {},
    "a version": {"requirements.txt": "six == 1.16.0 ; python_version > '3'\n"},
    "extras": {"requirements.txt": "jupyter-server[test]>=2\n"},
    "an address": {"requirements.txt": "x @ https://host/x-1.zip\n"},
    "an address without a space": {"requirements.txt": "x@https://host/x-1.zip\n"},
    "a repository": {"requirements.txt": "git+https://host/o/r@v1#egg=x\n-e git+https://host/o/r#egg=y\n"},
    "an index": {"requirements.txt": "--index-url https://host/simple\n-f https://host/wheels\nsix\n"},
    "a comment about a path": {"requirements.txt": "six  # not ./this\n# -e .\n"},
    "start": {"start": "x"},
    "a project": {"pyproject.toml": PROJECT},
    "a locked project": {"pyproject.toml": PROJECT, "uv.lock": LOCK},
    "a pylock.toml": {"pylock.toml": PYLOCK},
    "included files": {"requirements.txt": "-r a.txt\n-c b.txt\n", "a.txt": SOME, "b.txt": SOME},
    "an include from elsewhere": {"requirements.txt": "-r https://host/requirements.txt\n"},
}


@pytest.mark.parametrize("case", SHARED)
def test_what_depends_on_its_files_alone_is_shared_by_commits(read: Read, case: str) -> None:
    definition: Definition = read(SHARED[case])
    assert definition.tied_to_commit is None
    assert definition.key("a", "s") == definition.key("b", "s")


def test_the_reason_names_the_file_and_the_line(read: Read) -> None:
    reason = read({"requirements.txt": "-r more.txt", "more.txt": "./lib\n", "postBuild": "x"}).tied_to_commit
    assert reason == "more.txt names a local path (./lib); postBuild may use any file"


def test_files_in_requirements_include_each_other_in_circles(read: Read) -> None:
    files = {"requirements.txt": "-r a/one.txt\n", "a/one.txt": "--requirement=../two.txt\n", "two.txt": "-rrequirements.txt\n-c a/./one.txt\n"}
    assert set(read(files).files) == set(files)


# Keys


def test_equal_files_and_settings_have_equal_keys_and_nothing_else_counts(tmp_path: Path) -> None:
    one = definition_in(write(tmp_path / "1", {"requirements.txt": SOME, "README.md": "a"}))
    two = definition_in(write(tmp_path / "2", {"requirements.txt": SOME, "notebook.ipynb": "b"}))
    assert one.key("a", "s") == two.key("b", "s")


@pytest.mark.parametrize(
    "files", [{"requirements.txt": "six==1.15.0\n"}, {"other.txt": SOME, "requirements.txt": "-r other.txt\n"}, {"binder/requirements.txt": SOME}, {}]
)
def test_another_file_is_another_key(tmp_path: Path, files: dict[str, str]) -> None:
    one = definition_in(write(tmp_path / "1", {"requirements.txt": SOME}))
    (tmp_path / "2").mkdir()
    assert one.key("a", "s") != definition_in(write(tmp_path / "2", files)).key("a", "s")


def test_other_settings_are_another_key(read: Read) -> None:
    definition: Definition = read({"requirements.txt": SOME})
    assert definition.key("a", "s") != definition.key("a", "t")


# What is refused

REFUSED = {
    "two folders": ({"binder/x": "", ".binder/x": ""}, "environment_ambiguous", "both"),
    "an r runtime": ({"runtime.txt": "r-4.3-2024-01-01"}, "environment_not_supported", "runtime.txt"),
    "broken TOML": ({"pyproject.toml": "[project"}, "environment_invalid", "pyproject.toml"),
    "a broken lock": ({"pyproject.toml": PROJECT, "uv.lock": "}"}, "environment_invalid", "uv.lock"),
    "UTF-16 without a mark": ({"requirements.txt": SOME.encode("utf-16-le")}, "environment_invalid", "requirements.txt is not UTF-8 text"),
    "no text": ({"requirements.txt": b"\xc3\x28"}, "environment_invalid", "requirements.txt"),
    "an include that is not there": ({"requirements.txt": "-r nowhere.txt"}, "environment_invalid", "nowhere.txt"),
    "an include from above": ({"requirements.txt": "-r ../../../../etc/hostname"}, "environment_invalid", "leads out"),
    "an include by address of a file": ({"requirements.txt": "-r file:///etc/hostname"}, "environment_invalid", "does not exist"),
    "the same without a blank": ({"requirements.txt": "-rfile:///etc/hostname"}, "environment_invalid", "does not exist"),
    "a constraint by address of a file": ({"requirements.txt": "--constraint=file:/etc/hostname"}, "environment_invalid", "does not exist"),
    "an include from the home": ({"requirements.txt": "-r ${HOME}/.netrc"}, "environment_invalid", "does not exist"),
    "deep TOML": ({"pyproject.toml": f"a = {'[' * 100_000}"}, "environment_invalid", "nested too deeply"),
    "a broken pylock.toml": ({"pylock.toml": "}"}, "environment_invalid", "pylock.toml"),
    "a deep lock": ({"pyproject.toml": PROJECT, "uv.lock": f"a = {'[' * 100_000}"}, "environment_invalid", "nested too deeply"),
    "an absolute include": ({"requirements.txt": "-r /etc/hostname"}, "environment_invalid", "leads out"),
    "an include whose name is too long": ({"requirements.txt": "-r " + "x" * 300}, "environment_invalid", "xxx"),
    "an include with a zero byte": ({"requirements.txt": "-r a\0b"}, "environment_invalid", "cannot be read"),
    "an environment of conda": (
        {"requirements.txt": "name: x\ndependencies:\n  - six\n"},
        "environment_invalid",
        "The line name: x of requirements.txt",
    ),
    "a list of conda": ({"requirements.txt": "- six\n"}, "environment_invalid", "which is conda's"),
    "dynamic that is no list": ({"pyproject.toml": "[project]\nname = 'p'\ndynamic = 5\n"}, "environment_invalid", "pyproject.toml"),
    "packages that are no list": ({"pyproject.toml": PROJECT, "uv.lock": "package = 5\n"}, "environment_invalid", "uv.lock"),
    "a large file": ({"requirements.txt": b"#" * (10 * 1024 * 1024 + 1)}, "environment_invalid", "larger"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_understood_is_refused_by_name(read: Read, case: str) -> None:
    files, code, said = REFUSED[case]
    with pytest.raises(BuildFailed) as caught:
        read(files)
    assert caught.value.code == code
    assert said in caught.value.message
    assert caught.value.hint


NOT_HERE = [
    "Dockerfile",
    "environment.yml",
    "environment.yaml",
    "apt.txt",
    "install.R",
    "DESCRIPTION",
    "Project.toml",
    "REQUIRE",
    "default.nix",
    "Pipfile",
]


@pytest.mark.parametrize("folder", ["", "binder/", ".binder/"])
@pytest.mark.parametrize("name", NOT_HERE)
def test_what_needs_another_mode_is_refused_with_the_modes_that_can(read: Read, folder: str, name: str) -> None:
    with pytest.raises(BuildFailed, match="embedded mode") as caught:
        read({f"{folder}{name}": "x", f"{folder}requirements.txt": SOME})
    assert caught.value.code == "environment_not_supported"
    assert f"{folder}{name}" in caught.value.message
    assert "docker" in (caught.value.hint or "")
    assert "kubernetes" in (caught.value.hint or "")


# Links


@pytest.mark.parametrize("name", ["requirements.txt", "postBuild", "start", "runtime.txt", "pyproject.toml", "setup.py"])
def test_a_link_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, {"secret": "token", "repo/README.md": ""})
    (tmp_path / "repo" / name).symlink_to(tmp_path / "secret")
    with pytest.raises(BuildFailed, match="leads out") as caught:
        definition_in(tmp_path / "repo")
    assert "token" not in str(caught.value.as_dict())


def test_a_folder_that_leads_out_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"outside/requirements.txt": SOME, "repo/README.md": ""})
    (tmp_path / "repo" / "binder").symlink_to(tmp_path / "outside")
    with pytest.raises(BuildFailed, match="leads out"):
        definition_in(tmp_path / "repo")


def test_a_link_within_the_repository_is_followed(tmp_path: Path) -> None:
    write(tmp_path, {"envs/all.txt": SOME})
    (tmp_path / "requirements.txt").symlink_to("envs/all.txt")
    assert definition_in(tmp_path).files == {"requirements.txt": SOME.encode()}


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"requirements.txt": "-r circle.txt"})
    (tmp_path / "circle.txt").symlink_to("circle.txt")
    with pytest.raises(BuildFailed, match=r"circle\.txt"):
        definition_in(tmp_path)


# What is not honoured is said

NOTED = {
    "a lock of Poetry": ({"poetry.lock": ""}, "poetry.lock is not read"),
    "requirements.in": ({"requirements.in": "six"}, "requirements.in is not read"),
    "setup.cfg alone": ({"setup.cfg": "[metadata]\nname = p\n"}, "setup.cfg alone makes no package"),
    "an option of pip": ({"requirements.txt": "--no-deps\nsix"}, "The option --no-deps in requirements.txt"),
    "a name of pyenv": ({".python-version": "pypy3.10"}, "'pypy3.10', which is no version of Python"),
    "groups alone": ({"pyproject.toml": "[dependency-groups]\ndev = ['six']\n"}, "in dependency-groups only"),
    "a script of Windows' editor": ({"postBuild.txt": "true\n"}, "postBuild.txt is not read: postBuild would be"),
    "requirements by another name": ({"requirements_binder.txt": "six"}, "requirements_binder.txt is not read: requirements.txt would be"),
    "a mistyped name": ({"requirement.txt": "six"}, "requirement.txt is not read: requirements.txt would be"),
    "a lock of uv's": ({"uv.lock": ""}, "uv.lock is not read"),
    "a lock of R's": ({"renv.lock": "{}"}, "renv.lock is not read"),
    "a lock of Julia's": ({"Manifest.toml": ""}, "Manifest.toml is not read"),
    "a flake": ({"flake.nix": ""}, "flake.nix is not read: only default.nix is"),
    "requirements without an ending": ({"requirements": "six"}, "requirements is not read: requirements.txt would be"),
    "an environment by another name": ({"env.yaml": ""}, "env.yaml is not read: only environment.yml is"),
    "a folder of requirements": (
        {"requirements/base.txt": "six", "requirements/dev.txt": "-r base.txt"},
        "requirements/base.txt, requirements/dev.txt are not read; only requirements.txt and the like in the root or a folder binder/ are, "
        "e.g. a requirements.txt with the line -r requirements/base.txt.",
    ),
    "many files elsewhere": (
        {name: "" for name in (".devcontainer/devcontainer.json", "compose.yml", "docker/Dockerfile", "env/environment.yml", "web/requirements.txt")},
        "compose.yml, .devcontainer/devcontainer.json, docker/Dockerfile and 2 more are not read",
    ),
    "a folder in a folder binder": ({"binder/requirements/base.txt": "six"}, "binder/requirements/base.txt is not read"),
    "a folder, and a version of Python": ({"runtime.txt": "python-3.11", "requirements/base.txt": "six"}, "requirements/base.txt is not read"),
    "what a folder hides": (
        {"binder/postBuild": "true\n", "requirements.txt": SOME},
        "requirements.txt in the root is not read: where there is a folder binder",
    ),
    "no package": (
        {"pyproject.toml": "[tool.poetry]\npackage-mode = false\n[build-system]\nrequires = ['poetry-core']\n"},
        "pyproject.toml says that this is no package",
    ),
}


@pytest.mark.parametrize("case", NOTED)
def test_what_is_not_honoured_is_said(read: Read, case: str) -> None:
    files, said = NOTED[case]
    assert any(said in note for note in read(files).notes)


@pytest.mark.parametrize("name", ["requirements.txt", "postBuild", "setup.py"])
def test_files_elsewhere_are_not_said_where_something_is_read(read: Read, name: str) -> None:
    assert read({name: "", "requirements/base.txt": "six", "docker/Dockerfile": ""}).notes == ()


def test_nothing_is_said_of_files_that_describe_no_environment(read: Read) -> None:
    assert read({"README.md": "", "data/list.txt": "", "docs/start": "", ".github/requirements.txt": "six", "start": ""}).notes == ()


NOTED_OF_REPO2DOCKER = {
    "a folder of requirements": ({"requirements/base.txt": "six"}, "requirements/base.txt is not read"),
    "locks": ({"poetry.lock": "", "uv.lock": ""}, "poetry.lock, uv.lock are not read"),
    "a mistyped name": ({"requirement.txt": "six"}, "requirement.txt is not read"),
    "a project that is no package": ({"pyproject.toml": PROJECT}, "What pyproject.toml depends on is not installed"),
}


@pytest.mark.parametrize("case", NOTED_OF_REPO2DOCKER)
def test_what_repo2docker_does_not_read_is_said(tmp_path: Path, case: str) -> None:
    files, said = NOTED_OF_REPO2DOCKER[case]
    write(tmp_path, files)
    (note,) = definition_in(tmp_path, REPO2DOCKER_FILES).notes
    assert said in note


@pytest.mark.parametrize("name", ["environment.yml", "environment.yaml", "requirements.txt", "Dockerfile", "apt.txt", "install.R", "postBuild"])
def test_of_what_repo2docker_reads_nothing_is_said(tmp_path: Path, name: str) -> None:
    write(tmp_path, {name: "", "requirements/base.txt": "six", "poetry.lock": "", "requirements-dev.txt": ""})
    assert definition_in(tmp_path, REPO2DOCKER_FILES).notes == ()


def test_a_file_in_another_encoding_is_written_anew_for_uv(read: Read) -> None:
    assert read({"requirements.txt": "six\n".encode("utf-16")}).rewritten == {"requirements.txt": "six\n"}
    assert read({"requirements.txt": "six\n"}).rewritten == {}
    assert read({"pyproject.toml": PROJECT.encode("utf-16")}).rewritten == {"pyproject.toml": PROJECT}
    assert read({"pyproject.toml": "[tool.black]\n".encode("utf-16")}).rewritten == {}


def test_what_a_folder_hides_is_not_said_of_what_it_includes_or_has_itself(read: Read) -> None:
    files = {"binder/requirements.txt": "-r ../requirements.txt\n", "binder/start": "", "start": "", "requirements.txt": SOME, "setup.py": ""}
    assert read(files).notes == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [("runtime.txt", "python-3.12-2024-01-01"), ("runtime.txt", "3.12"), (".python-version", "cpython-3.12"), (".python-version", "3.12\n3.11")],
)
def test_a_version_of_python_has_several_forms(read: Read, name: str, said: str) -> None:
    assert read({name: said}).python == "3.12"


UNREADABLE_HERE = {
    "a pyproject.toml": {"binder/pyproject.toml": "[project", "binder/environment.yml": "name: x\n"},
    "requirements": {"requirements.txt": b"\xc3\x28"},
    "an include that is missing": {"requirements.txt": "-r nowhere.txt\n"},
    "a version of Python": {".python-version": b"\xc3\x28"},
}


@pytest.mark.parametrize("case", UNREADABLE_HERE)
def test_what_only_another_program_reads_belongs_to_its_commit(tmp_path: Path, case: str) -> None:
    definition = definition_in(write(tmp_path, UNREADABLE_HERE[case]), REPO2DOCKER_FILES)
    assert definition.tied_to_commit
