"""Files on their way to build pods, over a real registry."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from binderhub_service.builders.kubernetes import GivenFiles
from binderhub_service.clients.contents import ARCHIVE, Contents
from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.errors import BinderError
from binderhub_service.images.registry import RegistryImages
from binderhub_service.models import Build, Image, Phase, Source, State, now
from binderhub_service.names import given_name, new_build_id
from tests.harness.boatyard import is_pushed
from tests.harness.ports import has_ipv6
from tests.harness.registries import OwnRegistry

LOGIN = ("me", "a password")
CONTENT = b"an archive, say"


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRegistry]:
    """A real registry with a login, at an IPv6 address where this machine has any."""
    address = "[::1]" if has_ipv6() else "127.0.0.1"
    with OwnRegistry(tmp_path_factory.mktemp("registry") / "r", login=LOGIN, address=address).running() as running:
        yield running


@pytest.fixture
def contents(tmp_path: Path) -> Contents:
    """Where the service keeps files."""
    return Contents(tmp_path)


@pytest.fixture
async def client(registry: OwnRegistry) -> AsyncIterator[RegistryClient]:
    """What asks the registry."""
    client = RegistryClient(Credentials([Login(registry.host, *LOGIN)]))
    yield client
    await client.close()


def build_of(digest: str, hours: float = 0) -> Build:
    """Return a build that began some hours ago."""
    source = Source("upload", f"upload:{digest}", ARCHIVE, "archive", "HEAD", digest)
    return Build(new_build_id(now() - timedelta(hours=hours)), source, Image("x"), State.RUNNING, Phase.FETCHING, "alice", now())


async def test_a_build_s_file_is_in_the_registry_until_it_is_taken_back(client: RegistryClient, registry: OwnRegistry, contents: Contents) -> None:
    prefix = f"{registry.host}/one/binder-"
    given, digest = GivenFiles(contents, client, prefix), contents.put(CONTENT)
    one, two = build_of(digest), build_of(digest)
    for build in (one, two, one):  # again, as after a kill
        await given.hand_over(build, None)
    assert httpx.get(f"http://{registry.host}/v2/one/binder-given/blobs/sha256:{digest}", auth=LOGIN).content == CONTENT
    images = RegistryImages(client, prefix)
    assert await images.all() == []
    assert not await images.holds(given_name(prefix, one.id))
    await given.take_back(one)
    assert [is_pushed(given_name(prefix, build.id), LOGIN) for build in (one, two)] == [False, True]
    await given.take_back(one)


async def test_files_of_builds_that_are_gone_go_and_others_stay(client: RegistryClient, registry: OwnRegistry, contents: Contents) -> None:
    prefix = f"{registry.host}/two/binder-"
    given, digest = GivenFiles(contents, client, prefix), contents.put(CONTENT)
    old, going_on, young = build_of(digest, 2), build_of(digest, 3), build_of(digest)
    for build in (old, going_on, young):
        await given.hand_over(build, None)
    await given.take_back_all_but({going_on.id})
    assert [is_pushed(given_name(prefix, build.id), LOGIN) for build in (old, going_on, young)] == [False, True, True]


async def test_a_file_that_is_not_kept_or_not_taken_is_said(client: RegistryClient, registry: OwnRegistry, contents: Contents) -> None:
    stranger = RegistryClient(Credentials([Login(registry.host, "me", "wrong")]))
    for asks, digest, code in ((client, "0" * 64, "content_not_found"), (stranger, contents.put(CONTENT), "registry_login_failed")):
        given, build = GivenFiles(contents, asks, f"{registry.host}/three/binder-"), build_of(digest)
        with pytest.raises(BinderError) as caught:
            await given.hand_over(build, None)
        assert caught.value.code == code
        await given.take_back(build)
        await given.take_back_all_but(set())
    await stranger.close()


async def test_a_registry_that_does_not_delete_keeps_the_file_and_nothing_fails(tmp_path: Path, contents: Contents) -> None:
    with OwnRegistry(tmp_path / "r", deletes=False).running() as registry:
        client = RegistryClient(Credentials())
        given, build = GivenFiles(contents, client, f"{registry.host}/binder-"), build_of(contents.put(CONTENT), 2)
        await given.hand_over(build, None)
        await given.take_back(build)
        await given.take_back_all_but(set())
        assert is_pushed(given_name(f"{registry.host}/binder-", build.id))
        await client.close()
