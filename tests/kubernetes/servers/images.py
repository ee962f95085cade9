"""Little images for servers: one whose server starts at once and tells how it was started, and what tests put on top of it."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

import httpx

from tests.docker.servers.engine import FAKE_SERVER
from tests.kubernetes.images import MANIFEST, built, python_image

FAKE_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
RUN useradd --create-home --uid 1000 jovyan
COPY --chmod=755 jupyterhub-singleuser /fake/
ENV PATH=/fake:$PATH
WORKDIR /home/jovyan
COPY a.txt .
USER 1000
"""
COMMIT_DOCKERFILE = """\
ARG BASE
FROM ${BASE}
USER root
RUN apt-get update -q && apt-get install -q -y --no-install-recommends git && rm -rf /var/lib/apt/lists/*
COPY commit.bundle /srv/
RUN git clone -q /srv/commit.bundle /srv/repo
ENV REPO_DIR=/srv/repo
USER 2000
"""


def by_digest(image: str) -> str:
    """Return an image of the cluster's registry by its digest, as the service names it."""
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    answer = httpx.head(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST})
    return f"{image}@{answer.headers['Docker-Content-Digest']}"


def fake_image() -> str:
    """Return an image whose server starts at once, with content in its home, for Dockerfiles to begin with."""
    return made("fake-server", FAKE_DOCKERFILE, {"jupyterhub-singleuser": FAKE_SERVER, "a.txt": "theirs"}, BASE=python_image())


def made(name: str, dockerfile: str, files: Mapping[str, str | bytes] | None = None, **build_args: str) -> str:
    """Build an image of these files and return its name."""
    with tempfile.TemporaryDirectory() as folder:
        for path, content in {"Dockerfile": dockerfile, **(files or {})}.items():
            Path(folder, path).write_bytes(content.encode() if isinstance(content, str) else content)
        return built(name, Path(folder), **build_args)


class Commits:
    """Images with a checkout of each commit outside of the home, owned by root, for a user that is not 1000; the same in every run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._git("init", "-q")

    def add(self, text: str) -> tuple[str, str]:
        """Commit a file ``a.txt``; return an image with the commit's content, by its digest, and the commit."""
        (self.folder / "a.txt").write_text(text)
        self._git("add", "a.txt")
        self._git("commit", "-q", "-m", text)
        self._git("bundle", "create", "-q", "commit.bundle", "HEAD", "main")
        bundle = (self.folder / "commit.bundle").read_bytes()
        image = made("fake-commit", COMMIT_DOCKERFILE, {"commit.bundle": bundle}, BASE=fake_image())
        return by_digest(image), self._git("rev-parse", "HEAD")

    def _git(self, *arguments: str) -> str:
        moment = {"GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z", "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z"}
        command = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "init.defaultBranch=main", *arguments]
        done = subprocess.run(command, cwd=self.folder, env={**os.environ, **moment}, check=True, capture_output=True, text=True)
        return done.stdout.strip()
