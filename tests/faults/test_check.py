"""The commands beside the service: ``check``, an operator's question before anybody else asks, and those that look after its state."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from binderhub_service.commands.checking import take_settings_of_hub
from binderhub_service.commands.program import run
from binderhub_service.store.schema_version import SCHEMA_HEAD
from tests.fake_hub import FakeHub
from tests.faults.service import ROOT, Service
from tests.faults.test_wrong_settings import WRONG

ALL = ["git", "token", "settings", "state directory", "database", "JupyterHub API", "store", "disk", "builder", "tasks"]
NOTHING = "sets up no service of this kind: it calls no configure(), or the service runs elsewhere."
BROKEN_FILES = {
    "": NOTHING,
    "c.JupyterHub.services = [{'name': 'other', 'command': ['x']}]": NOTHING,
    "c.JupyterHub.port = (": "cannot be read: '(' was never closed (line 1 of {file}).",
    "import jupyterhub_of_nowhere": "cannot be read: ModuleNotFoundError: No module named 'jupyterhub_of_nowhere'.",
}


async def ended(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    """Return the exit status of a check, what it printed and what it complained of; other tasks go on meanwhile."""
    command = [sys.executable, "-m", "binderhub_service", "check", *arguments]
    done = await asyncio.to_thread(subprocess.run, command, cwd=ROOT, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


async def check(service: Service, *arguments: str, path: str = os.environ["PATH"]) -> tuple[int, dict[str, str]]:
    """Return the exit status, and what was said of each thing."""
    status, output, complaints = await ended({**service.environment(), "PATH": path}, *arguments)
    assert "Traceback" not in complaints
    return status, {line[:18].rstrip(): line[19:] for line in output.splitlines()}


async def test_a_service_that_serves_has_everything_and_is_not_disturbed(service: Service, fake_hub: FakeHub) -> None:
    fake_hub.add("binder", "of-the-service")
    fake_hub.answers["GET", "/"] = (200, {"version": "6.1.1"})
    await service.start()
    assert await check(service) == (0, dict.fromkeys(ALL, "ok"))
    await service.stop()
    assert "Another service" not in service.log()


@pytest.mark.parametrize("wrong", ["a database's kind", "a network", "a mode's registry"])
async def test_what_is_wrong_is_said_in_its_line_and_by_the_status(service: Service, wrong: str) -> None:
    settings, why = WRONG[wrong]
    service.settings = {**settings, "BinderService": {"state_dir": str(service.state), **settings.get("BinderService", {})}}
    status, said = await check(service)
    assert status == 1
    assert any(why in line for line in said.values() if line.startswith("FAILED")), said
    assert "s3cret" not in str(said)


@pytest.mark.parametrize(
    ("version", "problem"),
    [("", "git cannot be run: No such file or directory."), ("2.25.1", "git 2.32 or newer is needed; this one is 2.25.")],
)
async def test_a_git_that_will_not_do_is_said(service: Service, tmp_path: Path, version: str, problem: str) -> None:
    if version:
        (tmp_path / "git").write_text(f"#!/bin/sh\necho git version {version}\n")
        (tmp_path / "git").chmod(0o755)
    service.settings = {"Limits": {"running": "many"}}
    status, said = await check(service, path=str(tmp_path))
    assert (status, said["git"]) == (1, f"FAILED  {problem}")


async def test_the_hubs_file_of_settings_is_looked_at(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "jupyterhub_config.py"
    more = {"BinderService": {"database_url": "mssql+pymssql://h/x"}}
    file.write_text(f"from spawner import configure\nconfigure(c, state_dir={str(tmp_path / 'state')!r}, as_root=True, service={json.dumps(more)})\n")
    status, said = await check(service, f"--hub-config={file}")
    assert (status, "needs the package pymssql" in said["database"]) == (1, True)


@pytest.mark.parametrize("text", BROKEN_FILES)
def test_a_hubs_file_that_sets_nothing_up_is_refused_in_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(text)
    with pytest.raises(SystemExit) as end:
        run(["check", f"--hub-config={file}"])
    assert end.value.code == f"{file} {BROKEN_FILES[text].format(file=file)}", "Python prints it, and ends with status 1"


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        ("", "http://127.0.0.1:8081/hub/api"),
        ("c.JupyterHub.hub_port = 9081; c.JupyterHub.base_url = '/jupyter/'", "http://127.0.0.1:9081/jupyter/hub/api"),
        ("c.JupyterHub.hub_bind_url = 'http://:9081'; c.JupyterHub.bind_url = 'http://:8000/lab'", "http://127.0.0.1:9081/lab/hub/api"),
        ("c.JupyterHub.hub_bind_url = 'http://:8081'; c.JupyterHub.hub_connect_url = 'http://hub:8081'", "http://hub:8081/hub/api"),
        ("c.JupyterHub.hub_ip = '::'; c.JupyterHub.hub_connect_ip = 'fd00::1'", "http://[fd00::1]:8081/hub/api"),
        ("c.JupyterHub.hub_ip = '0.0.0.0'; c.JupyterHub.hub_connect_ip = '10.0.0.1'", "http://10.0.0.1:8081/hub/api"),
    ],
)
def test_the_hubs_api_is_asked_where_its_settings_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: str, url: str) -> None:
    monkeypatch.delenv("JUPYTERHUB_API_URL", raising=False)
    monkeypatch.setenv("BINDERHUB_SERVICE_CONFIG", "")
    file = tmp_path / "jupyterhub_config.py"
    file.write_text(f"{lines}\nc.JupyterHub.services = [{{'name': 'binder', 'environment': {{'BINDERHUB_SERVICE_CONFIG': '{{}}'}}}}]\n")
    take_settings_of_hub(file)
    assert os.environ.pop("JUPYTERHUB_API_URL") == url


def command(service: Service, *arguments: str) -> tuple[int, str]:
    """Return the exit status of a command with a service's settings, and all that it said."""
    done = subprocess.run(
        [sys.executable, "-m", "binderhub_service", *arguments],
        env={**os.environ, **service.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_the_commands_say_in_a_sentence_what_they_did_or_why_not(service: Service, fake_hub: FakeHub, tmp_path: Path) -> None:
    fake_hub.add("binder", "of-the-service")
    await service.start()
    file = tmp_path / "kept"
    assert command(service, "backup", str(file)) == (0, f"The database, of schema {SCHEMA_HEAD}, is in {file}.\n")
    assert file.stat().st_mode & 0o077 == 0
    refused = f"A service runs with {service.state}. Stop the hub, or whatever starts the service, then try again.\n"
    assert command(service, "restore", str(file)) == (1, refused)
    await service.stop()
    assert command(service, "restore", str(file))[0] == 0
    await service.start()
    await service.stop()
    assert (service.state / "service.sqlite.before-restore").exists()
