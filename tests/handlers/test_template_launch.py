"""What is launched for a template."""

from __future__ import annotations

from dataclasses import replace

import pytest

from binderhub_service.errors import InvalidRequest, NotAllowed
from binderhub_service.handlers.template_launch import check_alone, request_of
from binderhub_service.models import Request, Template, now
from binderhub_service.providers.image import ImageProvider

IMAGE = "quay.io/jupyter/base-notebook:2026-01"
TEMPLATE = Template("lab", IMAGE, now(), now())


async def digest(name: str) -> str:
    return f"sha256:{'ab' * 32}"


@pytest.mark.parametrize("written", [IMAGE, f"docker://{IMAGE}"])
def test_a_template_is_launched_by_its_image(written: str) -> None:
    assert request_of(replace(TEMPLATE, image=written)) == Request(f"docker://{IMAGE}", provider="image")


@pytest.mark.parametrize("allowed", [[], ["registry.example/*"]])
async def test_a_templates_image_has_to_be_allowed_as_any_image(allowed: list[str]) -> None:
    provider = ImageProvider(allowed_images=allowed)
    provider.find_digest = digest
    with pytest.raises(NotAllowed) as caught:
        await provider.resolve(request_of(TEMPLATE))
    assert caught.value.code == "image_not_allowed"


async def test_a_templates_image_that_is_allowed_is_found() -> None:
    provider = ImageProvider(allowed_images=["quay.io/jupyter/*"])
    provider.find_digest = digest
    assert (await provider.resolve(request_of(TEMPLATE))).commit == "ab" * 32


@pytest.mark.parametrize("key", ["image", "repo", "ref", "provider"])
def test_a_launch_is_of_a_template_or_of_something_else(key: str) -> None:
    with pytest.raises(InvalidRequest, match="from the template"):
        check_alone({"template": "lab", key: "x"})


def test_a_launch_of_a_template_may_name_a_path() -> None:
    check_alone({"template": "lab", "path": "first.ipynb"})
