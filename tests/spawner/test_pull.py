"""What people read while an image is pulled, and when it cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from spawner.docker.pull import PullProgress, pull_problem

IMAGE = f"registry.example.org/image:1@sha256:{'0' * 64}"


def message(layer: str, status: str, current: int = 0, total: int = 0) -> dict[str, Any]:
    return {"id": layer, "status": status, "progressDetail": {"current": current, "total": total} if total else {}}


def test_a_pull_is_layers_and_megabytes_at_most_every_two_seconds() -> None:
    progress = PullProgress()
    told = [
        progress.hear(message("a", "Already exists"), 0),
        progress.hear(message("b", "Pulling fs layer"), 0.5),
        progress.hear(message("b", "Downloading", 5_000_000, 20_000_000), 1.9),
        progress.hear(message("b", "Downloading", 10_000_000, 20_000_000), 2.1),
        progress.hear(message("b", "Downloading", 10_000_000, 20_000_000), 5),
        progress.hear(message("b", "Download complete"), 8),
        progress.hear(message("b", "Pull complete"), 11),
    ]
    assert [line for line in told if line] == [
        "Pulling the image: 1 of 1 layers.",
        "Pulling the image: 1 of 2 layers, 10 of 20 MB.",
        "Pulling the image: 1 of 2 layers, 20 of 20 MB.",
        "Pulling the image: 2 of 2 layers, 20 of 20 MB.",
    ]


@pytest.mark.parametrize(
    "odd", [{}, {"status": "Digest: sha256:..."}, {"id": "latest", "status": "Pulling from image"}, {"id": 7, "status": "Waiting"}]
)
def test_what_is_about_no_layer_is_not_told(odd: dict[str, Any]) -> None:
    assert PullProgress().hear(odd, 0) == ""


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("unauthorized: authentication required", "does not let this hub pull"),
        ("pull access denied for image, repository does not exist or may require 'docker login'", "does not let this hub pull"),
        ("Head https://registry.example.org/v2/: no basic auth credentials", "does not let this hub pull"),
        ("manifest unknown: manifest unknown", "made anew"),
        ("manifest for image@sha256:0 not found: manifest unknown", "made anew"),
        ("failed to register layer: write /x: no space left on device", "disk is full"),
        ("dial tcp: lookup registry.example.org: no such host", "could not be pulled from registry.example.org"),
    ],
)
def test_why_there_is_no_image_is_a_sentence_and_no_failure_of_the_hub(said: str, word: str) -> None:
    problem = pull_problem(said, IMAGE)
    assert word in problem.jupyterhub_message
    assert problem.status_code < 500
