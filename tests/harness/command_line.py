"""The program `binder`, as people and scripts run it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pexpect

from tests.harness.waiting import HANGS_SECONDS

SECONDS = HANGS_SECONDS
# What a test says is all that the program knows.
_OTHERS = ("BINDER_", "JUPYTERHUB_", "XDG_CONFIG_HOME", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "NO_COLOR", "FORCE_COLOR", "TERM")


class CommandLine:
    """Runs `binder` with a configuration directory of its own.

    Attributes:
        variables: environment variables; by default the hub and the token.
        config: the file that `binder login` writes.
    """

    def __init__(self, directory: Path, hub: str = "", token: str = "") -> None:
        self.config = directory / "binder" / "config.json"
        named = {"BINDER_HUB": hub, "BINDER_TOKEN": token}
        self.variables = {"XDG_CONFIG_HOME": str(directory), **{name: value for name, value in named.items() if value}}

    def run(self, *arguments: str, stdin: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        """Run it as a script does, to its end; fail if it ends with a traceback."""
        done = subprocess.run(
            self._command(arguments), env=self._environment(variables), input=stdin, capture_output=True, text=True, timeout=SECONDS, check=False
        )
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def output(self, *arguments: str, **variables: str) -> str:
        """Run it as a script does, and return what it prints; fail unless it ends well."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def terminal(self, *arguments: str, **variables: str) -> pexpect.spawn[str]:
        """Start it in a terminal of 120 columns; `shown` waits for its end."""
        program, *rest = self._command(arguments)
        environment = self._environment({"TERM": "xterm-256color"} | variables)
        return pexpect.spawn(program, rest, env=environment, encoding="utf-8", timeout=SECONDS, dimensions=(40, 120), echo=False)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [sys.executable, "-m", "binder_client", *arguments]

    def _environment(self, variables: dict[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(_OTHERS)}
        return kept | self.variables | variables


def shown(terminal: pexpect.spawn[str]) -> tuple[str, int]:
    """Wait for the end; return all that the terminal showed since the last look, and the exit status."""
    text = terminal.read()
    terminal.close()
    assert "Traceback" not in text, text
    assert terminal.exitstatus is not None, f"ended by signal {terminal.signalstatus}"
    return text, terminal.exitstatus
