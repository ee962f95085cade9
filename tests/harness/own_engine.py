"""A Docker engine of a test's own: it shares no bridge, no firewall and no images with any other."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.harness.waiting import wait_for

_START_SECONDS = 60


@dataclass(frozen=True)
class OwnEngine:
    """An engine in a network namespace of its own.

    Attributes:
        socket: where it listens; sockets are reached from all network namespaces.
        pid: its process.
    """

    socket: Path
    pid: int

    @property
    def address(self) -> str:
        """The socket as Docker's own programs take it."""
        return f"unix://{self.socket}"

    def docker(self, *arguments: str, given: bytes | None = None) -> str:
        """Run Docker's own program on this engine and return what it prints."""
        command = ("docker", f"--host={self.address}", *arguments)
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode().strip()

    def answers(self) -> bool:
        """Whether it is there."""
        return subprocess.run(("docker", f"--host={self.address}", "version"), capture_output=True, check=False).returncode == 0


@contextmanager
def own_engine(folder: Path, *options: str) -> Iterator[OwnEngine]:
    """Give an engine that keeps all it has in a folder; its containers go with it.

    Args:
        options: more of dockerd's.
    """
    places = [f"--data-root={folder}/data", f"--exec-root={folder}/exec", f"--pidfile={folder}/pid", f"--host=unix://{folder}/docker.sock"]
    # An engine makes a bridge, or removes the bridge that it finds, which may be another engine's: so in a network namespace of its own.
    command = ["unshare", "--net", "dockerd", *places, "--iptables=false", "--ip-masq=false", *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    engine = OwnEngine(folder / "docker.sock", process.pid)
    try:
        wait_for(engine.answers, "the engine", _START_SECONDS, 0.2)
        yield engine
        for container in engine.docker("ps", "--all", "--quiet").split():
            engine.docker("rm", "--force", container)
    finally:
        process.terminate()
        process.wait()
