"""Names of images in registries: BinderHub's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from binderhub_service.modes.docker import DockerMode
from binderhub_service.names import image_name
from tests.harness.records import source

PREFIX = "reg.example.com/proj/bh-"
# Taken from a running BinderHub: slug, ref, name behind the prefix, tag.
VECTORS = [
    ("binder-examples-octave", "1479e0252b2e648bb755ee913292b79495931717", "binder-2dexamples-2doctave-03025a", ""),
    (
        "binderhub-ci-repos-cached-minimal-dockerfile",
        "596b52f10efb0c9befc0c4ae850cc5175297d71c",
        "binderhub-2dci-2drepos-2dcached-2dminimal-2ddockerfile-c90b2b",
        "",
    ),
    (
        "https://github.com/binderhub-ci-repos/cached-minimal-dockerfile",
        "596b52f10efb0c9befc0c4ae850cc5175297d71c",
        "https-3a-2f-2fgithub-2ecom-2fbinderhub-2dci-2drepos-2fcached-2dminimal-2ddockerfile-f3b374",
        "",
    ),
    ("gitlab_-org-gitlab_-foss", "596b52f10efb0c9befc0c4ae850cc5175297d71c", "gitlab-5f-2dorg-2dgitlab-5f-2dfoss-a53a80", ""),
    ("figshare-9782777.v3", "9782777.v3", "figshare-2d9782777-2ev3-cf7eea", ""),
    ("dataverse-dvn-2ftjclkp", "3035124.v3.0", "dataverse-2ddvn-2d2ftjclkp-a1371f", ""),
    ("User_Name-Repo_", "ABCDEF", "user-5fname-2drepo-5f-cf78d2", "abcdef"),
]


@pytest.mark.parametrize(("slug", "ref", "name", "tag"), VECTORS)
def test_images_are_named_as_binderhub_names_them(slug: str, ref: str, name: str, tag: str) -> None:
    assert image_name(replace(source(), slug=slug, commit=ref), PREFIX) == f"{PREFIX}{name}:{tag or ref}"


def test_a_name_is_valid_however_long_the_repository_is() -> None:
    name = image_name(replace(source(), slug="x" * 1000), PREFIX)
    assert len(name.rpartition(":")[0]) <= 255


@pytest.mark.parametrize(
    "changed",
    [
        {"appendix": "USER root"},
        {"base_image": "docker.io/library/buildpack-deps:jammy"},
        {"build_arguments": {"A": "b"}},
        {"user_name": "ada"},
        {"user_id": 1234},
        {"repo2docker_arguments": ["--debug"]},
        {"repo2docker_version": "2024.7.0"},
    ],
)
def test_other_settings_have_other_names_and_the_defaults_have_binderhubs(changed: dict[str, object], tmp_path: Path) -> None:
    def name(**settings: object) -> str:
        made = DockerMode(registry="reg.example.com/proj", image_prefix="bh-", repo2docker="/r2d", **settings).settings(tmp_path, {})
        return image_name(source(), made.image_prefix, made.name_text())

    assert name() == image_name(source(), PREFIX)
    assert name(**changed).startswith(name() + "-")
    assert len({name(), name(**changed), name(**changed, memory_limit_bytes=10**9)}) == 2, "limits change nothing in an image"
