"""Every image store: one that remembers names, one of directories, a real engine's and a real registry's."""

from __future__ import annotations

import os
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from binderhub_service.common import labels
from binderhub_service.errors import Conflict, Unavailable
from binderhub_service.images.environments import MADE, EnvironmentImages
from binderhub_service.models import Image
from tests.contract.image_stores import EngineShelf, EnvironmentShelf, FakeShelf, RegistryShelf, Shelf
from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.records import source
from tests.harness.registries import OwnRegistry

LOGIN = ("hub", "sekret")
IN_ENGINES = ["engine", "registry", "registry with a password", "registry with tokens"]


@contextmanager
def engine_shelf(kind: str, folder: Path) -> Iterator[EngineShelf]:
    """Give the shelf of the engine or of a registry; skip the test where there is none."""
    if reason := reason_to_skip(registry=kind == "registry"):
        pytest.skip(reason)
    engine = TestEngine(f"t{secrets.token_hex(4)}")
    if kind == "engine":
        yield EngineShelf(engine)
    elif kind == "registry":
        yield RegistryShelf(engine, os.environ["TEST_REGISTRY"])
    else:
        with OwnRegistry(folder / "registry", login=LOGIN, tokens=kind.endswith("tokens")).running() as registry:
            yield RegistryShelf(engine, registry.host, LOGIN)


@pytest.fixture(params=["fake", "environments", *IN_ENGINES])
async def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shelf]:
    makers: dict[str, Callable[[], Shelf]] = {"fake": FakeShelf, "environments": lambda: EnvironmentShelf(tmp_path)}
    with nullcontext(makers[request.param]()) if request.param in makers else engine_shelf(request.param, tmp_path) as shelf:
        yield shelf
        await shelf.close()


@pytest.fixture(params=IN_ENGINES[:2])
async def containers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineShelf]:
    with engine_shelf(request.param, tmp_path) as shelf:
        yield shelf
        await shelf.close()


@pytest.fixture
def directories(tmp_path: Path) -> EnvironmentShelf:
    return EnvironmentShelf(tmp_path)


async def test_a_name_is_a_function_of_the_source(shelf: Shelf) -> None:
    name = shelf.images.name_for(source(1))
    assert name == shelf.images.name_for(source(1)) == shelf.images.name_for(replace(source(1), ref="v1"))
    assert name != shelf.images.name_for(source(2))
    assert name != shelf.images.name_for(source(1, repo="https://git.example.org/o/other"))


async def key_of(shelf: Shelf, name: str) -> str | None:
    """Return the key of an image's environment, or None if the image is not there."""
    image = await shelf.images.exists(name)
    assert image is None or image.name == name
    return image.environment if image else None


async def test_an_image_is_there_when_it_was_made_and_says_its_environment(shelf: Shelf) -> None:
    a, b = shelf.name("a"), shelf.name("b")
    assert await key_of(shelf, a) is None
    shelf.put(a, "key-of-a")
    assert await key_of(shelf, a) == "key-of-a"
    assert await key_of(shelf, b) is None


async def test_all_that_is_there_is_listed(shelf: Shelf) -> None:
    assert await shelf.images.all() == []
    both = {shelf.name("a"), shelf.name("b")}
    for name in both:
        shelf.put(name)
    stored = await shelf.images.all()
    assert {image.name for image in stored} == both
    assert all(image.bytes > 0 and image.used_by == () for image in stored)


async def test_a_deleted_image_is_gone_and_others_stay(shelf: Shelf) -> None:
    a, b = shelf.name("a"), shelf.name("b")
    shelf.put(a, "key-of-a")
    shelf.put(b, "key-of-b")
    await shelf.images.delete(a)
    await shelf.images.delete(a)
    await shelf.images.delete(shelf.name("never-there"))
    assert await key_of(shelf, a) is None
    assert await key_of(shelf, b) == "key-of-b"
    assert [image.name for image in await shelf.images.all()] == [b]


async def test_an_image_can_come_back(shelf: Shelf) -> None:
    a = shelf.name("a")
    shelf.put(a)
    await shelf.images.delete(a)
    shelf.put(a)
    assert await shelf.images.exists(a)


async def test_a_shared_environment_outlives_the_first_of_its_images_but_not_the_last(shelf: Shelf) -> None:
    a, b = shelf.name("a"), shelf.name("b")
    shelf.put(a, "shared")
    shelf.put(b, "shared")
    await shelf.images.delete(a)
    assert await key_of(shelf, b) == "shared"
    await shelf.images.delete(b)
    assert await key_of(shelf, b) is None


# Engines and registries


@pytest.mark.parametrize("kind", IN_ENGINES[2:])
@pytest.mark.parametrize("login", [("hub", "wrong"), None])
async def test_a_registry_with_a_login_says_nothing_without_it(kind: str, login: tuple[str, str] | None, tmp_path: Path) -> None:
    with engine_shelf(kind, tmp_path) as shelf:
        a = shelf.name("a")
        shelf.put(a)
        stranger = RegistryShelf(shelf.engine, a.partition("/")[0], login)
        for ask in (stranger.images.exists(a), stranger.images.all(), stranger.images.delete(a)):
            with pytest.raises(Unavailable) as caught:
                await ask
            assert caught.value.code == "registry_login_failed"
            assert "wrong" not in caught.value.message
        assert await shelf.images.exists(a)
        await stranger.close()
        await shelf.close()


async def test_a_deleted_image_is_gone_from_the_engine_in_any_case(containers: EngineShelf) -> None:
    a = containers.name("a")
    containers.put(a)
    await containers.images.delete(a)
    assert not containers.engine.has_image(a)


async def test_an_image_that_a_server_runs_from_stays(containers: EngineShelf) -> None:
    a = containers.name("a")
    containers.put(a)
    server = containers.engine.client.create_container(
        a, name=f"{containers.engine.mark}-server", labels={labels.USER: "ada", labels.SERVER: "maths"}
    )
    assert [(image.name, image.used_by) for image in await containers.images.all()] == [(a, ("ada/maths",))]
    with pytest.raises(Conflict) as caught:
        await containers.images.delete(a)
    assert caught.value.code == "image_in_use"
    assert await containers.images.exists(a)
    containers.engine.client.remove_container(server["Id"])
    await containers.images.delete(a)
    assert await containers.images.exists(a) is None


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
