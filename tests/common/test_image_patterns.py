"""Which images may be launched by name."""

from __future__ import annotations

import pytest

from binderhub_service.common.images import check_allowed_image, check_image, is_image_allowed
from binderhub_service.common.refusal import Refused

DIGEST = "@sha256:" + "a" * 64


@pytest.mark.parametrize(
    "name",
    [
        "debian:12",
        "jupyter/base-notebook",
        "quay.io/jupyter/base-notebook:2026-01",
        "127.0.0.1:5000/a__b/c-d:1",
        f"quay.io/x/y{DIGEST}",
        f"x:1{DIGEST}",
    ],
)
def test_names_of_images_are_taken_as_they_are(name: str) -> None:
    assert check_image(name) == check_image(f"docker://{name}") == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "https://h/x",
        "a b",
        "x:",
        "x@sha256:1",
        "../x",
        "x//y",
        "x:1\n2",
        "-x",
        "X",
        "user:password@h/x",
        "docker://docker://x",
        "\ud800",
        "x" * 600,
    ],
)
def test_what_is_no_image_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="not the name of an image"):
        check_image(name)


@pytest.mark.parametrize(
    ("pattern", "name", "allowed"),
    [
        ("quay.io/jupyter/*", "quay.io/jupyter/base-notebook:1", True),
        ("quay.io/jupyter/*", f"quay.io/jupyter/base-notebook{DIGEST}", True),
        ("quay.io/jupyter/*", "quay.io/jupyter/evil/image", False),
        ("quay.io/jupyter/*", "quayxio/jupyter/base", False),
        ("quay.io/jupyter/*", "evil.example/quay.io/jupyter/base", False),
        ("course:*", "course:2026", True),
        ("course:*", "evil/course:2026", False),
        ("course:1", "course:12", False),
        ("*", "debian:12", True),
        ("*", "evil.example/debian:12", False),
        ("[a-z]+", "debian", False),
    ],
)
def test_a_pattern_matches_a_whole_name_and_its_star_no_slash(pattern: str, name: str, allowed: bool) -> None:
    assert is_image_allowed(name, [pattern]) == allowed


def test_without_patterns_no_image_is_allowed() -> None:
    with pytest.raises(Refused, match="cannot be launched by name here"):
        check_allowed_image("debian:12", [])


def test_what_no_pattern_matches_is_refused_and_what_one_matches_is_returned() -> None:
    with pytest.raises(Refused, match="may not be launched here"):
        check_allowed_image("debian:12", ["quay.io/*/*"])
    assert check_allowed_image("docker://debian:12", ["quay.io/*/*", "debian:*"]) == "debian:12"
