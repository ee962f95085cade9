"""A package index on loopback with a handful of packages made on the spot, so that builds are quick and need no outside."""

from __future__ import annotations

import base64
import hashlib
import io
import ssl
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from tests.harness.web_thread import in_thread

BACKEND = (
    "def build_wheel(*a, **k):\n    raise SystemExit('a line\\n' * 200 + 'there is no compiler here')\nget_requires_for_build_wheel = lambda *a: []\n"
)


class PackageIndex:
    """Packages below `root`; `url` is what package installers take as an index. With `tls`, it speaks https."""

    def __init__(self, root: Path, tls: ssl.SSLContext | None = None) -> None:
        self.root = root
        self._tls = tls
        self.url = ""
        self.asked: list[str] = []

    def add(self, name: str, version: str = "1.0", requires: str = "", module: str = "", program: str = "") -> None:
        """Add a package that can be imported by its name and tells its version, or whose module is as given; `program` runs its module."""
        info = f"{name}-{version}.dist-info"
        needs = f"Requires-Dist: {requires}\n" if requires else ""
        files = {
            f"{name}.py": module or f"version = {version!r}\n",
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        if program:
            files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{program} = {name}:main\n"
        recorded = "".join(f"{path},sha256={_digest(text)},{len(text)}\n" for path, text in files.items())
        with zipfile.ZipFile(self._folder(name) / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            for path, text in (files | {f"{info}/RECORD": f"{recorded}{info}/RECORD,,\n"}).items():
                wheel.writestr(path, text)

    def add_unbuildable(self, name: str, version: str = "1.0") -> None:
        """Add a package that has to be built and cannot be."""
        files = {
            "pyproject.toml": "[build-system]\nrequires = []\nbuild-backend = 'backend'\nbackend-path = ['.']\n",
            "backend.py": BACKEND,
            "PKG-INFO": f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n",
        }
        with tarfile.open(self._folder(name) / f"{name}-{version}.tar.gz", "w:gz") as archive:
            for path, text in files.items():
                member = tarfile.TarInfo(f"{name}-{version}/{path}")
                member.size = len(text)
                archive.addfile(member, io.BytesIO(text.encode()))

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def running(self) -> Iterator[PackageIndex]:
        """Serve while the block runs."""
        handler = partial(_Handler, directory=str(self.root), asked=self.asked)
        server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        if self._tls:
            server.socket = self._tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if self._tls else 'http'}://127.0.0.1:{server.server_port}"
        with in_thread(server):
            yield self


def _digest(text: str) -> str:
    """Return a digest as wheels record it."""
    return base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


class _Handler(SimpleHTTPRequestHandler):
    """A folder's listing is already what installers read."""

    def __init__(self, *arguments: Any, asked: list[str], **more: Any) -> None:
        self._asked = asked
        super().__init__(*arguments, **more)

    def do_GET(self) -> None:
        self._asked.append(self.path)
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the test's output clean."""
