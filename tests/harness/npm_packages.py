"""Packages of npm's registry that tests run in a browser: clients of others, as people install them."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.harness.waiting import HANGS_SECONDS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".npm-clients"
VERSIONS = {
    "@jupyterhub/binderhub-client": "0.5.0",
    "@microsoft/fetch-event-source": "2.0.1",
    "event-iterator": "2.0.0",
    "thebe": "0.9.3",
}
_SECONDS = HANGS_SECONDS


def npm_package(name: str) -> Path:
    """Return the folder of a package of `VERSIONS` as it is published, fetched once for this clone.

    Tests that need one are skipped where there is no npm, or where its registry does not answer.
    """
    version = VERSIONS[name]
    folder = FOLDER / f"{name.replace('/', '-').removeprefix('@')}-{version}"
    if not folder.exists():
        FOLDER.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=FOLDER) as made:
            _fetch(f"{name}@{version}", Path(made))
            (Path(made) / "package").rename(folder)
    return folder


def _fetch(package: str, folder: Path) -> None:
    npm = shutil.which("npm", path=f"{ROOT / '.proxy/node_modules/.bin'}:/usr/local/bin:/usr/bin:/bin") or shutil.which("npm")
    if npm is None:
        pytest.skip("there is no npm on PATH")
    packed = subprocess.run([npm, "pack", package, "--silent"], cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=False)
    if packed.returncode:
        pytest.skip(f"npm does not give {package}: {packed.stderr.strip()[-200:]}")
    with tarfile.open(folder / packed.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(folder, filter="data")
