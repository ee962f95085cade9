"""The bare sequence that a launch is compared with: what a person would type to get the same server."""

from __future__ import annotations

import contextlib
import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from binderhub_service.common import quick_imports
from tests.harness.waiting import wait_for

ANSWER_SECONDS = 60
_EVERY_SECONDS = 0.01


@dataclass(frozen=True)
class Server:
    """How a server is started: what a hub's own server was started with.

    Attributes:
        port: where it answers.
        path: its base path, e.g. ``/user/alice/``.
    """

    command: Sequence[str]
    environment: dict[str, str]
    directory: Path
    port: int
    path: str

    @classmethod
    def of(cls, pid: int, port: int, path: str) -> Server:
        """Return how a running server was started."""
        process = psutil.Process(pid)
        return cls(process.cmdline(), process.environ(), Path(process.cwd()), port, path)

    def moved(self, places: dict[str, str]) -> Server:
        """Return the same server with other paths in its command and its environment."""

        def move(text: str) -> str:
            for old, new in places.items():
                text = text.replace(old, new)
            return text

        environment = {name: move(value) for name, value in self.environment.items()}
        return Server([move(word) for word in self.command], environment, Path(move(str(self.directory))), self.port, self.path)

    def wait_until_it_answers(self, seconds: float = ANSWER_SECONDS, every_seconds: float = _EVERY_SECONDS) -> None:
        """Wait until it answers with Jupyter's version."""
        wait_for(self._answers, f"the server at port {self.port}", seconds, every_seconds=every_seconds)

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=ANSWER_SECONDS)
        try:
            connection.request("GET", f"{self.path}api")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def of_another(self, former: str, person: str, token: str, port: int) -> Server:
        """Return the same server for another person, at another port."""
        own = {
            "JUPYTERHUB_API_TOKEN": token,
            "JPY_API_TOKEN": "",
            "JUPYTERHUB_USER": person,
            "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}/user/{person}/",
        }
        names = ("JUPYTERHUB_SERVICE_PREFIX", "JUPYTERHUB_OAUTH_CALLBACK_URL", "JUPYTERHUB_CLIENT_ID", "JUPYTERHUB_OAUTH_SCOPES")
        names += ("JUPYTERHUB_OAUTH_ACCESS_SCOPES", "JUPYTERHUB_OAUTH_CLIENT_ALLOWED_SCOPES", "JUPYTERHUB_ACTIVITY_URL")
        moved = {name: self.environment[name].replace(former, person) for name in names if name in self.environment}
        return Server(self.command, {**self.environment, **moved, **own}, self.directory, port, f"/user/{person}/")

    @contextmanager
    def running(self, log: Path, seconds: float = ANSWER_SECONDS, every_seconds: float = _EVERY_SECONDS) -> Iterator[None]:
        """Run it; the block begins when it answers."""
        with log.open("ab") as output:
            process = subprocess.Popen(self.command, cwd=self.directory, env=self.environment, stdout=output, stderr=output, start_new_session=True)
        try:
            self.wait_until_it_answers(seconds, every_seconds)
            yield
        finally:
            process.terminate()
            process.wait(30)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def typed(command: Sequence[str]) -> list[str]:
    """Return what a person would type to run what a command of ours runs: the program itself."""
    words = list(command)
    return words[words.index(quick_imports.__file__) + 1 :] if quick_imports.__file__ in words else words


def bare_start(server: Server, log: Path) -> float:
    """Return how long a server takes from its start until it answers, in seconds."""
    begun = time.perf_counter()
    with server.running(log):
        return time.perf_counter() - begun


def bare_launch(repo: str, copy: Path, prefix: Path, server: Server, base: Sequence[str], uv: str, python: str, log: Path) -> float:
    """Clone, make an environment, install, and start a server in it; return the seconds until it answers.

    Args:
        base: what is installed beside the repository's ``requirements.txt``.
    """
    begun = time.perf_counter()
    clone(repo, copy)
    subprocess.run([uv, "venv", "--quiet", "--python", python, str(prefix)], check=True)
    interpreter = str(prefix / "bin" / "python")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", interpreter, "-r", "requirements.txt", *base], cwd=copy, check=True)
    with server.running(log):
        return time.perf_counter() - begun


def clone(repo: str, copy: Path) -> float:
    """Clone a repository; return the seconds it took."""
    begun = time.perf_counter()
    subprocess.run(["git", "clone", "--quiet", repo, str(copy)], check=True)
    return time.perf_counter() - begun


def ls_remote(repo: str) -> None:
    """Ask a Git server which commit the default branch is at."""
    subprocess.run(["git", "ls-remote", "--quiet", repo, "HEAD"], check=True, stdout=subprocess.DEVNULL)
