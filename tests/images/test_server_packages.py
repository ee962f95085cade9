"""The wheel of the hub's own JupyterHub that environments get."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

import pytest

from binderhub_service.images.server_packages import FOLDER, server_packages
from binderhub_service.process.programs import find_uv

MODULES = ("jupyterhub/app.py", "jupyterhub/singleuser/__init__.py")
PAGES = "share/jupyterhub/static/"
INFO = "jupyterhub-9.9.dist-info"


def listed(hub: Distribution) -> set[str]:
    """Return the files of an installation that are not an installer's."""
    return {
        path.as_posix()
        for path in hub.files or ()
        if path.suffix != ".pyc" and path.name not in {"RECORD", "INSTALLER", "REQUESTED", "uv_cache.json"}
    }


def wheels(state: Path) -> list[str]:
    return sorted(path.name for path in (state / FOLDER).iterdir())


def test_an_environment_has_all_of_the_hubs_jupyterhub_but_its_pages(tmp_path: Path) -> None:
    hub, uv, environment = distribution("jupyterhub"), find_uv(), tmp_path / "environment"
    folder = server_packages(tmp_path)
    subprocess.run([uv, "venv", "--quiet", str(environment)], check=True)
    python = environment / "bin" / "python"
    wanted = ("--no-index", "--no-deps", "--find-links", folder, f"jupyterhub=={hub.version}")
    subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *wanted], check=True)
    [packages] = environment.glob("lib/python*/site-packages")
    [info] = packages.glob("jupyterhub-*.dist-info")
    assert listed(PathDistribution(info)) == {name for name in listed(hub) if PAGES not in name}
    assert (environment / "bin" / "jupyterhub-singleuser").exists()
    assert (environment / "share" / "jupyterhub" / "templates" / "page.html").exists()
    assert not (environment / PAGES).exists()
    frozen = subprocess.run([uv, "pip", "freeze", "--python", str(python)], check=True, capture_output=True, text=True).stdout
    assert frozen == f"jupyterhub=={hub.version}\n", "as from an index"


def test_it_is_made_once_and_takes_the_place_of_an_earlier_one(tmp_path: Path) -> None:
    (tmp_path / FOLDER).mkdir()
    (tmp_path / FOLDER / "jupyterhub-1.0-py3-none-any.whl").touch()
    server_packages(tmp_path)
    [name] = wheels(tmp_path)
    assert name == f"jupyterhub-{distribution('jupyterhub').version}-py3-none-any.whl"
    made = (tmp_path / FOLDER / name).stat()
    server_packages(tmp_path)
    assert (tmp_path / FOLDER / name).stat() == made


class Installed:
    """An installation of JupyterHub with just enough in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / INFO).mkdir(parents=True)
        self.put(f"{INFO}/METADATA", "Metadata-Version: 2.1\nName: jupyterhub\nVersion: 9.9\n")
        self.put(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        for name in MODULES:
            self.put(name, name)
        self.record()

    def put(self, name: str, text: str) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)

    def record(self, *more: str) -> None:
        lines = []
        for path in sorted(path for path in self.folder.rglob("*") if path.is_file() and path.name != "RECORD"):
            digest = base64.urlsafe_b64encode(hashlib.sha256(path.read_bytes()).digest()).rstrip(b"=").decode()
            lines.append(f"{path.relative_to(self.folder)},sha256={digest},{path.stat().st_size}")
        self.put(f"{INFO}/RECORD", "\n".join([*lines, *more, ""]))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Installed:
    hub = Installed(tmp_path / "site-packages")
    monkeypatch.setattr("binderhub_service.images.server_packages.distribution", lambda _: PathDistribution(hub.folder / INFO))
    return hub


def test_what_is_installed_as_published_is_packed(tmp_path: Path, installed: Installed) -> None:
    assert server_packages(tmp_path) == str(tmp_path / FOLDER)
    assert wheels(tmp_path) == ["jupyterhub-9.9-py3-none-any.whl"]


@pytest.mark.parametrize("case", ["changed", "gone", "no digest", "a checkout", "no record", "for another system", "no wheel"])
def test_what_is_not_as_it_was_published_is_not_packed(tmp_path: Path, installed: Installed, case: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "binderhub_service")
    if case == "changed":
        installed.put(MODULES[0], "mended by hand")
    elif case == "gone":
        installed.put("jupyterhub/other.py", "x")
        installed.record()
        (installed.folder / "jupyterhub" / "other.py").unlink()
    elif case == "no digest":
        installed.record("jupyterhub/more.py,,")
        installed.put("jupyterhub/more.py", "x")
    elif case == "a checkout":
        (installed.folder / MODULES[0]).unlink()
        installed.record()
    elif case == "no record":
        (installed.folder / INFO / "RECORD").unlink()
    elif case == "for another system":
        installed.put(f"{INFO}/WHEEL", "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\n")
        installed.record()
    else:
        (installed.folder / INFO / "WHEEL").unlink()
        installed.record()
    assert server_packages(tmp_path) == ""
    assert "Environments get JupyterHub with the files of the hub's pages: " in caplog.text
    assert wheels(tmp_path) == [], "nothing half-made"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more"])
def test_half_a_wheel_is_made_anew(tmp_path: Path, installed: Installed, content: bytes) -> None:
    server_packages(tmp_path)
    [wheel] = (tmp_path / FOLDER).iterdir()
    whole = wheel.stat().st_size
    wheel.write_bytes(content)
    assert server_packages(tmp_path) == str(tmp_path / FOLDER)
    assert wheel.stat().st_size == whole


def test_a_state_directory_that_takes_nothing_does_not_stop_the_service(tmp_path: Path) -> None:
    (tmp_path / FOLDER).touch()
    assert server_packages(tmp_path) == ""
