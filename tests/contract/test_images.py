"""Every image store: one that remembers names, and one of directories."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from binderhub_service.errors import Unavailable
from binderhub_service.images import Images
from binderhub_service.images.environments import MADE, EnvironmentImages
from binderhub_service.images.fake import FakeImages
from binderhub_service.models import Image
from tests.harness.records import source


class Shelf(ABC):
    """A store of images, and how something gets into it."""

    images: Images

    @abstractmethod
    def put(self, name: str, key: str = "key") -> None:
        """Make an image complete."""


class FakeShelf(Shelf):
    def __init__(self) -> None:
        self.images: FakeImages = FakeImages()

    def put(self, name: str, key: str = "key") -> None:
        self.images.there[name] = Image(name, key)


class EnvironmentShelf(Shelf):
    """Writes what the recipe writes, step by step: see `binderhub_service.images.environments`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.images: EnvironmentImages = EnvironmentImages(root, "settings")
        self._builds = 0

    def put(self, name: str, key: str = "key", *, force: bool = False) -> None:
        link = self.root / "environments" / key
        if force or not link.exists():
            self.link("environments", key, self.make_environment(key))
        self.link("images", name, self.make_image(name, key, link.resolve()))

    def make_environment(self, key: str) -> Path:
        self._builds += 1
        made = self.root / "environments" / MADE / f"{key}.b{self._builds}"
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "python").touch()
        return made

    def make_image(self, name: str, key: str, environment: Path) -> Path:
        self._builds += 1
        made = self.root / "images" / MADE / f"{name}.b{self._builds}"
        (made / "content").mkdir(parents=True)
        manifest = {"environment": str(environment), "key": key, "content": str(made / "content"), "content_bytes": 1, "environment_bytes": 1}
        (made / "image.json").write_text(json.dumps(manifest))
        return made

    def link(self, folder: str, name: str, made: Path) -> None:
        link = self.root / folder / name
        link.unlink(missing_ok=True)
        link.symlink_to(made)


@pytest.fixture(params=["fake", "environments"])
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    return FakeShelf() if request.param == "fake" else EnvironmentShelf(tmp_path)


@pytest.fixture
def directories(tmp_path: Path) -> EnvironmentShelf:
    return EnvironmentShelf(tmp_path)


async def test_a_name_is_a_function_of_the_source(shelf: Shelf) -> None:
    name = shelf.images.name_for(source(1))
    assert name == shelf.images.name_for(source(1)) == shelf.images.name_for(replace(source(1), ref="v1"))
    assert name != shelf.images.name_for(source(2))
    assert name != shelf.images.name_for(source(1, repo="https://git.example.org/o/other"))


async def test_an_image_is_there_when_it_was_made_and_says_its_environment(shelf: Shelf) -> None:
    assert await shelf.images.exists("a") is None
    shelf.put("a", "key-of-a")
    assert await shelf.images.exists("a") == Image("a", "key-of-a")
    assert await shelf.images.exists("b") is None


async def test_all_that_is_there_is_listed(shelf: Shelf) -> None:
    assert await shelf.images.all() == []
    shelf.put("a")
    shelf.put("b")
    stored = await shelf.images.all()
    assert {image.name for image in stored} == {"a", "b"}
    assert all(image.bytes > 0 and image.used_by == () for image in stored)


async def test_a_deleted_image_is_gone_and_others_stay(shelf: Shelf) -> None:
    shelf.put("a", "key-of-a")
    shelf.put("b", "key-of-b")
    await shelf.images.delete("a")
    await shelf.images.delete("a")
    await shelf.images.delete("never there")
    assert await shelf.images.exists("a") is None
    assert await shelf.images.exists("b") == Image("b", "key-of-b")
    assert [image.name for image in await shelf.images.all()] == ["b"]


async def test_an_image_can_come_back(shelf: Shelf) -> None:
    shelf.put("a")
    await shelf.images.delete("a")
    shelf.put("a")
    assert await shelf.images.exists("a")


async def test_a_shared_environment_outlives_the_first_of_its_images_but_not_the_last(shelf: Shelf) -> None:
    shelf.put("a", "shared")
    shelf.put("b", "shared")
    await shelf.images.delete("a")
    assert await shelf.images.exists("b") == Image("b", "shared")
    await shelf.images.delete("b")
    assert await shelf.images.exists("b") is None


# Directories


async def test_names_differ_by_settings_and_are_one_path_segment(tmp_path: Path) -> None:
    names = {EnvironmentImages(tmp_path, settings).name_for(source(1)) for settings in ("a", "b")}
    assert len(names) == 2
    assert not any("/" in name or name.startswith(".") for name in names)


HALF_MADE: dict[str, Callable[[EnvironmentShelf], None]] = {
    "nothing": lambda shelf: None,
    "an environment only": lambda shelf: shelf.link("environments", "key", shelf.make_environment("key")),
    "not linked yet": lambda shelf: shelf.make_image("a", "key", shelf.make_environment("key")).touch(),
    "no manifest": lambda shelf: (shelf.make_environment("key"), shelf.link("images", "a", shelf.root / "images" / "nowhere"))[0].touch(),
}


@pytest.mark.parametrize("step", HALF_MADE)
async def test_what_is_half_made_is_not_there(directories: EnvironmentShelf, step: str) -> None:
    (directories.root / "images").mkdir()
    HALF_MADE[step](directories)
    assert await directories.images.exists("a") is None
    assert await directories.images.all() == []


@pytest.mark.parametrize("lost", ["environments/.made/key.b1/bin/python", "images/.made/a.b2/content", "images/.made/a.b2/image.json"])
async def test_what_has_lost_a_part_is_not_there(directories: EnvironmentShelf, lost: str) -> None:
    directories.put("a")
    path = directories.root / lost
    path.rmdir() if path.is_dir() else path.unlink()
    assert await directories.images.exists("a") is None


async def test_deleting_leaves_no_directory(directories: EnvironmentShelf) -> None:
    directories.put("a")
    await directories.images.delete("a")
    left = [path for path in directories.root.glob("*/*") if path.name != MADE] + list(directories.root.glob("*/.made/*.b*"))
    assert left == []


async def test_deleting_an_image_leaves_the_newer_environment_that_another_one_has(directories: EnvironmentShelf) -> None:
    directories.put("a", "shared")
    directories.put("b", "shared", force=True)
    await directories.images.delete("a")
    assert await directories.images.exists("b") == Image("b", "shared")


async def test_deleting_an_image_leaves_the_older_environment_that_another_one_has(directories: EnvironmentShelf) -> None:
    directories.put("a", "shared")
    directories.put("b", "shared", force=True)
    await directories.images.delete("b")
    assert await directories.images.exists("a") == Image("a", "shared")


def made_in(directories: EnvironmentShelf) -> set[str]:
    return {path.name for path in directories.root.glob("*/.made/*.b*")}


async def test_tidying_removes_what_was_replaced_and_what_was_left_half_made(directories: EnvironmentShelf) -> None:
    directories.put("a")
    directories.put("a", force=True)
    directories.make_environment("half-made")
    await directories.images.tidy(set())
    assert made_in(directories) == {"key.b3", "a.b4"}
    assert await directories.images.exists("a") == Image("a", "key")


async def test_tidying_leaves_what_builds_are_making_and_what_older_images_need(directories: EnvironmentShelf) -> None:
    directories.put("a", "shared")
    directories.put("b", "shared", force=True)
    directories.make_environment("being-made")
    await directories.images.tidy({"b5"})
    assert made_in(directories) == {"shared.b1", "a.b2", "shared.b3", "b.b4", "being-made.b5"}


async def test_a_directory_that_cannot_be_read_is_not_an_absent_image(directories: EnvironmentShelf) -> None:
    (directories.root / "images").mkdir()
    (directories.root / "images" / "a").symlink_to("a")
    with pytest.raises(Unavailable):
        await directories.images.exists("a")
