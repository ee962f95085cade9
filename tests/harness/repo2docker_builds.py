"""Images that repo2docker itself builds on this machine's engine, and what is found in their containers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spawner import start
from tests.docker.servers.engine import TestEngine

FOLDER = Path(__file__).parent
MOST_SECONDS = 600
CONTENT, HOME = "/home/jovyan", "/home/person"
SETTINGS = """\
from tests.harness.environment_build_pack import EnvironmentBuildPack

c.Repo2Docker.buildpacks = [EnvironmentBuildPack]
c.Repo2Docker.default_buildpack = EnvironmentBuildPack
c.DockerEngine.extra_buildx_build_args = ["--network=host"]
"""
# Jupyter is in the base image; what repo2docker installs in a repository's name comes over it.
JUPYTER_PYTHON = "/opt/venv/bin/python"


@dataclass(frozen=True)
class Seen:
    """What code in a server finds, with the same words for the same folders everywhere.

    Attributes:
        where: where the code starts.
        content, home: the text of files in the working directory and in the home, by their paths.
        packages: versions by name.
    """

    where: str
    content: Mapping[str, str]
    home: Mapping[str, str]
    packages: Mapping[str, str]
    kernels: tuple[str, ...]
    variables: Mapping[str, str]

    @classmethod
    def from_json(cls, text: str) -> Seen:
        """Return what `seen` has printed."""
        told: dict[str, Any] = json.loads(text.splitlines()[-1])
        words = {told["prefix"]: "PREFIX", told["cwd"]: "CONTENT"}

        def plain(texts: Mapping[str, str]) -> dict[str, str]:
            replaced = dict(texts)
            for folder, word in words.items():
                replaced = {name: value.replace(folder, word) for name, value in replaced.items()}
            return replaced

        kernels = tuple(told["kernels"])
        return cls(words[told["cwd"]], plain(told["content"]), plain(told["home"]), told["packages"], kernels, plain(told["variables"]))


def program() -> str:
    """Return the program that prints what it finds."""
    return (FOLDER / "seen.py").read_text()


class Repo2DockerBuilds:
    """Builds with one base image; all names in the engine bear the engine's mark."""

    def __init__(self, engine: TestEngine) -> None:
        self._engine = engine
        self._base = engine.jupyter_image()
        # The base image's user is root, as repo2docker expects it.
        self._root = engine.build(f"{engine.mark}-root:1", f"FROM {self._base}\nUSER root\n")

    def build(self, folder: Path, name: str) -> str:
        """Build an image of a checkout; return its name."""
        image = f"{self._engine.mark}-{name}:1"
        configuration = folder.with_name(f"{name}.py")
        configuration.write_text(SETTINGS)
        settings = [f"--config={configuration}", f"--Repo2Docker.base_image={self._root}", "--user-name=jovyan", "--user-id=1000"]
        command = [sys.executable, "-m", "repo2docker", "--no-run", "--no-push", *settings, f"--image-name={image}", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=FOLDER.parent.parent, timeout=MOST_SECONDS)
        assert done.returncode == 0, done.stderr[-3000:]
        return image

    def base(self) -> Seen:
        """Return what is in the base image before anything is installed."""
        return self._seen(self._base, [], [JUPYTER_PYTHON, "-c", program()])

    def container(self, image: str) -> Seen:
        """Return what is found in a container as repo2docker starts it."""
        return self._seen(image, [], ["python3", "-c", program()])

    def server(self, image: str, commit: str) -> Seen:
        """Return what is found in a container as docker mode starts it: with a home that stays, in the person's copy."""
        command = start.command(["python3", "-c", program()], commit, content=CONTENT, copy=f"{HOME}/default/r-1")
        return self._seen(image, [f"--tmpfs={HOME}:mode=777", f"--env=HOME={HOME}"], command)

    def _seen(self, image: str, options: Sequence[str], command: Sequence[str]) -> Seen:
        done = subprocess.run(["docker", "run", "--rm", *options, image, *command], capture_output=True, text=True, timeout=MOST_SECONDS)
        assert done.returncode == 0, done.stdout + done.stderr
        return Seen.from_json(done.stdout)
