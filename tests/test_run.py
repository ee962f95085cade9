"""`make run` on a copy of the clone: one link, a second start from what is there, and no process left at the end."""

from __future__ import annotations

import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from tests.harness.processes import assert_none_left, processes_of
from tests.harness.waiting import HANGS_SECONDS, wait_for

ROOT = Path(__file__).parent.parent
STATE = "my state"
FIRST_START_SECONDS = 300
NEXT_START_SECONDS = 60
# A process that looks like a build: in a session of its own, with its id and the lock that it holds in its directory.
BUILD = """
import fcntl, os, pathlib, sys, time
directory = pathlib.Path(sys.argv[1])
lock = (directory / "lock").open("w")
fcntl.flock(lock, fcntl.LOCK_EX)
(directory / "pid").write_text(str(os.getpid()))
time.sleep(600)
"""


class Run:
    """`make run` in the copy, as in a terminal: a process group of its own that gets Ctrl-C."""

    def __init__(self, clone: Path, port: int, **environment: str) -> None:
        self.clone = clone
        self.url = f"http://127.0.0.1:{port}"
        self._output = clone / "output.txt"
        variables = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))} | environment
        command = ["make", "run", f"PORT={port}", f"STATE={STATE}", f"PYTHON={sys.executable}"]
        with self._output.open("wb") as output:
            self.process = subprocess.Popen(command, cwd=clone, env=variables, stdout=output, stderr=output, start_new_session=True)

    def output(self) -> str:
        """Return what the terminal shows."""
        return self._output.read_text()

    def link(self, timeout_seconds: float) -> str:
        """Wait for the sign-in link and return it."""
        wait_for(lambda: "Ctrl-C ends" in self.output() or self.process.poll() is not None, "the link", timeout_seconds)
        links = re.findall(r"http://\S+", self.output())
        assert len(links) == 1, self.output()
        return links[0]

    def end(self, number: signal.Signals = signal.SIGINT) -> None:
        """Send a signal to the whole group, as a terminal does, and wait for the end."""
        os.killpg(self.process.pid, number)
        self.process.wait(HANGS_SECONDS)

    def hub(self) -> psutil.Process:
        """Return the hub's process."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        found = [process for process in children if any(word.endswith("/.venv/bin/jupyterhub") for word in process.cmdline())]
        assert len(found) == 1
        return found[0]


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a copy of this clone's files, in a directory with a space in its name."""
    copy = tmp_path_factory.mktemp("run") / "a clone"
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith("tests/"):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    return copy


@contextmanager
def running(clone: Path, port: int, **environment: str) -> Iterator[Run]:
    run = Run(clone, port, **environment)
    try:
        yield run
    finally:
        if run.process.poll() is None:
            run.end()
        assert_none_left(clone)


@pytest.fixture
def port() -> int:
    """Return a port that is free now, with the next three."""
    for first in range(20000 + os.getpid() % 10000, 60000, 10):
        sockets = [socket.socket() for _ in range(4)]
        try:
            for number, one in enumerate(sockets, first):
                one.bind(("127.0.0.1", number))
        except OSError:
            continue
        else:
            return first
        finally:
            for one in sockets:
                one.close()
    raise RuntimeError("no four free ports in a row")


def sign_in(link: str) -> int:
    return httpx.get(link, timeout=30).status_code


@pytest.fixture(scope="module")
def prepared(clone: Path) -> Path:
    """Return the copy with everything installed, the way `make run` installs it."""
    subprocess.run([sys.executable, "scripts/prepare.py", "--venv", ".venv", "--extras", "cli,docker,embedded,public"], cwd=clone, check=True)
    return clone


def test_a_fresh_clone_ends_with_one_link_that_signs_in_once(clone: Path, port: int) -> None:
    with running(clone, port) as run:
        link = run.link(FIRST_START_SECONDS)
        assert link.startswith(f"{run.url}/hub/login?token=")
        assert sign_in(link) == 302
        assert sign_in(link) == 403
        listening = {each.laddr.ip for process in processes_of(clone) for each in process.net_connections() if each.status == psutil.CONN_LISTEN}
        assert listening == {"127.0.0.1"}
        left = {path.name for path in clone.iterdir()} - {path.name for path in ROOT.iterdir()}
        assert left <= {STATE, "output.txt", ".venv", ".proxy", "binderspawner.egg-info"}
        run.end()
        assert not processes_of(clone)
        assert "Stopped" in run.output()


def test_the_next_start_needs_no_network_and_then_there_are_new_links_and_no_second_hub(prepared: Path, port: int) -> None:
    nowhere = "http://127.0.0.1:9"
    with running(prepared, port, HTTP_PROXY=nowhere, HTTPS_PROXY=nowhere, http_proxy=nowhere, https_proxy=nowhere) as run:
        old = run.link(NEXT_START_SECONDS)
        assert "nstalling" not in run.output()
        assert run.output().count("You are root") == (os.geteuid() == 0)
        command = ["make", "--silent", "link", f"STATE={STATE}", f"PYTHON={sys.executable}"]
        new = subprocess.run(command, cwd=prepared, capture_output=True, text=True, check=True).stdout.strip()
        assert sign_in(old) == 403
        assert sign_in(new) == 302
        assert "make link" in refused("--port", str(port), "--state", STATE, clone=prepared)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_end_takes_detached_builds_along(prepared: Path, port: int, number: signal.Signals) -> None:
    directory = prepared / STATE / "builds" / "one"
    with running(prepared, port) as run:
        run.link(NEXT_START_SECONDS)
        directory.mkdir(parents=True)
        build = subprocess.Popen([sys.executable, "-c", BUILD, str(directory)], start_new_session=True)
        try:
            wait_for(lambda: (directory / "pid").exists() and (directory / "pid").read_text(), "the build to hold its lock")
            run.end(number)
            assert build.wait(HANGS_SECONDS) == -signal.SIGKILL
        finally:
            build.kill()
            build.wait()
            shutil.rmtree(directory)


def test_closing_the_terminal_ends_everything(prepared: Path, port: int) -> None:
    # make is the first process of the terminal's session here, as after `ssh -t HOST make run`.
    process, terminal = pty.fork()
    if process == 0:
        os.chdir(prepared)
        os.execlp("make", "make", "run", f"PORT={port}", f"STATE={STATE}", f"PYTHON={sys.executable}")
    try:
        seen = b""
        while b"Ctrl-C ends" not in seen:
            seen += os.read(terminal, 1000)
        os.close(terminal)
        wait_for(lambda: os.waitpid(process, os.WNOHANG)[0], "the end of make")
    finally:
        assert_none_left(prepared)


def command_of(process: psutil.Process) -> str:
    """Return the command line of a process; empty if it has ended meanwhile."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def test_ctrl_c_while_the_hub_starts_leaves_nothing(prepared: Path, port: int) -> None:
    with running(prepared, port) as run:
        wait_for(lambda: any("configurable-http-proxy" in command_of(one) for one in processes_of(prepared)), "the proxy")
        run.end()


def test_a_hub_that_is_killed_leaves_nothing_and_the_end_of_its_log_is_shown(prepared: Path, port: int) -> None:
    with running(prepared, port) as run:
        run.link(NEXT_START_SECONDS)
        run.hub().kill()
        assert run.process.wait(HANGS_SECONDS) != 0
        assert "The hub ended by itself with status -9" in run.output()
        assert "JupyterHub is now running" in run.output()
        assert "Traceback" not in run.output()


def test_a_wrong_setting_is_said_beside_the_link_of_a_hub_that_runs(prepared: Path, port: int) -> None:
    config = prepared / "jupyterhub_config.py"
    right = config.read_text()
    config.write_text(right.replace('"LegacyApis": legacy', '"LegacyApis": legacy, "Limits": {"runing": 2}'))
    try:
        with running(prepared, port) as run:
            assert sign_in(run.link(NEXT_START_SECONDS)) == 302
            wait_for(lambda: "Did you mean running?" in run.output(), "the reason")
    finally:
        config.write_text(right)


def refused(*arguments: str, clone: Path = ROOT, **environment: str) -> str:
    """Run the script, which must refuse with one sentence on standard error, and return that."""
    command = [sys.executable, "scripts/run.py", *arguments]
    ended = subprocess.run(command, cwd=clone, env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.endswith(".\n")
    return ended.stderr


@pytest.mark.parametrize(("offset", "part"), [(0, "the hub"), (1, "the hub's internal API"), (2, "the proxy's API"), (3, "the service")])
def test_a_port_in_use_is_named_with_what_to_do(port: int, tmp_path: Path, offset: int, part: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port + offset))
        taken.listen()
        sentence = refused("--port", str(port), "--state", str(tmp_path))
    assert sentence.startswith(f"Port {port + offset}, for {part}, is in use")
    assert "make run PORT=" in sentence


@pytest.mark.parametrize("number", ["abc", "0", "65534", ""])
def test_what_is_no_port_is_refused(tmp_path: Path, number: str) -> None:
    assert refused("--port", number, "--state", str(tmp_path)).startswith(f"PORT={number} is not")


def test_a_missing_git_is_named_with_how_to_get_it(port: int, tmp_path: Path) -> None:
    assert "apt install git" in refused("--port", str(port), "--state", str(tmp_path), PATH=str(tmp_path))


def test_a_missing_venv_module_is_named_with_how_to_get_it(port: int, tmp_path: Path) -> None:
    # What Debian's python3 looks like without python3-venv: a finder that knows no ensurepip.
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['ensurepip'] = None\n")
    assert "apt install python3-venv" in refused("--port", str(port), "--state", str(tmp_path / "state"), PYTHONPATH=str(tmp_path))


def test_a_link_without_a_hub_is_refused(tmp_path: Path) -> None:
    assert refused("--state", str(tmp_path), "--link").startswith("No hub runs in")
