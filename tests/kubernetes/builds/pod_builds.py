"""Real build pods of an image that stands in for the builder image, with a place on this machine that they can ask."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from binderhub_service.builders.kubernetes import Cluster, KubernetesBuilder, KubernetesSettings
from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.models import Build, Image, Phase, Source, State, now
from binderhub_service.names import new_build_id
from binderhub_service.worker.pod_job import PodSettings
from tests.harness.waiting import wait_for
from tests.harness.web_thread import in_thread
from tests.kubernetes.kubectl import found

LOGIN = Login("registry.example.org:5000", "me", "a-secret-password")


class Outside:
    """What build pods ask on this machine: whether a gate is open, and, instead of a registry, that an image was made."""

    def __init__(self) -> None:
        self.open: set[str] = set()
        self.asked: list[str] = []
        outside = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside.asked.append(self.path)
                self.send_response(200 if self.path in outside.open or self.path.startswith("/made/") else 404)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                """Keep the test's output clean."""

        self._http = ThreadingHTTPServer((os.environ["KUBE_TEST_HOST"], 0), Handler)
        self._http.daemon_threads = True
        self.url = f"http://{os.environ['KUBE_TEST_HOST']}:{self._http.server_port}"

    @contextmanager
    def running(self) -> Iterator[Outside]:
        """Answer while the block runs."""
        with in_thread(self._http):
            yield self


class PodBuilds:
    """Builders in one namespace, and builds that do as they are told."""

    def __init__(self, namespace: str, image: str, outside: Outside, kubeconfig: str = "") -> None:
        self.namespace = namespace
        self.outside = outside
        self.kubeconfig = kubeconfig
        self.settings = KubernetesSettings(builder_image=image, cpu_request=0.01)
        self._builders: list[KubernetesBuilder] = []

    def builder(self, **settings: Any) -> KubernetesBuilder:
        """Return a builder as a service that just started has it."""
        pod_settings = PodSettings(image_prefix=f"{LOGIN.registry}/binder-")
        cluster = Cluster(self.namespace, self.kubeconfig)
        builder = KubernetesBuilder(cluster, replace(self.settings, **settings), pod_settings, Credentials([LOGIN]))
        self._builders.append(builder)
        return builder

    def ask(self, **script: Any) -> Build:
        """Return a new build that does what the stand-in reads in its ref."""
        build_id = new_build_id(now())
        script = {"made": f"{self.outside.url}/made/{build_id}", **script}
        url = "https://git.example.org/o/r"
        source = Source("git", url, url, "o-r", json.dumps(script), "1" * 40)
        image = Image(f"{LOGIN.registry}/binder-o-r:{build_id}")
        return Build(build_id, source, image, State.RUNNING, Phase.FETCHING, "alice", now())

    def is_made(self, build: Build) -> bool:
        """Say whether a build's last step did its work."""
        return f"/made/{build.id}" in self.outside.asked

    def pods(self) -> list[str]:
        """Return the names of all pods that are not being deleted."""
        return [pod["metadata"]["name"] for pod in found("pods", self.namespace) if "deletionTimestamp" not in pod["metadata"]]

    def wait_until_nothing_is_left(self, build: Build) -> None:
        """Wait until a build has neither a pod nor a secret."""
        wait_for(lambda: not _named(found("pods,secrets", self.namespace), build), f"nothing of build {build.id}", every_seconds=0.3)

    async def close(self) -> None:
        """Let go of all builders."""
        for builder in self._builders:
            await builder.close()


def _named(objects: list[dict[str, Any]], build: Build) -> list[str]:
    return [one["metadata"]["name"] for one in objects if one["metadata"]["name"] == f"build-{build.id}"]
