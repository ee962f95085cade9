"""How a server in a container is started: with the person's copy of the repository in place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import resources
from typing import Any

from binderhub_service.common.terminal import plain

SINGLEUSER = "jupyterhub-singleuser"
_SAYS = "binder: "


def command(server: Sequence[str], commit: str, *, content: str = "", copy: str = "", volumes: Iterable[str] = ()) -> list[str]:
    """Return the command that puts the copy in place and then becomes the server.

    Args:
        server: the server's own command.
        commit: what the image's content is of.
        content: the folder in the image with the repository's content; empty to take `REPO_DIR`, else the image's working directory.
        copy: the folder of the person's copy; empty to work in the image's own content.
        volumes: folders that volumes of the container lie over.
    """
    return ["sh", "-c", _script(), "binder", content, copy, commit, ":".join(volumes), *server]


def written(build: Mapping[str, Any], user: str, server: str) -> dict[str, str]:
    """Return who and what a server is for, to be written on its container."""
    of_build = {name: str(build.get(key) or "") for name, key in (("build", "id"), ("repository", "repo"), ("commit", "commit"))}
    return {f"binder.{name}": text for name, text in {**of_build, "user": user, "server": server}.items()}


def said(log: str) -> list[str]:
    """Return what a container's log says, in lines for people, about the copy."""
    return [line.removeprefix(_SAYS) for line in map(plain, log.splitlines()) if line.startswith(_SAYS)]


def _script() -> str:
    lines = resources.files(__package__).joinpath("start.sh").read_text(encoding="utf-8").splitlines()
    return "\n".join(line for line in lines if line and not line.startswith("#"))
