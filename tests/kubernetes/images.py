"""Images for tests on the cluster, built by this machine's buildah and pushed to the cluster's registry.

As a program: build those of which several tests need the same, so that none of them waits for it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.harness.small_image import FOLDER as SMALL_FOLDER

ROOT = Path(__file__).parents[2]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
PROJECT = ("LICENSE", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py", "binder_client", "binderhub_service", "spawner", "chart/images")
QUICKLY = "--compression-level=1"
"""How images of tests are packed: in less time; and not as builds pack, so that their layers show what was packed anew."""
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc")


def registry() -> str:
    """Return the cluster's registry, host and port; without a cluster, where all tests are skipped, a name that is nowhere."""
    return os.environ.get("KUBE_TEST_REGISTRY", "registry.invalid")


def debian() -> str:
    """Return the image that all others begin with; it trusts what this machine trusts."""
    return f"{registry()}/debian:12"


def built(name: str, context: Path, dockerfile: str = "Dockerfile", **build_args: str) -> str:
    """Build an image of a folder and push it, unless the registry has it of the same folder and arguments; return its name."""
    image = f"{registry()}/{name}:{_digest(context, dockerfile, build_args)}"
    if _there(image):
        return image
    with Path(tempfile.gettempdir(), f"{name}-for-kubernetes-tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _there(image):
            arguments = [f"--build-arg={key}={value}" for key, value in build_args.items()]
            file = context / dockerfile
            _buildah(
                "bud", "--quiet", "--layers", "--isolation=chroot", "--tls-verify=false", *arguments, f"--file={file}", f"--tag={image}", str(context)
            )
            _buildah("push", "--quiet", "--tls-verify=false", QUICKLY, image)
    return image


def small_image() -> str:
    """Return an image for builds to begin with that need no more than a shell and its programs."""
    return built("small", SMALL_FOLDER, BASE=debian())


def little_image() -> str:
    """Return what images are built on here: the same system, whose packages come without what no test reads."""
    return built("little", Path(__file__).parent / "little", BASE=debian())


def python_image() -> str:
    """Return what those that are no product begin with: Python."""
    return built("python", Path(__file__).parent / "python", BASE=little_image())


def singleuser_image() -> str:
    """Return an image that servers start from."""
    return built("singleuser", Path(__file__).parent / "singleuser", BASE=python_image(), UV=_uv_image())


def image_registry() -> str:
    """Return an image of this machine's registry, a stand-in for Docker's image ``registry``."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(str(shutil.which("docker-registry")), Path(folder) / "registry")
        (Path(folder) / "Dockerfile").write_text("ARG BASE\nFROM $BASE\nCOPY registry /bin/registry\n")
        return built("image-registry", Path(folder), BASE=debian())


def copy_image(image: str, to: str, login: str) -> None:
    """Copy an image of the cluster's registry to another registry, which speaks plain http and wants a login, ``name:password``."""
    _buildah("pull", "--quiet", "--tls-verify=false", image)
    _buildah("push", "--quiet", "--tls-verify=false", f"--creds={login}", image, to)


def builder_image() -> str:
    """Return the image that builds run in, made of this working tree."""
    return _built_of_project("builder", little_image())


def hub_image() -> str:
    """Return the image that the hub runs in, made of this working tree."""
    return _built_of_project("hub", hub_base_image())


def hub_base_image() -> str:
    """Return what stands in for zero-to-jupyterhub's images of the hub and of the proxy."""
    return built("hub-base", Path(__file__).parent / "chart/hub_base", BASE=python_image(), UV=_uv_image())


def _uv_image() -> str:
    """Return an image with uv in ``/opt/uv``."""
    return built("uv", Path(__file__).parent / "uv", BASE=python_image())


def _built_of_project(name: str, base: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        for part in PROJECT:
            source, copy = ROOT / part, Path(folder) / part
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, copy, ignore=IGNORED) if source.is_dir() else shutil.copy2(source, copy)
        return built(f"binder-{name}", Path(folder), f"chart/images/{name}/Dockerfile", BASE=base)


def _digest(context: Path, dockerfile: str, build_args: dict[str, str]) -> str:
    files = {str(path.relative_to(context)): _content(path) for path in context.rglob("*") if path.is_symlink() or path.is_file()}
    text = json.dumps([dockerfile, build_args, files, QUICKLY], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _content(path: Path) -> list[object]:
    if path.is_symlink():
        return [str(path.readlink())]
    return [path.stat().st_mode & 0o777, hashlib.sha256(path.read_bytes()).hexdigest()]


def _there(image: str) -> bool:
    host, _, rest = image.partition("/")
    repository, _, tag = rest.rpartition(":")
    return httpx.head(f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": MANIFEST}).status_code == 200


def _buildah(*arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "DOCKER_CONFIG"}  # buildah wants a file to be in it
    done = subprocess.run(["buildah", *arguments], env=environment, capture_output=True, text=True)
    assert not done.returncode, f"buildah {' '.join(arguments)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}"


if __name__ == "__main__":
    with ThreadPoolExecutor(2) as threads:  # one works while the other waits for packages
        for making in [threads.submit(make) for make in (builder_image, singleuser_image, hub_image)]:
            making.result()
