"""The container engine of the tests: images built by hand, and the removal of whatever a test made."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Mapping
from importlib.metadata import version

import docker
from docker.errors import APIError, ImageNotFound
from docker.utils import kwargs_from_env

# An older jsonschema does without a library that takes 1.5 s of a processor at every start of a server.
JUPYTER_IMAGE = f"binder-tests-jupyter:{version('jupyterhub')}"
JUPYTER_DOCKERFILE = f"""\
FROM debian:12
RUN apt-get update -q && apt-get install -y -q --no-install-recommends git python3-venv && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/uv && /opt/uv/bin/pip install --no-cache-dir -q uv
RUN python3 -m venv /opt/venv && /opt/uv/bin/uv pip install -q --no-cache --compile-bytecode --python /opt/venv \\
    jupyterhub=={version("jupyterhub")} jupyterlab "jsonschema<4.25"
ENV PATH=/opt/venv/bin:$PATH
RUN useradd --create-home --uid 1000 jovyan
USER jovyan
WORKDIR /home/jovyan
"""
# What looks like a server of a person: answers everything with how it was started, and says its version as the real one, which it covers.
FAKE_SERVER = """#!/usr/bin/python3 -I
import http.server, json, os, pathlib, signal, sys, urllib.parse
if sys.argv[1:] == ["--version"]:
    os.execv("/opt/venv/bin/jupyterhub-singleuser", sys.argv)
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        readable = [path for path in pathlib.Path().rglob("*") if os.access(path, os.R_OK) and path.is_file() and ".git/" not in str(path)]
        files = {str(path): path.read_text() for path in readable}
        status = pathlib.Path("/proc/self/status").read_text()
        told = {"environment": dict(os.environ), "cwd": os.getcwd(), "arguments": sys.argv, "uid": os.getuid(), "files": files, "status": status}
        self.wfile.write(json.dumps(told).encode())
    def log_message(self, *_):
        pass
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
http.server.HTTPServer(("0.0.0.0", 8888), Handler).serve_forever()
"""
FAKE_DOCKERFILE = f"""\
FROM {JUPYTER_IMAGE}
USER root
COPY jupyterhub-singleuser /fake/
RUN chmod +x /fake/jupyterhub-singleuser
ENV PATH=/fake:$PATH
"""


class TestEngine:
    """The engine, and a mark on everything that a test makes in it.

    Attributes:
        mark: what names of a test's own images, containers and volumes begin with.
    """

    __test__ = False

    def __init__(self, mark: str) -> None:
        self.client = docker.APIClient(version="auto", timeout=600, **kwargs_from_env())
        self.mark = mark

    def build(self, name: str, dockerfile: str, files: Mapping[str, str | bytes] | None = None) -> str:
        """Build an image with the engine's own builder and return its name."""
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as archive:
            for path, content in {"Dockerfile": dockerfile, **(files or {})}.items():
                data = content.encode() if isinstance(content, str) else content
                entry = tarfile.TarInfo(path)
                entry.size, entry.mode = len(data), 0o755 if data.startswith(b"#!") else 0o644
                archive.addfile(entry, io.BytesIO(data))
        context.seek(0)
        said = ""
        for line in self.client.build(fileobj=context, custom_context=True, tag=name, rm=True, forcerm=True, network_mode="host", decode=True):
            said += line.get("stream", "")
            if "error" in line:
                raise RuntimeError(f"{line['error']}\n{said}")
        return name

    def jupyter_image(self) -> str:
        """Return an image with git, jupyterhub and jupyterlab; the engine keeps it between runs."""
        return JUPYTER_IMAGE if self.has_image(JUPYTER_IMAGE) else self.build(JUPYTER_IMAGE, JUPYTER_DOCKERFILE)

    def has_image(self, name: str) -> bool:
        """Whether the engine has an image of this name."""
        try:
            self.client.inspect_image(name)
        except ImageNotFound:
            return False
        return True

    def push(self, name: str, registry: str, login: Mapping[str, str] | None = None) -> str:
        """Push an image, forget it, and return its name with its digest."""
        remote = f"{registry}/{name}"
        self.client.tag(name, remote.rpartition(":")[0], name.rpartition(":")[2])
        for line in self.client.push(remote, stream=True, decode=True, auth_config=login and dict(login)):
            if "error" in line:
                raise RuntimeError(line["error"])
        [digest] = [one for one in self.client.inspect_image(remote)["RepoDigests"] if one.startswith(f"{registry}/")]
        for each in (remote, name):
            self.client.remove_image(each, force=True)
        return f"{remote}@{digest.partition('@')[2]}"

    def containers(self) -> list[str]:
        """Return the names of the containers that this test's servers have, running or not."""
        found = self.client.containers(all=True, filters={"name": f"^/{self.mark}"})
        return sorted(name.removeprefix("/") for container in found for name in container["Names"])

    def in_container(self, name: str, *command: str, user: str = "") -> str:
        """Run a command in a container and return what it printed."""
        run = self.client.exec_create(name, list(command), user=user)
        printed: bytes = self.client.exec_start(run["Id"])
        assert self.client.exec_inspect(run["Id"])["ExitCode"] == 0, printed
        return printed.decode()

    def clear(self) -> None:
        """Remove what bears the mark."""
        for name in self.containers():
            self.client.remove_container(name, force=True, v=True)
        for volume in self.client.volumes(filters={"name": self.mark})["Volumes"] or []:
            self.client.remove_volume(volume["Name"], force=True)
        for image in self.client.images(all=True):
            for name in [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]:
                if self.mark in name:
                    self._remove_image(name)

    def _remove_image(self, name: str) -> None:
        try:
            self.client.remove_image(name, force=True)
        except APIError as error:
            if error.status_code not in {404, 409}:
                raise


def reason_to_skip(registry: bool = False) -> str:
    """Return why tests with an engine cannot run here; empty if they can."""
    missing = [name for name in ("DOCKER_HOST", *(["TEST_REGISTRY"] if registry else [])) if not os.environ.get(name)]
    return f"needs a container engine: {' and '.join(missing)} not set" if missing else ""
