"""The hub's own JupyterHub as environments have it: a wheel without the files of the hub's pages, of which no server reads one.

They are 6,791 of the 6,937 files of jupyterhub 6.1.1, a third of those of an environment with JupyterLab; to link them takes uv 1.5 s of a processor.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PackagePath, distribution
from pathlib import Path
from tempfile import TemporaryDirectory

from ..common.private import private_folder

log = logging.getLogger("binderhub_service")
FOLDER = "server-packages"
_PAGES = "share/jupyterhub/static/"
_SHARED = ("etc/", "share/")
_PROGRAMS = "bin/"
_OF_THE_INSTALLATION = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
_NEEDED = {"jupyterhub/app.py", "jupyterhub/singleuser/__init__.py"}


def server_packages(state: Path) -> str:
    """Return the folder, below the state directory, of a wheel of this process's jupyterhub for environments; empty if none can be made.

    The wheel is made unless it is there. It is not where the installed files are others than those that were installed, e.g. in a checkout.
    """
    hub = distribution("jupyterhub")
    folder = state / FOLDER
    wheel = folder / f"jupyterhub-{hub.version}-py3-none-any.whl"
    try:
        if not zipfile.is_zipfile(wheel):  # not there, or a machine lost its power while it was written
            private_folder(folder)
            with TemporaryDirectory(dir=folder) as aside:
                _write(hub, Path(aside, wheel.name))
                Path(aside, wheel.name).replace(wheel)
            for earlier in set(folder.glob("*.whl")) - {wheel}:
                earlier.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        log.info("Environments get JupyterHub with the files of the hub's pages: %s", error)
        return ""
    return str(folder)


def _write(hub: Distribution, wheel: Path) -> None:
    """Write a wheel of what is installed, by the binary distribution format; raises `ValueError` if that is not what was installed."""
    files = dict(_files(hub))
    if not files.keys() >= _NEEDED or "Tag: py3-none-any" not in (hub.read_text("WHEEL") or ""):
        raise ValueError("it is not installed from a wheel")
    recorded = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, path in files.items():
            content = path.read_binary()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            if path.hash is None or path.hash.value != digest:
                raise ValueError(f"{path} was changed")
            archive.writestr(name, content)
            recorded.append(f"{name},sha256={digest},{len(content)}\n")
        record = f"jupyterhub-{hub.version}.dist-info/RECORD"
        archive.writestr(record, "".join([*recorded, f"{record},,\n"]))


def _files(hub: Distribution) -> Iterator[tuple[str, PackagePath]]:
    """Yield where each file of an installation is in the wheel, and the file: not the hub's pages, and not what an installer makes."""
    for path in hub.files or ():
        inside, _, name = path.as_posix().rpartition("../")
        if name.startswith(_PAGES) or (inside and name.startswith(_PROGRAMS)) or path.name in _OF_THE_INSTALLATION or path.suffix == ".pyc":
            continue
        shared = bool(inside) or name.startswith(_SHARED)
        yield (f"jupyterhub-{hub.version}.data/data/{name}" if shared else name), path
