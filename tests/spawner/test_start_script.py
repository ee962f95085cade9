"""The script that starts a container's server, on this machine: the person's home and the image's own."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from spawner import start


@dataclass(frozen=True)
class Container:
    """As much of a container as the script needs: an image's own home, which the system knows, and a volume that is the person's.

    Attributes:
        image_home: the home in the image.
        home: the person's.
        copy: the person's copy of the repository.
    """

    folder: Path

    def __post_init__(self) -> None:
        for path in (self.image_home, self.home, self.folder / "bin"):
            path.mkdir()
        asked = self.folder / "bin" / "getent"
        asked.write_text(f"#!/bin/sh\necho jovyan:x:1000:100::{self.image_home}:/bin/sh\n")
        asked.chmod(0o755)

    @property
    def image_home(self) -> Path:
        return self.folder / "jovyan"

    @property
    def home(self) -> Path:
        return self.folder / "person"

    @property
    def copy(self) -> Path:
        return self.home / "default" / "r-1"

    def starts(
        self, content: Path | None = None, copy: Path | None = None, shown: str = "$JUPYTER_CONFIG_PATH $IPYTHONDIR", **more: str
    ) -> list[str]:
        """Start a server that ends at once; return what is said about the home, then what a server shows of its variables."""
        if content is None:
            content = self.folder / "content"
            content.mkdir(exist_ok=True)
        command = start.command(["sh", "-c", f'echo "{shown}"'], "", content=str(content), copy=str(copy or self.copy))
        environment = {"HOME": str(self.home), "PATH": f"{self.folder}/bin:{os.environ['PATH']}", **more}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
        return [*(line for line in start.said(done.stderr) if "its home" in line), done.stdout.strip()]


def write(path: Path, text: str, changed: int = 0) -> None:
    """Write a file that was changed at a time, in seconds since 1970; 0 for now."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(text)
    if changed:
        os.utime(path, (changed, changed))


def read(folder: Path) -> dict[str, str]:
    """Return the files and links to files in a folder, without those in copies and the list of what was put there."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".binder-"))
    return {name: path.read_text() for path in found if not (name := str(path.relative_to(folder))).startswith("default/")}


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_what_the_image_has_in_its_home_comes_into_the_persons(container: Container) -> None:
    own = {".config/tool/settings.ini": "1", ".bashrc": "2", ".ipython/profile_default/a b.py": "3", "data/-x é.csv": "4", ".jupyter/lab/u": "5"}
    shown = {".local/bin/x": "", ".local/lib/python3.12/site-packages/m.py": "", ".local/share/jupyter/kernels/k/kernel.json": ""}
    for name, text in {**own, **shown, ".cache/x": "", ".local/share/else": "6"}.items():
        write(container.image_home / name, text)
    (container.image_home / ".bashrc").chmod(0o444)
    (container.image_home / "link").symlink_to(".bashrc")
    said, settings = container.starts()
    assert read(container.home) == {**own, ".local/share/else": "6", "link": "2"}
    assert said == "Files that the image has in its home are in yours now: 7."
    assert settings == ":".join(str(folder / ".jupyter") for folder in (container.home, container.copy, container.image_home))
    (container.home / ".bashrc").write_text("mine")
    assert (container.home / "link").is_symlink()
    assert len(container.starts()) == 1, "nothing is new"


def test_what_the_person_did_stays_and_the_rest_follows_newer_images(container: Container) -> None:
    for name in ("a", "b", ".d/c", "e/f"):
        write(container.image_home / name, "old", changed=1000)
    write(container.home / "e", "a file of mine where the image has a folder")
    container.starts()
    write(container.home / "a", "mine")
    for name in ("a", "b", ".d/c", "new"):
        write(container.image_home / name, "newer", changed=2000)
    assert container.starts()[0].endswith(": 3.")
    assert read(container.home) == {"a": "mine", "b": "newer", ".d/c": "newer", "new": "newer", "e": "a file of mine where the image has a folder"}
    for name in ("a", "b"):
        write(container.image_home / name, "newest", changed=3000)
    assert container.starts()[0].endswith(": 1.")
    assert read(container.home)["a"] == "mine"


def test_of_content_that_is_the_images_home_the_repositorys_files_stay_in_the_copy(container: Container) -> None:
    content = container.image_home
    for name in (".github/x.yml", "notebook.ipynb", "data/small.csv", ".ipython/profile_default/startup/00.py"):
        write(content / name, "of the repository")
    for command in (("init", "-q"), ("add", "-A")):
        subprocess.run(["git", *command], cwd=content, check=True)
    for name in (".config/tool/made", ".github/made", "nltk_data/corpus", "data/made.csv"):
        write(content / name, "made")
    [said, settings] = container.starts(content)
    assert read(container.home) == {".config/tool/made": "made", ".github/made": "made"}
    assert (container.home / "nltk_data").readlink() == container.copy / "nltk_data"
    assert not os.path.lexists(container.home / "data")
    assert said.endswith(": 2.")
    assert settings.endswith(str(container.copy / ".ipython"))
    other = container.home / "other" / "r-2"
    container.starts(content, other)
    assert (container.home / "nltk_data").readlink() == other / "nltk_data"
    (container.home / "nltk_data").unlink()
    (container.home / "nltk_data").mkdir()
    container.starts(content)
    assert not (container.home / "nltk_data").is_symlink(), "what the person made stays"


def test_a_large_home_of_an_image_is_not_copied_for_everybody(container: Container) -> None:
    write(container.image_home / ".bashrc", "1")
    with (container.image_home / "model").open("wb") as sparse:
        sparse.truncate(501 * 1024**2)
    assert container.starts()[0] == (
        f"The image has 501 MB of files in its home, and no more than 500 MB are put into yours: they are in {container.image_home}."
    )
    assert read(container.home) == {}


def test_packages_in_editable_mode_and_the_repositorys_folder_are_those_of_the_copy(container: Container) -> None:
    content, packages = container.folder / "content", container.folder / "env" / "lib" / "python3.12" / "site-packages"
    write(packages / "__editable__.one.pth", f"{content}/src\n")
    write(packages / "others.pth", f"import os\n/elsewhere\n{content}-2/src\n")
    mapping = {"two": f"{content}/two", "a.b": f"{content}/deep er/a/b", "not": "/elsewhere/not"}
    write(packages / "__editable___two_finder.py", f"MAPPING: dict[str, str] = {mapping!r}\n")
    variables = {"KERNEL_PYTHON_PREFIX": str(container.folder / "env"), "REPO_DIR": str(content), "PYTHONPATH": "/mine"}
    told = container.starts(shown="$REPO_DIR $PYTHONPATH", **variables)[-1]
    assert told == f"{container.copy} {container.copy}:{container.copy}/deep er:{container.copy}/src:/mine"
    assert container.starts(shown="$REPO_DIR$PYTHONPATH") == [""], "nothing where the image says nothing"
