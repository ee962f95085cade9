"""JupyterHub as environments of the tests have it: without the files of the hub's own pages, of which no server reads one.

These are 6,800 of 12,000 files. To install them takes uv two seconds of a processor, and each environment has them to be linked, counted and removed.
"""

from __future__ import annotations

import os
import sys
import zipfile
from importlib.metadata import PackagePath, distribution
from pathlib import Path

_PAGES = "share/jupyterhub/static/"
_NOT_OF_THE_WHEEL = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


def jupyterhub_of_servers() -> str:
    """Return a requirement of the jupyterhub of this process, which is made into a wheel beside it unless there is one."""
    version = distribution("jupyterhub").version
    wheel = Path(sys.prefix) / "of-servers" / f"jupyterhub-{version}-py3-none-any.whl"
    if not wheel.exists():
        wheel.parent.mkdir(exist_ok=True)
        aside = wheel.with_suffix(f".{os.getpid()}")
        _write(aside, version)
        aside.rename(wheel)
    return f"jupyterhub @ {wheel.as_uri()}"


def _write(wheel: Path, version: str) -> None:
    """Write a wheel of what is installed, with the digests that its record has."""
    recorded = []
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in distribution("jupyterhub").files or ():
            name = _name_in_wheel(path, version)
            if name and path.hash:
                archive.write(path.locate(), name)
                recorded.append(f"{name},{path.hash.mode}={path.hash.value},{path.size}\n")
        record = f"jupyterhub-{version}.dist-info/RECORD"
        archive.writestr(record, "".join([*recorded, f"{record},,\n"]))


def _name_in_wheel(path: PackagePath, version: str) -> str | None:
    """Return where a file of the installation is in the wheel; None if it is not in it."""
    inside, _, shared = path.as_posix().rpartition("../")
    if not inside:
        return None if path.name in _NOT_OF_THE_WHEEL else path.as_posix()
    is_program = shared.startswith("bin/")  # its entry points say which there are
    return None if is_program or shared.startswith(_PAGES) else f"jupyterhub-{version}.data/data/{shared}"
