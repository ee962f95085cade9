"""What limited builds run in, made here where moby/buildkit cannot be had: BuildKit from its Go module, in an image of Debian's packages."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.docker.builds.docker_builds import docker
from tests.harness.own_engine import own_engine
from tests.harness.small_image import SMALL_IMAGE

MODULE, VERSION = "github.com/moby/buildkit", "v0.28.1"
IMAGE = f"binder-tests-buildkit:{VERSION}"
# What a program of one file can do: a shell for images that begin with nothing.
SHELL = "/bin/busybox"
DOCKERFILE = """\
FROM debian:12
RUN apt-get update -q && apt-get install -q -y --no-install-recommends busybox-static ca-certificates runc && rm -rf /var/lib/apt/lists/*
COPY buildkitd buildctl /usr/bin/
ENTRYPOINT ["buildkitd"]
"""
# A machine may hold back this capability even from root; then privileged containers start without it.
RUNTIME = """\
#!/bin/sh
previous=
for word in "$@"; do
    case $previous in --bundle) file=$word/config.json ;; --process) file=$word ;; *) file= ;; esac
    [ ! -f "$file" ] || sed -i 's/"CAP_SYS_RESOURCE",//g; s/,"CAP_SYS_RESOURCE"//g' "$file"
    previous=$word
done
exec runc "$@"
"""


def make_image(folder: Path) -> None:
    """Make the image unless the engine has it; takes minutes the first time on a machine."""
    if docker("image", "ls", "--quiet", IMAGE):
        return
    downloaded = _go("mod", "download", "-json", f"{MODULE}@{VERSION}", cwd=folder)
    source = folder / "source"
    shutil.copytree(json.loads(downloaded)["Dir"], source, copy_function=shutil.copyfile)
    context = folder / "context"
    context.mkdir()
    for directory in (path for path in (source, *source.rglob("*")) if path.is_dir()):
        directory.chmod(0o755)
    for program in ("buildkitd", "buildctl"):
        _go("build", "-trimpath", "-ldflags=-s -w", f"-o={context / program}", f"./cmd/{program}", cwd=source)
    (context / "Dockerfile").write_text(DOCKERFILE)
    docker("build", "--quiet", "--network=host", f"--tag={IMAGE}", str(context))


def shell_program(folder: Path) -> bytes:
    """Return the program that is a whole shell in one file, out of the image."""
    container = docker("create", IMAGE)
    try:
        docker("cp", f"{container}:{SHELL}", str(folder / "busybox"))
    finally:
        docker("rm", container)
    return (folder / "busybox").read_bytes()


@contextmanager
def privileged_engine(folder: Path) -> Iterator[str]:
    """Give the address of an engine that runs privileged containers, with the image: the tests' own, else one made for this."""
    if runs_privileged(os.environ["DOCKER_HOST"]):
        yield os.environ["DOCKER_HOST"]
        return
    runtime = folder / "runtime"
    runtime.write_text(RUNTIME)
    runtime.chmod(0o755)
    with own_engine(folder, "--bridge=none", f"--add-runtime=fewer={runtime}", "--default-runtime=fewer") as engine:
        saved = subprocess.run(("docker", "save", IMAGE, SMALL_IMAGE), check=True, capture_output=True).stdout
        engine.docker("load", given=saved)
        yield engine.address


def runs_privileged(address: str) -> bool:
    """Whether an engine can start a privileged container."""
    command = ("docker", f"--host={address}", "run", "--rm", "--privileged", SMALL_IMAGE, "true")
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def reason_to_skip() -> str:
    """Return why limited builds cannot be run here; empty if they can."""
    missing = [program for program in ("go", "dockerd", "runc", "unshare") if shutil.which(program) is None]
    return f"needs {', '.join(missing)} to make BuildKit and an engine for it" if missing else ""


def _go(*arguments: str, cwd: Path) -> str:
    variables = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod"}
    return subprocess.run(("go", *arguments), cwd=cwd, env=variables, check=True, stdout=subprocess.PIPE, text=True).stdout
