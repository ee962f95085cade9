"""An image that a node pulls ahead, with no more rights than the chart gives."""

from __future__ import annotations

import logging
import os
import secrets
from pathlib import Path

import pytest

from binderhub_service.models import Image
from tests.harness.waiting import until
from tests.kubernetes.builds.pod_builds import Outside, PodBuilds
from tests.kubernetes.builds.test_rights import RULES, kubeconfig_with
from tests.kubernetes.images import built, debian
from tests.kubernetes.kubectl import found, kubectl, until_found


def new_image(folder: Path) -> str:
    """Return an image that no node has."""
    (folder / "new").write_text(secrets.token_hex(8))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY new /new\nUSER nobody-of-this-name\n")
    return built("pulled-ahead", folder)


async def test_a_node_has_an_image_from_which_no_server_was_started(
    namespace: str, outside: Outside, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "binderhub_service")
    kubectl("run", "here", f"--image={debian()}", f"--namespace={namespace}", "--labels=app=nodes", "--command", "--", "sleep", "600")
    kubectl("wait", "pod/here", f"--namespace={namespace}", "--for=condition=Ready", "--timeout=180s")
    (tmp_path / "image").mkdir()
    image = new_image(tmp_path / "image")
    pod_builds = PodBuilds(namespace, "no-builder", outside, kubeconfig_with(RULES, namespace, tmp_path))
    builder = pod_builds.builder(pull_ahead_to="app=nodes")
    for name in (image, f"{os.environ['KUBE_TEST_REGISTRY']}/no-such-image:1"):
        builder.note_image(Image(name))
        await until(lambda name=name: f"of 1 nodes have the image {name}" in caplog.text, "the end")  # type: ignore[misc]
    assert f"1 of 1 nodes have the image {image} ahead" in caplog.text
    assert "0 of 1 nodes have the image" in caplog.text
    assert pod_builds.pods() == ["here"]
    words = f'Successfully pulled image "{image}"'
    told = until_found(lambda: [event for event in found("events", namespace) if event["message"].startswith(words)], "the kubelet's words")
    assert len(told) == 1
    await pod_builds.close()
