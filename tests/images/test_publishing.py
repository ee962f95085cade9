"""Images pushed from the hub's registry to another by somebody's own login."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import pytest

from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.oci import NOTHING, Blob, manifest_of_file
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.clients.registry_writer import RegistryWriter
from binderhub_service.common.address_rules import AddressRules
from binderhub_service.errors import BinderError
from binderhub_service.images.publishing import Publisher
from binderhub_service.images.registry import RegistryImages
from tests.harness.registries import OwnRegistry

OWN, LOGIN = ("hub", "the hub's password"), ("me", "never-to-be-seen-again")
LAYER = b"a layer " * 400_000


@dataclass
class Bench:
    """The hub's registry, with an image, and somebody's."""

    client: RegistryClient
    hubs: str
    theirs: str

    @property
    def prefix(self) -> str:
        """What the hub's names begin with."""
        return f"{self.hubs}/project/binder-"

    @property
    def image(self) -> str:
        """The image."""
        return f"{self.prefix}context:1"

    async def publish(self, target: str, login: tuple[str, str] | None = LOGIN, image: str = "", **rules: bool) -> BinderError | None:
        """Push the image; return what went wrong."""
        registry = target.partition("/")[0]
        images = RegistryImages(self.client, self.prefix, publisher=Publisher(self.client, (), AddressRules(**rules)))
        try:
            await images.publish(image or self.image, target, Login(registry, *login) if login else None)
        except BinderError as error:
            return error
        return None

    async def pushed(self, target: str) -> tuple[bytes, bytes] | None:
        """Return the manifest and the first layer that somebody's registry has, or None."""
        client = RegistryClient(Credentials([Login(self.theirs, *LOGIN)]))
        writer = RegistryWriter(client, target)
        manifest = await writer.manifest()
        found = manifest and (manifest.text, await writer.read(manifest.layers[0]))
        await client.close()
        return found


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two real registries, each with a login of its own."""
    folder = tmp_path_factory.mktemp("registries")
    with OwnRegistry(folder / "a", login=OWN).running() as hubs, OwnRegistry(folder / "b", login=LOGIN, tokens=True).running() as theirs:
        yield hubs.host, theirs.host


@pytest.fixture
async def bench(hosts: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    monkeypatch.setattr("binderhub_service.clients.registry._RETRY_SECONDS", (0.0, 0.0))
    client = RegistryClient(Credentials([Login(hosts[0], *OWN)]))
    bench = Bench(client, *hosts)
    writer = RegistryWriter(client, bench.image)
    for content in (LAYER, NOTHING):
        await writer.put_bytes(Blob.of(content), content)
    await writer.put_manifest(manifest_of_file(Blob.of(LAYER), "an image, to a registry"))
    yield bench
    await client.close()


async def test_an_image_is_pushed_as_it_is_and_once(bench: Bench) -> None:
    target = f"{bench.theirs}/me/new:1"
    assert [await bench.publish(target) for _ in range(2)] == [None, None]
    assert await bench.pushed(target) == (manifest_of_file(Blob.of(LAYER), "an image, to a registry").text, LAYER)


async def test_what_cannot_be_pushed_says_why(bench: Bench) -> None:
    target = f"{bench.theirs}/me/other:1"
    assert [error and error.code for error in [await bench.publish(f"{bench.hubs}/x:1", login) for login in (("me", "wrong"), None)]] == [
        "registry_login_failed"
    ] * 2
    cases = {
        "registry_login_failed": await bench.publish(target, ("me", "wrong")),
        "push_denied": await bench.publish(f"{bench.prefix}context:2"),
        "image_not_found": await bench.publish(target, image=f"{bench.image}2"),
        "registry_unavailable": await bench.publish("127.0.0.1:9/me/other:1"),
        "address_not_allowed": await bench.publish(target, public_only=True),
    }
    assert {code: error and error.code for code, error in cases.items()} == {code: code for code in cases}
    assert LOGIN[1] not in "".join(f"{error} {error and error.hint}" for error in cases.values())
    assert await bench.pushed(target) is None


async def test_a_host_that_the_operator_excepts_is_pushed_to(bench: Bench) -> None:
    publisher = Publisher(bench.client, (), AddressRules(public_only=True, exceptions=("127.0.0.0/8",)))
    await publisher.publish(bench.image, f"{bench.theirs}/me/excepted:1", Login(bench.theirs, *LOGIN))
    assert await bench.pushed(f"{bench.theirs}/me/excepted:1")
