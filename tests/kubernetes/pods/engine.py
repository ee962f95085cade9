"""An engine that build pods reach by its address, the builder image that speaks to it, and what is in it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.own_engine import OwnEngine, own_engine
from tests.harness.ports import free_ports
from tests.harness.waiting import wait_for
from tests.kubernetes.images import ROOT, builder_image, built, debian, registry

STAND_IN = ROOT / "tests/docker/servers/stand_ins/docker"
PROGRAMS = ("docker", "dockerd", "runc", "socat", "unshare", "nsenter", "ip")


@dataclass(frozen=True)
class EngineForPods:
    """An engine and how pods reach it.

    Attributes:
        address: as the setting `engine_host` takes it.
    """

    own: OwnEngine
    address: str

    def images(self) -> list[str]:
        """Return the names of all its images."""
        return self.own.docker("image", "ls", "--all", "--format={{.Repository}}:{{.Tag}}").splitlines()

    def containers(self) -> list[str]:
        """Return the names of all its containers, running or not."""
        return self.own.docker("ps", "--all", "--format={{.Names}}").splitlines()


def reason_to_skip() -> str:
    """Return why there can be no engine for pods here; empty if there can be one."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None] + ([] if _buildx().exists() else ["docker buildx"])
    return f"needs {', '.join(missing)} for an engine of its own" if missing else ""


def builder_image_with_docker() -> str:
    """Return the builder image for an engine, with this machine's programs of Docker's."""
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        (context / "Dockerfile").write_text((STAND_IN / "Dockerfile").read_text().replace("debian:12", debian()))
        for program in (shutil.which("docker"), _buildx()):
            shutil.copy(str(program), context)
        cli = built("docker-cli", context)
    return built("binder-builder-engine", ROOT / "chart/images/builder", "Dockerfile.engine", BUILDER=builder_image(), DOCKER_CLI=cli)


@contextmanager
def engine_for_pods(folder: Path) -> Iterator[EngineForPods]:
    """Give an engine that reaches nothing but the cluster's registry, and that pods reach at this machine's address."""
    host, port = os.environ["KUBE_TEST_HOST"], free_ports(1, os.environ["KUBE_TEST_HOST"])[0]
    registry_host, _, registry_port = registry().rpartition(":")
    with ExitStack() as stack:
        # With the scheme: of an address of digits, the BuildKit in Docker 20.10 does not learn it otherwise.
        engine = stack.enter_context(own_engine(folder, f"--insecure-registry=http://{registry()}"))
        inside = ("nsenter", f"--target={engine.pid}", "--net")
        for command in (("ip", "link", "set", "lo", "up"), ("ip", "address", "add", f"{registry_host}/32", "dev", "lo")):
            subprocess.run((*inside, *command), check=True, capture_output=True)
        to_registry = folder / "registry.sock"
        # Sockets lead out of the network namespace; so no interface, route or rule of this machine's is needed.
        for command in (
            ("socat", f"UNIX-LISTEN:{to_registry},fork", f"TCP:{registry()}"),
            (*inside, "socat", f"TCP-LISTEN:{registry_port},bind={registry_host},fork", f"UNIX-CONNECT:{to_registry}"),
            ("socat", f"TCP-LISTEN:{port},bind={host},fork,reuseaddr", f"UNIX-CONNECT:{engine.socket}"),
        ):
            stack.enter_context(_running(command))
        wait_for(lambda: _listens(host, port) and to_registry.exists(), "the way to the engine", 10)
        yield EngineForPods(engine, f"tcp://{host}:{port}")


@contextmanager
def _running(command: Sequence[str]) -> Iterator[None]:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()


def _listens(host: str, port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((host, port)) == 0


def _buildx() -> Path:
    return Path(os.environ.get("DOCKER_CONFIG", Path.home() / ".docker")) / "cli-plugins/docker-buildx"
