"""Start the hub on this machine, print a link that signs in, and end everything with Ctrl-C.

Works with nothing but Python's own library. The hub runs in a session of its own, so that Ctrl-C in the terminal reaches only
this script, which then ends the hub, its proxy, its service, the servers and the builds in that order.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import IO

from prepare import ROOT, CannotPrepare, prepare, programs_path

# Runs a program without what two libraries of the hub do when they are imported and next to nobody needs.
QUICK = ROOT / "binderhub_service/common/quick_imports.py"
START_SECONDS = 120
STOP_SECONDS = 40
KILL_SECONDS = 5
# How the service answers before it serves, and what it says at first (binderhub_service/process/receiving.py).
WAITING, STARTING = "service_starting", "The service is starting."
MODES = ("embedded", "docker")
PARTS = ("the hub", "the hub's internal API", "the proxy's API", "the service")
PR_SET_CHILD_SUBREAPER = 36
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OTHER_PORT = "choose another port, for example `make run PORT=9000`"

WELCOME = """
    Open this link to sign in. It works once; `make link` prints a new one.

        {link}
{as_root}
Ctrl-C ends the hub."""
AS_ROOT = """
    You are root, and so is whatever a repository runs here: it may do everything on this machine. MODE=docker runs it in containers.
"""

PUBLIC_WELCOME = """
    Everybody who can reach this hub launches servers here, without a login:

        http://127.0.0.1:{port}/

    It listens on this machine only. Servers that are idle for ten minutes are removed with all that is in them.
{warning}
Ctrl-C ends the hub."""
EMBEDDED_WARNING = """
    NEVER FOR STRANGERS: code of every repository that is launched runs as your own user, with your files. MODE=docker runs it in containers.
"""


class CannotRun(Exception):
    """The hub cannot be started; the text says in one sentence why and what to do."""


class Stop(BaseException):
    """Somebody asked for the end: Ctrl-C, SIGTERM, or the terminal went away."""


def check_ports(port: int) -> None:
    """Raise `CannotRun` unless this and the next three ports are free on 127.0.0.1."""
    if not 1 <= port <= 65535 - len(PARTS) + 1:
        raise CannotRun(f"PORT={port} is not possible: choose one from 1024 to {65535 - len(PARTS) + 1}.")
    for number, part in enumerate(PARTS, port):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except PermissionError:
                raise CannotRun(f"Port {number} is not for ordinary users: {OTHER_PORT}.") from None
            except OSError:
                raise CannotRun(f"Port {number}, for {part}, is in use: end what uses it, or {OTHER_PORT}.") from None


def lock(state: Path) -> IO[str]:
    """Return the file whose lock means "a hub runs in this state directory"; the hub inherits it and so holds it."""
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = (state / "run.lock").open("a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        other = "`make run STATE=.other PORT=9000` starts another"
        raise CannotRun(f"A hub runs in {state} already: `make link` prints a link for it, and {other}.") from None
    return file


def hub_address(venv: Path, mode: str, registry: str) -> str:
    """Return where the hub will listen; raise `CannotRun` unless this machine has what the mode needs."""
    if mode != "docker":
        return "127.0.0.1"
    command = [str(venv / "bin/python"), "-m", "spawner.docker.setup", registry]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ | {"PATH": programs_path(venv)}, check=False)
    if checked.returncode != 0:
        raise CannotRun(checked.stderr.strip())
    return checked.stdout.strip()


def start(venv: Path, state: Path, settings: Mapping[str, str], held: IO[str]) -> subprocess.Popen[bytes]:
    """Start the hub with `settings` in its environment, its output in STATE/jupyterhub.log."""
    uv_cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "uv"  # yours, which has been filled a moment ago
    environment = {"UV_CACHE_DIR": str(uv_cache)} | os.environ | settings
    environment |= {"STATE": str(state), "PATH": programs_path(venv), "PYTHONUNBUFFERED": "1"}
    with (state / "jupyterhub.log").open("ab") as log:
        return subprocess.Popen(
            [str(venv / "bin/python"), str(QUICK), str(venv / "bin/jupyterhub"), "-f", str(ROOT / "jupyterhub_config.py")],
            cwd=state,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            pass_fds=[held.fileno()],
        )


def wait_until_up(hub: subprocess.Popen[bytes], address: str, port: int, log: Path) -> str:
    """Return when the hub and its service answer, with what the service says if it cannot serve; raise `CannotRun` if they do not answer."""
    deadline = time.monotonic() + START_SECONDS
    hub_health, service_health = "hub/health", "services/binder/health"
    # First both by their own ports, because the proxy logs an error for everything it is asked before it knows the way.
    here = "127.0.0.1"
    order = ((address, port + 1, hub_health), (here, port + 3, service_health), (here, port, hub_health), (here, port, service_health))
    reason = None
    for what in (f"http://{host}:{number}/{path}" for host, number, path in order):
        while (reason := _answer(what)) is None:
            if hub.poll() is not None:
                raise CannotRun(f"The hub ended while it started; its log, {log}, ends with:\n{_tail(log)}")
            if time.monotonic() > deadline:
                raise CannotRun(f"{what} did not answer within {START_SECONDS} seconds; the hub's log, {log}, ends with:\n{_tail(log)}")
            time.sleep(0.2)
    return reason or ""


def new_link(venv: Path, state: Path, port: int) -> str:
    """Return a link that signs in once; earlier ones stop working."""
    command = [str(venv / "bin/python"), "-m", "binderhub_service.common.one_time_token", str(state / "signin")]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise CannotRun(f"No sign-in link could be made:\n{made.stderr}")
    return f"http://127.0.0.1:{port}/hub/login?token={made.stdout.strip()}"


def stop(hub: subprocess.Popen[bytes] | None, venv: Path, state: Path) -> None:
    """End the hub with all it started, and the builds, which outlive the service on purpose."""
    say("\nStopping the hub, its servers and its builds ...")
    if hub is not None and hub.returncode is None:
        hub.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired, Stop):
            signal.signal(signal.SIGINT, _stop_now)  # a second Ctrl-C waits no longer
            try:
                hub.wait(STOP_SECONDS)
            finally:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
    subprocess.run([str(venv / "bin/python"), "-m", "binderhub_service.builders.process", "stop", str(state / "builds")], cwd=ROOT, check=False)
    end_descendants()
    say("Stopped. Builds and working copies are kept.")


def end_descendants() -> None:
    """End what is left: SIGTERM, and after some seconds SIGKILL. Elsewhere than on Linux the hub's own clean-up has to do."""
    started = time.monotonic()
    asked: set[int] = set()
    while (left := _descendants(os.getpid())) and time.monotonic() < started + 2 * KILL_SECONDS:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                if time.monotonic() > started + KILL_SECONDS:
                    os.kill(pid, signal.SIGKILL)
                elif pid not in asked:
                    os.kill(pid, signal.SIGTERM)
        asked |= left
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.05)


def say(text: str) -> None:
    """Print, also when the terminal is gone."""
    with contextlib.suppress(OSError):
        print(text, flush=True)


def _answer(url: str) -> str | None:
    """Return nothing if the hub or the service at an address serves, why it cannot serve if it says so, and None if it does not answer."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2):
            return ""
    except urllib.error.HTTPError as refusal:
        with refusal:
            return _reason(refusal)
    except OSError:
        return None


def _reason(refusal: IO[bytes]) -> str | None:
    """Return why the service goes on waiting; None if it only needs another moment."""
    try:
        error = json.load(refusal)["error"]
        return str(error["message"]) if error["code"] == WAITING and error["message"] != STARTING else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _tail(log: Path) -> str:
    return "\n".join("    " + line for line in log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:])


def _adopt_orphans() -> None:
    """On Linux, make this process the parent of every descendant whose own parent dies, so that none gets lost."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _descendants(of: int) -> set[int]:
    """Return the ids of all living descendants, zombies left out; nothing where there is no /proc."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[int(entry.name)] = int(parent)
    found = {of}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {of}


def _wait_for_end(hub: subprocess.Popen[bytes]) -> int:
    """Return the hub's exit status, and meanwhile bury the orphans that this process has adopted."""
    while True:
        pid, status = os.waitpid(-1, 0)
        if pid == hub.pid:
            hub.returncode = os.waitstatus_to_exitcode(status)
            return hub.returncode


def _listen_to_signals() -> None:
    """Turn Ctrl-C, SIGTERM and the end of the terminal into `Stop`; a person who said nohup keeps the hub without a terminal."""
    for number in ENDING_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop_now)


def _watch_terminal() -> None:
    """Have SIGHUP sent here when the terminal goes away: the kernel tells its first process, and if that is make, nobody else hears."""

    def watch() -> None:
        hang_up = select.poll()
        hang_up.register(sys.stdin, 0)
        hang_up.poll()
        os.kill(os.getpid(), signal.SIGHUP)

    if sys.stdin is not None and sys.stdin.isatty():
        threading.Thread(target=watch, daemon=True).start()


def _stop_now(number: int, frame: FrameType | None) -> None:
    """Raise `Stop`, and let no further signal break into the cleaning up; make passes SIGTERM on, so it comes twice."""
    for each in ENDING_SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stop


def welcome(venv: Path, state: Path, port: int, mode: str, legacy: str = "", *, is_public: bool) -> str:
    """Return what to say when the hub is up; a sign-in link is made where people sign in."""
    if not is_public:
        as_root = AS_ROOT if mode == "embedded" and os.geteuid() == 0 else ""
        return WELCOME.format(link=new_link(venv, state, port), as_root=as_root)
    return PUBLIC_WELCOME.format(port=port, warning=EMBEDDED_WARNING if mode == "embedded" else "")


def run(venv: Path, state: Path, port: int, mode: str, registry: str, legacy: str = "", *, is_public: bool = False) -> int:
    """Do everything from preparing to the end; return the exit status."""
    _listen_to_signals()
    _watch_terminal()
    log = state / "jupyterhub.log"
    with lock(state) as held:
        check_ports(port)
        # One environment for both modes, so that changing from one to the other installs nothing anew.
        prepare(venv, "cli,docker,embedded,public")
        address = hub_address(venv, mode, registry)
        _adopt_orphans()
        hub = None
        try:
            say(f"Starting the hub; its log is {log} ...")
            settings = {"PORT": str(port), "MODE": mode, "REGISTRY": registry, "LEGACY": legacy, "PUBLIC": "1" if is_public else ""}
            hub = start(venv, state, settings, held)
            text = welcome(venv, state, port, mode, is_public=is_public)
            reason = wait_until_up(hub, address, port, log)
            (state / "run.json").write_text(json.dumps({"port": port}), encoding="utf-8")
            say(text)
            if reason:
                say(f"\nBut servers cannot be made of repositories now. {reason}")
            status = _wait_for_end(hub)
            raise CannotRun(f"The hub ended by itself with status {status}; its log, {log}, ends with:\n{_tail(log)}")
        except Stop:
            return 0
        finally:
            stop(hub, venv, state)


def print_link(venv: Path, state: Path) -> int:
    """Print a fresh link for the hub that runs in `state`."""
    try:
        port = json.loads((state / "run.json").read_text(encoding="utf-8"))["port"]
    except FileNotFoundError:
        port = 0
    if _answer(f"http://127.0.0.1:{port}/hub/health") is None:
        raise CannotRun(f"No hub runs in {state}: start it with `make run`, or name another directory with `make link STATE=...`.")
    say(new_link(venv, state, port))
    return 0


def main() -> None:
    """Read the command line; errors are one sentence and exit status 1."""
    parser = argparse.ArgumentParser(description="Start the hub on this machine, or print a new sign-in link for it.")
    parser.add_argument("--port", default="8000", help="port of the hub; the next three are used as well")
    parser.add_argument("--state", default=".state", help="directory for everything that is kept, relative to the clone")
    parser.add_argument("--mode", default="embedded", help="how servers and images are made")
    parser.add_argument("--registry", default="", help="registry that docker mode pushes images to; without one they stay in the engine")
    parser.add_argument("--legacy", default="", help="anything: serve the APIs of older services as well")
    parser.add_argument("--public", action="store_true", help="let everybody who reaches the hub in, each with a temporary user")
    parser.add_argument("--link", action="store_true", help="only print a new sign-in link for the hub that runs in STATE")
    arguments = parser.parse_args()
    venv, state = ROOT / ".venv", ROOT / arguments.state
    try:
        if not arguments.port.isdigit():
            raise CannotRun(f"PORT={arguments.port} is not a number: choose one like `make run PORT=9000`.")
        if arguments.mode not in MODES:
            raise CannotRun(f"There is no MODE={arguments.mode}: choose one of {', '.join(MODES)}.")
        if arguments.link:
            sys.exit(print_link(venv, state))
        sys.exit(run(venv, state, int(arguments.port), arguments.mode, arguments.registry, arguments.legacy, is_public=arguments.public))
    except Stop:
        sys.exit(130)
    except (CannotRun, CannotPrepare) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
