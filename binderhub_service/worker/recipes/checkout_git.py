"""Git at work in a checkout."""

from __future__ import annotations

import errno
import subprocess
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ...common.address_rules import ASK_FOR_PUBLIC, not_public
from ...common.git_environment import git_environment, login_options
from ...common.git_messages import gives_no_part, may_pass, progress_in, reason_in, says_disk_full, says_not_there
from ...errors import BuildFailed
from ..guards import Guard, disk_full
from ..reporter import Reporter

if TYPE_CHECKING:
    from ...clients.relay import Relay

_GIT = (
    "git",
    *("-c", "core.hooksPath=/dev/null"),
    *("-c", "core.fsmonitor=false"),
    *("-c", "advice.detachedHead=false"),
    *("-c", "protocol.file.allow=never"),
    # A checkout is read by builds and left alone afterwards; its index has every path in full.
    *("-c", "maintenance.auto=false"),
    *("-c", "gc.auto=0"),
    *("-c", "index.version=2"),
    # What is kept with git-lfs is fetched afterwards, see `lfs`, whatever the machine's own settings are.
    *(word for name in ("clean", "smudge", "process") for word in ("-c", f"filter.lfs.{name}=")),
    *("-c", "filter.lfs.required=false"),
)
NO_SETTINGS: Mapping[str, str] = {}
_RETRY_SECONDS = (1, 3, 9)
_KEPT_LINES = 50
# What `git init` and `git remote add` write, in two processes (gitrepository-layout, git-config).
_CONFIG = """[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
[remote "origin"]
\turl = "{url}"
\tfetch = +refs/heads/*:refs/remotes/origin/*
"""


class CheckoutGit:
    """Runs git in a checkout; what fails for a passing reason is tried again, with growing waits.

    The log gets git's progress and known reasons of failures, never what a server wrote.
    """

    def __init__(
        self,
        content: Path,
        reporter: Reporter,
        environment: Mapping[str, str],
        guard: Guard,
        logins: Path | None = None,
        relay: Relay | None = None,
    ) -> None:
        self._guard = guard
        self._command = (*_GIT, *(relay.git_options if relay else ()), *login_options(logins))
        self._content = content
        self._reporter = reporter
        self._environment = git_environment(environment, by_relay=relay is not None)
        self._relay = relay
        self._messages: deque[str] = deque(maxlen=_KEPT_LINES)

    def begin(self, url: str) -> None:
        """Make an empty repository whose ``origin`` is an address, which has no control characters in it.

        Raises:
            BuildFailed: there is no space left.
        """
        folder = self._content / ".git"
        try:
            for name in ("objects/pack", "refs"):  # git makes the first itself, but not where a server gives plain files
                (folder / name).mkdir(parents=True)
            (folder / "HEAD").write_text("ref: refs/heads/main\n")
            (folder / "config").write_text(_CONFIG.format(url=url.replace("\\", "\\\\").replace('"', '\\"')))
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise disk_full() from error
            raise

    def may_have_file(self, name: str) -> bool:
        """Say whether the commit may have a file of this name somewhere; asks the index, and starts no process."""
        return name.encode() in (self._content / ".git" / "index").read_bytes()

    def run(self, *arguments: str, folder: str = "", settings: Mapping[str, str] = NO_SETTINGS) -> bool:
        """Run git; say whether it went well, the last time it was tried.

        Args:
            folder: where in the checkout.
            settings: of git's configuration, for this command.

        Raises:
            BuildFailed: there is no space left, or the guard says so.
        """
        command = (*(word for name, value in settings.items() for word in ("-c", f"{name}={value}")), *arguments)
        went_well = self._once(command, folder)
        for seconds in _RETRY_SECONDS:
            if went_well or self._is_refused() or self.gives_no_part or not may_pass(self._said()):
                break
            self._reporter.log(f"The Git server has a problem; trying again in {seconds} s.")
            time.sleep(seconds)
            went_well = self._once(command, folder)
        if went_well:
            return True
        if says_disk_full(self._said()):
            raise disk_full()
        if self.gives_no_part:
            self._reporter.log("The server gives no part of a history.")
        elif not self._is_refused():
            self._reporter.log(f"git {arguments[0]} failed: {self.reason}.")
        return False

    def output(self, *arguments: str, folder: str = "") -> str:
        """Return what git prints about the checkout, without asking a server; empty if it fails."""
        command = (*self._command, *arguments)
        done = subprocess.run(  # noqa: S603  # a list, no shell
            command, cwd=self._content / folder, env=self._environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        return done.stdout.decode(errors="replace") if done.returncode == 0 else ""

    @property
    def reason(self) -> str:
        """Why git failed last, in known words."""
        return reason_in(self._said())

    @property
    def says_not_there(self) -> bool:
        """Whether git failed last because a repository is not there, or not for everybody."""
        return says_not_there(self._said())

    @property
    def gives_no_part(self) -> bool:
        """Whether git failed last because the server gives whole histories alone."""
        return gives_no_part(self._said())

    def check_allowed(self, what: str) -> None:
        """Check that git was not kept from a host; raises `BuildFailed`."""
        if self._relay and self._relay.refused:
            reason = not_public(self._relay.refused[-1])
            raise BuildFailed(f"{what} may not be fetched here: {reason}.", code="address_not_allowed", hint=ASK_FOR_PUBLIC)

    def _is_refused(self) -> bool:
        return self._relay is not None and bool(self._relay.refused)

    def _said(self) -> str:
        return "\n".join([*self._messages, self._relay.problem if self._relay else ""])

    def _once(self, arguments: tuple[str, ...], folder: str) -> bool:
        self._messages.clear()
        if self._relay:
            self._relay.problem = ""
        command = (*self._command, *arguments)
        ended = self._reporter.run(command, cwd=self._content / folder, environment=self._environment, guard=self._guard, translate=self._told)
        return ended.status == 0

    def _told(self, line: str) -> list[str]:
        self._messages.append(line)
        progress = progress_in(line)
        return [progress] if progress else []
