"""Images that somebody else has made, by name: which are found, and that nothing is ever built of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from binderhub_service.clients.credentials import Credentials
from binderhub_service.clients.engine import Engine, EngineAddress
from binderhub_service.clients.reference import Reference
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.errors import InvalidRequest, NotAllowed, NotFound
from binderhub_service.images.docker import DockerImages
from binderhub_service.images.environments import EnvironmentImages
from binderhub_service.images.registry import RegistryImages
from binderhub_service.models import Image, Request
from binderhub_service.providers import provider_for
from binderhub_service.providers.git import GitProvider
from binderhub_service.providers.image import ImageProvider
from spawner.options import options_from_json

NAME = "quay.io/jupyter/base-notebook:2026-01"
HEX = "ab" * 32
WANTED = Request(f"docker://{NAME}")


async def digests(name: str) -> str | None:
    return f"sha256:{HEX}" if name == NAME else None


@pytest.fixture
def provider() -> ImageProvider:
    made = ImageProvider(allowed_images=["quay.io/jupyter/*"])
    made.find_digest = digests
    return made


async def test_an_image_that_is_allowed_is_resolved_to_its_digest(provider: ImageProvider) -> None:
    source = await provider.resolve(WANTED)
    assert (source.provider, source.repo, source.ref, source.commit) == ("image", f"docker://{NAME}", "HEAD", HEX)
    assert source.is_given
    assert provider.resolved_spec(source) == f"quay.io%2Fjupyter%2Fbase-notebook%40sha256%3A{HEX}"


@pytest.mark.parametrize("spec", [NAME, "quay.io%2Fjupyter%2Fbase-notebook%3A2026-01"])
def test_a_link_names_an_image_with_or_without_escapes(provider: ImageProvider, spec: str) -> None:
    request = provider.request_from_spec(spec)
    assert provider.canonical_repo(request) == WANTED.repo
    assert provider.spec_of(request) == "quay.io%2Fjupyter%2Fbase-notebook%3A2026-01"


def test_an_address_of_an_image_is_the_image_provider_s_alone(provider: ImageProvider) -> None:
    assert provider_for(WANTED, [GitProvider(), provider]) is provider
    assert not provider.understands("https://quay.io/jupyter/base-notebook")


async def test_an_image_that_is_not_there_is_not_found(provider: ImageProvider) -> None:
    with pytest.raises(NotFound, match=r"There is no image quay\.io/jupyter/none:1\."):
        await provider.resolve(Request("docker://quay.io/jupyter/none:1"))


@pytest.mark.parametrize(
    ("request_", "error", "sentence"),
    [
        (Request("docker://debian:12"), NotAllowed, "may not be launched here"),
        (Request("docker://Quay.io/x y"), InvalidRequest, "not the name of an image"),
        (replace(WANTED, ref="main"), InvalidRequest, "An image has no ref"),
    ],
)
async def test_what_is_not_allowed_is_refused_and_nobody_is_asked(
    provider: ImageProvider, request_: Request, error: type[Exception], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider, "find_digest", lambda _: pytest.fail("asked"))
    for ask in (provider.canonical_repo, provider.spec_of):
        with pytest.raises(error, match=sentence):
            ask(request_)
    with pytest.raises(error, match=sentence):
        await provider.resolve(request_)


def test_without_patterns_no_image_is_launched_nor_offered() -> None:
    provider = ImageProvider()
    provider.find_digest = digests
    assert not provider.is_offered
    with pytest.raises(NotAllowed, match="cannot be launched by name here"):
        provider.canonical_repo(WANTED)


def test_embedded_mode_says_that_it_has_no_container_images(tmp_path: Any) -> None:
    provider = ImageProvider(allowed_images=["*"])
    provider.find_digest = EnvironmentImages(tmp_path, "").finder()
    assert not provider.is_offered
    with pytest.raises(NotAllowed, match="There are no container images here: servers are processes"):
        provider.canonical_repo(WANTED)


async def test_a_registry_s_servers_pull_the_digest_from_where_the_image_is(provider: ImageProvider) -> None:
    images = RegistryImages(RegistryClient(Credentials([])), "registry.example.org/binder-", "settings")
    name = images.name_for(await provider.resolve(WANTED))
    assert name == f"quay.io/jupyter/base-notebook@sha256:{HEX}"
    assert Reference.parse(name) == Reference("quay.io", "jupyter/base-notebook", f"sha256:{HEX}")
    assert Image(name, digest=f"sha256:{HEX}").reference == name
    await images.close()


async def test_an_engine_s_servers_have_the_very_image(provider: ImageProvider) -> None:
    images = DockerImages(Engine(EngineAddress("unix:///nowhere")), "binder-", "settings")
    assert images.name_for(await provider.resolve(WANTED)) == f"sha256:{HEX}"


@pytest.mark.parametrize("options", [{"image": NAME}, {"repo": f"docker://{NAME}"}, {"image": NAME, "repo": "", "ref": ""}])
def test_the_spawner_asks_the_service_for_an_image_as_for_a_repository(options: dict[str, str]) -> None:
    asked = options_from_json({**options, "path": "a.ipynb"})
    assert (asked.repo, asked.ref, asked.path, asked.provider) == (WANTED.repo, "", "a.ipynb", "image")
    assert options_from_json(asked.as_user_options()) == asked


@pytest.mark.parametrize("name", ["course:first", "127.0.0.1:5000/a/b:1", "jupyter/base-notebook", f"quay.io/a/b@sha256:{HEX}"])
def test_a_name_of_an_image_is_taken_for_no_page_and_no_shorthand(name: str) -> None:
    asked = options_from_json({"image": name})
    assert asked.repo == f"docker://{name}"
    assert not asked.is_page
    assert options_from_json(asked.as_user_options()) == asked
