"""Real builds in real pods of the real builder image, pushed to the cluster's registry; and what is in that."""

from __future__ import annotations

import gzip
import io
import json
import os
import secrets
import tarfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx

from binderhub_service.builders.kubernetes import Cluster, KubernetesBuilder, KubernetesSettings
from binderhub_service.clients.credentials import Credentials, Login
from binderhub_service.clients.oci import OCI_MANIFEST
from binderhub_service.clients.registry import RegistryClient
from binderhub_service.errors import BinderError
from binderhub_service.images.registry import RegistryImages
from binderhub_service.models import Build, Image, Kind, Phase, Source, State, now
from binderhub_service.names import image_name, new_build_id
from binderhub_service.worker.job import ProcessLimits
from binderhub_service.worker.pod_job import PodSettings
from tests.kubernetes.images import registry, small_image

SINGLEUSER = "#!/bin/sh\necho 9.9.9\n"
TYPES = f"{OCI_MANIFEST}, application/vnd.docker.distribution.manifest.v2+json"
LOGIN = Login("registry.example.org", "me", "the-password-of-a-registry")


def dockerfile(*more: str, base: str = "") -> dict[str, str]:
    """Return the files of a repository whose image servers can start from, with more instructions at the end, on a small base or another one."""
    lines = [f"FROM {base or small_image()}", "COPY single /usr/local/bin/jupyterhub-singleuser", *more]
    return {"Dockerfile": "\n".join(lines) + "\n", "single": SINGLEUSER}


@dataclass
class Made:
    """What came of a build."""

    build: Build
    log: list[str] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)
    error: BinderError | None = None

    @property
    def text(self) -> str:
        """The whole log."""
        return "\n".join(self.log)

    @property
    def image(self) -> str:
        """The image's name."""
        return self.build.image.name


class BuilderPods:
    """Builders in one namespace, and names in the registry of a test's own."""

    def __init__(self, namespace: str, image: str) -> None:
        self.prefix = f"{registry()}/test-{secrets.token_hex(4)}-"
        self.settings = KubernetesSettings(builder_image=image, cpu_request=0.01, git_credentials="https://me:the-password-of-git@git.example.org\n")
        self._namespace = namespace

    def ask(self, url: str, commit: str, **more: Any) -> Build:
        """Return a new build."""
        source = Source("git", url, url, url.rpartition("/")[2], "main", commit)
        name = image_name(source, self.prefix)
        return replace(Build(new_build_id(now()), source, Image(name), State.RUNNING, Phase.FETCHING, "alice", now()), **more)

    def builder(
        self,
        *,
        cluster: Mapping[str, Any] | None = None,
        credentials: Sequence[Login] = (LOGIN,),
        limits: ProcessLimits | None = None,
        on_tried: Callable[[str, str], Awaitable[None]] | None = None,
        **pod: Any,
    ) -> KubernetesBuilder:
        """Return a builder as a service that just started has it.

        Args:
            cluster: what differs in the pods' settings.
            pod: what differs in the settings of the steps in them.
        """
        settings = PodSettings(**{"image_prefix": self.prefix, "plain_http_registries": (registry(),), **pod})
        pods = replace(self.settings, **(cluster or {}))
        logins, limits = Credentials(credentials), limits or ProcessLimits()
        return KubernetesBuilder(Cluster(self._namespace), pods, settings, logins, limits, on_tried=on_tried)

    async def build(self, build: Build, **more: Any) -> Made:
        """Run a build to its end, by a `builder` of its own."""
        images = RegistryImages(RegistryClient(Credentials(), (registry(),)), self.prefix)
        builder = self.builder(on_tried=images.name_environment, **more)
        made = Made(build)
        try:
            async for report in builder.run(build):
                if report.kind is Kind.LOG:
                    made.log.append(report.data["text"])
                else:
                    made.phases.append("made" if report.data.get("made") else report.data["phase"])
        except BinderError as error:
            made.error = error
        finally:
            await builder.close()
            await images.close()
        return made


class Pushed:
    """An image as the registry has it."""

    def __init__(self, name: str) -> None:
        host, _, rest = name.partition("/")
        self.repository, _, tag = rest.rpartition(":")
        self._url = f"http://{host}/v2/{self.repository}"
        answer = httpx.get(f"{self._url}/manifests/{tag}", headers={"Accept": TYPES})
        assert answer.status_code == 200, answer.text
        self.manifest = answer.json()
        self.config = json.loads(self._blob(self.manifest["config"]))

    @property
    def labels(self) -> dict[str, str]:
        """What is written on it."""
        labels: dict[str, str] = self.config["config"]["Labels"]
        return labels

    @property
    def layers(self) -> list[str]:
        """The digests of its layers."""
        return [layer["digest"] for layer in self.manifest["layers"]]

    def files(self, layer: int = -1) -> dict[str, tarfile.TarInfo]:
        """Return what is in a layer, by path."""
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self._blob(self.manifest["layers"][layer])))) as archive:
            return {entry.name: entry for entry in archive}

    def _blob(self, described: Mapping[str, Any]) -> bytes:
        answer = httpx.get(f"{self._url}/blobs/{described['digest']}")
        assert len(answer.content) == described["size"]
        return answer.content


def is_there(name: str) -> bool:
    """Say whether the registry has an image."""
    host, _, rest = name.partition("/")
    repository, _, tag = rest.rpartition(":")
    return httpx.head(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": TYPES}).status_code == 200


def repositories(prefix: str) -> list[str]:
    """Return the repositories of the registry that begin as the names of one test do."""
    beginning = prefix.partition("/")[2]
    found: list[str] = httpx.get(f"http://{os.environ['KUBE_TEST_REGISTRY']}/v2/_catalog?n=1000").json()["repositories"]
    return [name for name in found if name.startswith(beginning)]
