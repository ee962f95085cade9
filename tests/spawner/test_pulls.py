"""How long nodes took to pull servers' images, by what kubelets say."""

from __future__ import annotations

import pytest
from prometheus_client import REGISTRY

from spawner.kubernetes.pulls import note_pulls, pull_seconds

IMAGE = "registry.example.org/a@sha256:1"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        (f'Successfully pulled image "{IMAGE}" in 1.25s (3.5s including waiting). Image size: 27 bytes.', 3.5),
        (f'Successfully pulled image "{IMAGE}" in 823ms (823ms including waiting)', 0.823),
        (f'Successfully pulled image "{IMAGE}" in 1m2.5s', 62.5),
        (f'Successfully pulled image "{IMAGE}" in 1h0m1s (1h0m2s including waiting)', 3602),
        (f'Successfully pulled image "{IMAGE}" in 45.6µs', 45.6e-6),
        (f'Successfully pulled image "{IMAGE}"', None),
        (f'Successfully pulled image "{IMAGE}" in time', None),
        (f'Container image "{IMAGE}" already present on machine', None),
        (f'Pulling image "{IMAGE}" in 3s', None),
    ],
)
def test_a_kubelets_sentence_says_how_long_a_pull_took(said: str, seconds: float | None) -> None:
    assert pull_seconds(said) == (seconds if seconds is None else pytest.approx(seconds))


def test_the_hubs_metrics_count_the_servers_own_image_alone() -> None:
    def counted() -> tuple[float, float, float]:
        names = ("binder_server_pull_seconds_count", "binder_server_pull_seconds_sum", "binder_server_images_there_total")
        pulls, seconds, there = (REGISTRY.get_sample_value(name) or 0.0 for name in names)
        return pulls, seconds, there

    def event(container: str, message: str, reason: str = "Pulled") -> dict[str, object]:
        return {"reason": reason, "message": message, "involvedObject": {"fieldPath": f"spec.containers{{{container}}}"}}

    before = counted()
    note_pulls(
        [
            event("notebook", "Successfully pulled image in 2s (4s including waiting)"),
            event("other", "Successfully pulled image in 8s"),
            event("notebook", 'Container image "i" already present on machine'),
            event("notebook", "Started in 9s", reason="Started"),
            {"reason": "Scheduled", "message": "in 1s", "involvedObject": {}},
        ]
    )
    assert counted() == (before[0] + 1, pytest.approx(before[1] + 4), before[2] + 1)
