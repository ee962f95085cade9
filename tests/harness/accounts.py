"""Accounts of this machine for a test, removed in the end, and what they can run: not what lies in root's home."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import stat
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.spawner.fakes import SINGLEUSER

ROOT = Path(__file__).parents[2]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Give a folder that everybody may enter, as no folder of pytest's is."""
    folder = Path(tempfile.mkdtemp(prefix="binder-accounts-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def account(homes: Path) -> Iterator[pwd.struct_passwd]:
    """Give an account of this machine that is in its own group and in ``daemon``, with a home below a folder."""
    name = f"bt{secrets.token_hex(4)}"
    command = ["useradd", "--create-home", "--home-dir", str(homes / name), "--user-group", "--groups", "daemon", "--shell", "/bin/sh", name]
    subprocess.run(command, check=True, capture_output=True)
    try:
        yield pwd.getpwnam(name)
    finally:
        subprocess.run(["userdel", "--force", name], check=True, capture_output=True)


def python_for_all(folder: Path) -> Path:
    """Return a Python of this version that everybody may run, with the packages of this one; skip the test if there is none."""
    here, packages = Path(sys.executable), [Path(path) for path in sys.path if path.endswith("site-packages")]
    candidates = (here.resolve(), Path(f"/usr/bin/python3.{sys.version_info.minor}"), Path(f"/usr/local/bin/python3.{sys.version_info.minor}"))
    python = next((path for path in candidates if _is_open(path)), None)
    if python is None or not all(map(_is_open, [*packages, ROOT])):
        pytest.skip("needs a Python and a clone that every account of this machine may read")
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    [own] = (folder / "lib").glob("python3.*/site-packages")
    (own / "packages.pth").write_text("\n".join(map(str, [ROOT, *packages])))
    (folder / "bin" / "uv").symlink_to(shutil.which("uv", path=str(here.parent)) or "uv")
    return folder / "bin" / "python"


def server_wheel(folder: Path) -> Path:
    """Return a package, all that an environment needs, whose server answers everything with how it was started."""
    wheel = folder / "fake_server-1-py3-none-any.whl"
    about = "fake_server-1.dist-info"
    files = {
        "fake_server-1.data/scripts/jupyterhub-singleuser": SINGLEUSER.format(python="python", at_once="if '--version' in sys.argv: sys.exit()"),
        f"{about}/METADATA": "Metadata-Version: 2.1\nName: fake-server\nVersion: 1\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
        archive.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in [*files, f"{about}/RECORD"]))
    return wheel


def run_as(found: pwd.struct_passwd, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program as an account."""
    return subprocess.run(command, user=found.pw_uid, group=found.pw_gid, extra_groups=[], cwd="/", check=False, capture_output=True, text=True)


def _is_open(path: Path) -> bool:
    needs = stat.S_IXOTH if path.is_dir() or os.access(path, os.X_OK) else stat.S_IROTH
    return path.exists() and all(one.stat().st_mode & needs for one in (path, *path.parents))
