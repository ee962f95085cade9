"""Every image store: a store that remembers names, a store of directories, a real engine's and a real registry's."""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

from binderhub_service.common import labels
from binderhub_service.errors import Conflict, Unavailable
from binderhub_service.images.environments import MADE, EnvironmentImages
from binderhub_service.images.locks import locked
from binderhub_service.models import Image, now
from binderhub_service.names import new_build_id
from tests.contract.image_stores import EngineImageStore, EnvironmentImageStore, FakeImageStore, ImageStore, RegistryImageStore
from tests.docker.servers.engine import TestEngine, reason_to_skip
from tests.harness.records import source
from tests.harness.registries import OwnRegistry
from tests.harness.waiting import in_time

LOGIN = ("hub", "sekret")
IN_ENGINES = ["engine", "registry", "registry with a password", "registry with tokens"]


@contextmanager
def engine_image_store(kind: str, folder: Path) -> Iterator[EngineImageStore]:
    """Give the image_store of the engine or of a registry; skip the test where there is none."""
    if reason := reason_to_skip(registry=kind == "registry"):
        pytest.skip(reason)
    engine = TestEngine(f"t{secrets.token_hex(4)}")
    if kind == "engine":
        yield EngineImageStore(engine)
    elif kind == "registry":
        yield RegistryImageStore(engine, os.environ["TEST_REGISTRY"])
    else:
        with OwnRegistry(folder / "registry", login=LOGIN, tokens=kind.endswith("tokens")).running() as registry:
            yield RegistryImageStore(engine, registry.host, LOGIN)


@pytest.fixture(params=["fake", "environments", *IN_ENGINES])
async def image_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ImageStore]:
    makers: dict[str, Callable[[], ImageStore]] = {"fake": FakeImageStore, "environments": lambda: EnvironmentImageStore(tmp_path)}
    with nullcontext(makers[request.param]()) if request.param in makers else engine_image_store(request.param, tmp_path) as image_store:
        yield image_store
        await image_store.close()


@pytest.fixture(params=IN_ENGINES[:2])
async def containers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EngineImageStore]:
    with engine_image_store(request.param, tmp_path) as image_store:
        yield image_store
        await image_store.close()


@pytest.fixture
def directories(tmp_path: Path) -> EnvironmentImageStore:
    return EnvironmentImageStore(tmp_path)


async def test_a_name_is_a_function_of_the_source(image_store: ImageStore) -> None:
    name = image_store.images.name_for(source(1))
    assert name == image_store.images.name_for(source(1)) == image_store.images.name_for(replace(source(1), ref="v1"))
    assert name != image_store.images.name_for(source(2))
    assert name != image_store.images.name_for(source(1, repo="https://git.example.org/o/other"))


async def key_of(image_store: ImageStore, name: str) -> str | None:
    """Return the key of an image's environment, or None if the image is not there."""
    image = await image_store.images.exists(name)
    assert image is None or image.name == name
    return image.environment if image else None


async def test_an_image_is_there_when_it_was_made_and_says_its_environment(image_store: ImageStore) -> None:
    a, b = image_store.name("a"), image_store.name("b")
    assert await key_of(image_store, a) is None
    image_store.put(a, "key-of-a")
    assert await key_of(image_store, a) == "key-of-a"
    assert await key_of(image_store, b) is None


async def test_all_that_is_there_is_listed(image_store: ImageStore) -> None:
    assert await image_store.images.all() == []
    both = {image_store.name("a"), image_store.name("b")}
    for name in both:
        image_store.put(name)
    stored = await image_store.images.all()
    assert {image.name for image in stored} == both
    assert all(image.bytes > 0 and image.used_by == () for image in stored)


@pytest.mark.parametrize("way", ["delete", "withdraw"])
async def test_a_deleted_image_is_gone_and_others_stay(image_store: ImageStore, way: str) -> None:
    remove = getattr(image_store.images, way)
    a, b = image_store.name("a"), image_store.name("b")
    image_store.put(a, "key-of-a")
    image_store.put(b, "key-of-b")
    await remove(a)
    await remove(a)
    await remove(image_store.name("never-there"))
    assert await key_of(image_store, a) is None
    assert await key_of(image_store, b) == "key-of-b"
    assert [image.name for image in await image_store.images.all()] == [b]


async def test_one_image_is_asked_about_without_a_list(image_store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    a = image_store.name("a")
    image_store.put(a, "key-of-a")
    monkeypatch.setattr(image_store.images, "all", None)
    assert await image_store.images.holds(a)
    assert not await image_store.images.holds(image_store.name("b"))
    await image_store.images.delete(a)
    assert not await image_store.images.holds(a)


@pytest.mark.parametrize("name", ["", ".", "..", "../a", "a/..", "a/../a", "a?b", "a b", "\x00", "a@sha256:0", "x" * 300])
async def test_a_text_that_is_no_name_of_the_store_is_not_held(image_store: ImageStore, name: str) -> None:
    image_store.put(image_store.name("a"))
    assert not await image_store.images.holds(name)
    assert not await image_store.images.holds(f"{image_store.name('a')}{name or '/'}")


async def test_an_image_can_come_back(image_store: ImageStore) -> None:
    a = image_store.name("a")
    image_store.put(a)
    await image_store.images.delete(a)
    image_store.put(a)
    assert await image_store.images.exists(a)


async def test_a_shared_environment_outlives_the_first_of_its_images_but_not_the_last(image_store: ImageStore) -> None:
    a, b = image_store.name("a"), image_store.name("b")
    image_store.put(a, "shared")
    image_store.put(b, "shared")
    await image_store.images.delete(a)
    assert await key_of(image_store, b) == "shared"
    await image_store.images.delete(b)
    assert await key_of(image_store, b) is None


# Engines and registries


@pytest.mark.parametrize("kind", IN_ENGINES[2:])
@pytest.mark.parametrize("login", [("hub", "wrong"), None])
async def test_a_registry_with_a_login_says_nothing_without_it(kind: str, login: tuple[str, str] | None, tmp_path: Path) -> None:
    with engine_image_store(kind, tmp_path) as image_store:
        a = image_store.name("a")
        image_store.put(a)
        stranger = RegistryImageStore(image_store.engine, a.partition("/")[0], login)
        for ask in (stranger.images.exists(a), stranger.images.all(), stranger.images.delete(a)):
            with pytest.raises(Unavailable) as caught:
                await ask
            assert caught.value.code == "registry_login_failed"
            assert "wrong" not in caught.value.message
        assert await image_store.images.exists(a)
        await stranger.close()
        await image_store.close()


async def test_a_deleted_image_is_gone_from_the_engine_in_any_case(containers: EngineImageStore) -> None:
    a = containers.name("a")
    containers.put(a)
    await containers.images.delete(a)
    assert not containers.engine.has_image(a)


async def test_an_image_that_a_server_runs_from_stays(containers: EngineImageStore) -> None:
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


HALF_MADE: dict[str, Callable[[EnvironmentImageStore], None]] = {
    "nothing": lambda image_store: None,
    "an environment only": lambda image_store: image_store.link("environments", "key", image_store.make_environment("key")),
    "not linked yet": lambda image_store: image_store.make_image("a", "key", image_store.make_environment("key")).touch(),
    "no manifest": lambda image_store: (
        image_store.make_environment("key"),
        image_store.link("images", "a", image_store.root / "images" / "nowhere"),
    )[0].touch(),
}


@pytest.mark.parametrize("step", HALF_MADE)
async def test_what_is_half_made_is_not_there(directories: EnvironmentImageStore, step: str) -> None:
    (directories.root / "images").mkdir()
    HALF_MADE[step](directories)
    assert await directories.images.exists("a") is None
    assert await directories.images.all() == []


@pytest.mark.parametrize("lost", ["environments/.made/key.0b1/bin/python", "images/.made/a.0b2/content", "images/.made/a.0b2/image.json"])
async def test_what_has_lost_a_part_is_not_there(directories: EnvironmentImageStore, lost: str) -> None:
    directories.put("a")
    path = directories.root / lost
    path.rmdir() if path.is_dir() else path.unlink()
    assert await directories.images.exists("a") is None


async def test_an_image_that_was_made_again_is_the_newer_one(directories: EnvironmentImageStore) -> None:
    for key in ("one", "two", "one"):
        directories.put("a", key)
        assert await key_of(directories, "a") == key


async def test_deleting_leaves_no_directory(directories: EnvironmentImageStore) -> None:
    directories.put("a")
    await directories.images.delete("a")
    left = [path for path in directories.root.glob("*/*") if path.name != MADE] + list(directories.root.glob("*/.made/*.0b*"))
    assert left == []


@pytest.mark.parametrize("building", [False, True], ids=["", "beside a build of the same environment"])
async def test_what_a_build_that_failed_has_made_goes_at_once_but_for_what_a_server_runs_from(
    directories: EnvironmentImageStore, building: bool
) -> None:
    directories.put("a")
    (environment,) = directories.root.glob("environments/.made/key.0b1")
    command = [sys.executable, "-c", "input()", str(environment / "bin" / "program")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, env={**os.environ, "JUPYTERHUB_USER": "ada"}) as server:
        with pytest.raises(Conflict):
            await directories.images.delete("a")
        with locked(directories.root / "environments" / MADE, "key") if building else nullcontext():
            await in_time(directories.images.withdraw("a"))
        assert await directories.images.exists("a") is None
        await directories.images.tidy(set())
        assert environment.is_dir()
        server.communicate()
    link = directories.root / "environments" / "key"
    assert link.is_symlink() == building
    link.unlink(missing_ok=True)  # that build replaces it
    await directories.images.tidy(set())
    assert made_in(directories) == set()


async def test_deleting_an_image_leaves_the_newer_environment_that_another_one_has(directories: EnvironmentImageStore) -> None:
    directories.put("a", "shared")
    directories.put("b", "shared", force=True)
    await directories.images.delete("a")
    assert await directories.images.exists("b") == Image("b", "shared")


async def test_deleting_an_image_leaves_the_older_environment_that_another_one_has(directories: EnvironmentImageStore) -> None:
    directories.put("a", "shared")
    directories.put("b", "shared", force=True)
    await directories.images.delete("b")
    assert await directories.images.exists("a") == Image("a", "shared")


def made_in(directories: EnvironmentImageStore) -> set[str]:
    return {path.name for path in directories.root.glob("*/.made/*.*") if path.suffix != ".lock"}


async def test_tidying_removes_what_was_replaced_and_what_was_left_half_made(directories: EnvironmentImageStore) -> None:
    directories.put("a")
    directories.put("a", force=True)
    directories.make_environment("half-made")
    await directories.images.tidy(set())
    assert made_in(directories) == {"key.0b3", "a.0b4"}
    assert await directories.images.exists("a") == Image("a", "key")


async def test_tidying_leaves_what_builds_are_making_and_what_older_images_need(directories: EnvironmentImageStore) -> None:
    directories.put("a", "shared")
    directories.put("b", "shared", force=True)
    directories.make_environment("being-made")
    await directories.images.tidy({"0b5"})
    assert made_in(directories) == {"shared.0b1", "a.0b2", "shared.0b3", "b.0b4", "being-made.0b5"}


async def test_tidying_leaves_what_a_build_is_making_that_has_begun_since_the_builds_were_listed(directories: EnvironmentImageStore) -> None:
    young = new_build_id(now())
    for folder in ("images", "environments"):
        (directories.root / folder / MADE / f"begun.{young}").mkdir(parents=True)
    await directories.images.tidy(set())
    assert made_in(directories) == {f"begun.{young}"}


async def test_a_directory_that_cannot_be_read_is_not_an_absent_image(directories: EnvironmentImageStore) -> None:
    (directories.root / "images").mkdir()
    (directories.root / "images" / "a").symlink_to("a")
    with pytest.raises(Unavailable):
        await directories.images.exists("a")


SPOILT = [
    b"",
    b"<html>",
    b"[]",
    b"null",
    b"\xff",
    b"{}",
    b'{"key": 5, "environment": 5, "content": 5, "environment_bytes": "x", "content_bytes": null}',
    b'{"key": "k", "environment": [], "content": {}, "environment_bytes": 1, "content_bytes": 1}',
    b'{"key": "../../x", "environment": "/", "content": "/", "environment_bytes": 1, "content_bytes": 1}',
    b"[" * 100_000,
]


@pytest.mark.parametrize("content", SPOILT)
async def test_an_image_whose_description_is_spoilt_is_none_and_stops_nobody(tmp_path: Path, content: bytes) -> None:
    store = EnvironmentImageStore(tmp_path)
    store.put("spoilt")
    assert await store.images.exists("spoilt")
    store.put("whole")
    (tmp_path / "images" / "spoilt" / "image.json").write_bytes(content)
    assert await store.images.exists("spoilt") is None
    assert not await store.images.holds("spoilt")
    assert [image.name for image in await store.images.all()] == ["whole"]
    await store.images.tidy([])
    await store.images.delete("spoilt")
    assert await store.images.exists("whole")
