"""What a build left in its home comes into a person's, and never over what the person wrote."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from spawner.local.image_home import RECORD, put_into


@pytest.fixture
def image(tmp_path: Path) -> Path:
    folder = tmp_path / "image"
    (folder / ".local" / "share").mkdir(parents=True)
    (folder / ".local" / "share" / "kernel.json").write_text("{}")
    (folder / "words.txt").write_text("one")
    (folder / ".cache").mkdir()
    (folder / ".cache" / "big").write_text("x")
    (folder / "link").symlink_to("words.txt")
    os.mkfifo(folder / "pipe")
    for path in (folder / "words.txt", folder / ".local" / "share" / "kernel.json"):
        path.chmod(0o444)
    return folder


def replace(path: Path, text: str) -> None:
    path.unlink()
    path.write_text(text)


def test_everything_but_the_cache_is_there_and_can_be_written(image: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert put_into(home, image) == 3
    assert (home / "words.txt").read_text() == "one"
    assert (home / "link").readlink() == Path("words.txt")
    assert (home / ".local" / "share" / "kernel.json").exists()
    assert not (home / ".cache").exists()
    assert not (home / "pipe").exists()
    (home / "words.txt").write_text("mine")


def test_what_the_person_changed_or_made_stays(image: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".local").write_text("a file of mine")
    put_into(home, image)
    (home / "words.txt").write_text("mine, longer")
    replace(image / "words.txt", "two")
    assert put_into(home, image) == 0
    assert (home / "words.txt").read_text() == "mine, longer"
    assert (home / ".local").read_text() == "a file of mine"


def test_an_untouched_file_follows_the_image(image: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    put_into(home, image)
    replace(image / "words.txt", "two and more")
    assert put_into(home, image) == 1
    assert (home / "words.txt").read_text() == "two and more"


def test_a_second_start_and_a_spoilt_record_change_nothing(image: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    put_into(home, image)
    assert put_into(home, image) == 0
    (home / RECORD).write_text("{")
    replace(image / "words.txt", "two and more")
    assert put_into(home, image) == 0


def test_an_image_without_a_home_is_nothing(tmp_path: Path) -> None:
    assert put_into(tmp_path / "home", tmp_path / "nowhere") == 0
    assert not (tmp_path / "home").exists()
