"""The engine buildah, as repo2docker calls it, over a program that stands in for buildah."""

from __future__ import annotations

import io
import json
import sys
import tarfile
import warnings
from pathlib import Path
from typing import Any

import entrypoints
import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # repo2docker imports something by an old name
    from repo2docker.app import Repo2Docker
    from repo2docker.engine import BuildError

    from binderhub_service.worker.buildah_engine import BuildahEngine

# repo2docker leaves the pipe that it reads from to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
PROGRAM = """\
import json, pathlib, sys
arguments = sys.argv[1:]
if arguments[0] == "inspect":
    if arguments[-1] == "there:1":
        print(json.dumps({"Docker": {"config": {"Cmd": ["x"]}}}))
    sys.exit(0 if arguments[-1] == "there:1" else 125)
folder = pathlib.Path(arguments[-1])
files = {path.relative_to(folder).as_posix(): path.readlink().as_posix() if path.is_symlink() else path.read_text()
         for path in folder.rglob("*") if path.is_symlink() or path.is_file()}
pathlib.Path(NOTES).write_text(json.dumps([arguments, files]))
print("STEP 1/1: FROM x", flush=True)
sys.exit(7 if "fail" in files else 0)
"""


@pytest.fixture
def notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a stand-in for buildah notes what it was given."""
    file, program = tmp_path / "notes", tmp_path / "bin" / "buildah"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nNOTES = {str(file)!r}\n{PROGRAM}")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return file


def engine() -> BuildahEngine:
    """Return the engine as repo2docker makes it."""
    return BuildahEngine(parent=Repo2Docker())


def context(**files: str) -> io.BytesIO:
    """Return a tar file; what begins with ``->`` is a link."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            if text.startswith("->"):
                entry.type, entry.linkname = tarfile.SYMTYPE, text[2:]
            entry.size = 0 if text.startswith("->") else len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    made.seek(0)
    return made


def told(notes: Path) -> Any:
    return json.loads(notes.read_text())


def test_repo2docker_finds_it_by_its_name() -> None:
    assert entrypoints.get_single("repo2docker.engines", "buildah").load() is BuildahEngine


def test_a_folder_is_built(notes: Path, tmp_path: Path) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    lines = list(
        engine().build(
            path=str(folder), dockerfile="binder/Dockerfile", tag="a:1", buildargs={"NB_UID": "1000"}, labels={"a": "--b c"}, platform="linux/amd64",
            load=False, push=False, cache_from=[], container_limits={},
        )
    )  # fmt: skip
    assert lines == ["STEP 1/1: FROM x\n"]
    rest = ["--tag=a:1", "--build-arg=NB_UID=1000", "--label=a=--b c", "--platform=linux/amd64", "--file=binder/Dockerfile", str(folder)]
    assert told(notes)[0] == ["bud", "--isolation=chroot", "--cap-drop=CAP_SYS_CHROOT", "--layers", "--format=docker", *rest]


def test_a_tar_file_is_built_with_its_links_as_links(notes: Path) -> None:
    list(engine().build(fileobj=context(Dockerfile="FROM x", link="->/etc/passwd"), tag="a:1", custom_context=True, buildargs={}, cache_from=[]))
    assert told(notes)[1] == {"Dockerfile": "FROM x", "link": "/etc/passwd"}


def test_what_buildah_refuses_is_an_error(notes: Path) -> None:
    with pytest.raises(BuildError, match="exit status 7"):
        list(engine().build(fileobj=context(fail="x"), tag="a:1"))


def test_it_does_not_push(notes: Path) -> None:
    with pytest.raises(BuildError, match="does not push"):
        list(engine().build(path="/", tag="a:1", push=True))
    assert not notes.exists()


def test_images_are_looked_up(notes: Path) -> None:
    found = engine().inspect_image("there:1")
    assert found is not None
    assert found.config == {"WorkingDir": "", "Cmd": ["x"]}
    assert engine().inspect_image("not-there:1") is None
    assert engine().images() == []
