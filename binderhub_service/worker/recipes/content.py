"""The commit's content, checked out; shared by all recipes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

from ...clients.relay import Relay, relaying
from ...common.address_rules import ASK_FOR_PUBLIC, not_public
from ...common.git_environment import git_environment, login_options
from ...common.git_messages import may_pass, progress_in, reason_in, says_disk_full
from ...common.refs import review_ref
from ...errors import BuildFailed
from ..guards import Guard, disk_full
from ..job import Job
from ..reporter import Reporter

_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "advice.detachedHead=false", "-c", "protocol.file.allow=never")
_RETRY_SECONDS = (1, 3, 9)
_KEPT_LINES = 50


def fetch(job: Job, content: Path, reporter: Reporter, environment: Mapping[str, str], logins: Path | None = None) -> None:
    """Check out exactly the job's commit at `content`: alone where the server allows that, with all history where it does not.

    Args:
        logins: a file in the format of Git's credential store, for servers that ask who is there.

    Raises:
        BuildFailed: it cannot be fetched, it or a submodule is at an address that is not allowed, or it is too large.
    """
    content.mkdir(parents=True)
    reporter.log(f"Fetching {job.repo} at {job.commit}")
    guard = Guard(job.limits, Path(job.root), content)
    rules = job.limits.addresses
    with relaying(rules) if rules.public_only else nullcontext() as relay:
        git = _Git(content, reporter, environment, guard, logins, relay)
        _check_out(job, git, reporter)
        if (content / ".gitmodules").exists() and not git.run("submodule", "update", "--progress", "--init", "--recursive", "--depth=1"):
            git.check_allowed("A submodule of the repository")
            raise BuildFailed(
                "A submodule of the repository could not be fetched.",
                code="fetch_failed",
                hint="Check that all addresses in .gitmodules are public http or https addresses.",
            )
    guard.check()


def _check_out(job: Job, git: _Git, reporter: Reporter) -> None:
    git.run("init", "--quiet")
    git.run("remote", "add", "origin", job.url)
    if not git.run("fetch", "--progress", "--no-tags", "--depth=1", "origin", job.commit):
        git.check_allowed("The repository")
        reporter.log("The server gives no single commits; fetching all history.")
        git.run("fetch", "--progress", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
        if review := review_ref(job.ref):
            git.run("fetch", "--progress", "--no-tags", "origin", review)
    if not git.run("checkout", "--quiet", "--detach", job.commit):
        raise BuildFailed(
            f"The commit {job.commit} could not be fetched.",
            code="fetch_failed",
            hint="Check that the commit is on a branch or tag of the repository and that the Git server is up; the log says more.",
        )


class _Git:
    """Runs git in a checkout; what fails for a passing reason is tried again, with growing waits.

    The log gets git's progress and known reasons of failures, never what a server wrote.
    """

    def __init__(
        self, content: Path, reporter: Reporter, environment: Mapping[str, str], guard: Guard, logins: Path | None, relay: Relay | None
    ) -> None:
        self._guard = guard
        self._command = (*_GIT, *(relay.git_options if relay else ()), *login_options(logins))
        self._content = content
        self._reporter = reporter
        self._environment = git_environment(environment, by_relay=relay is not None)
        self._relay = relay
        self._messages: deque[str] = deque(maxlen=_KEPT_LINES)

    def run(self, *arguments: str) -> bool:
        """Run git; say whether it went well, the last time it was tried.

        Raises:
            BuildFailed: there is no space left, or the guard says so.
        """
        went_well = self._once(arguments)
        for seconds in _RETRY_SECONDS:
            if went_well or self._is_refused() or not may_pass(self._said()):
                break
            self._reporter.log(f"The Git server has a problem; trying again in {seconds} s.")
            time.sleep(seconds)
            went_well = self._once(arguments)
        if not went_well and says_disk_full(self._said()):
            raise disk_full()
        if not went_well and not self._is_refused():
            self._reporter.log(f"git {arguments[0]} failed: {reason_in(self._said())}.")
        return went_well

    def check_allowed(self, what: str) -> None:
        """Check that git was not kept from a host; raises `BuildFailed`."""
        if self._relay and self._relay.refused:
            reason = not_public(self._relay.refused[-1])
            raise BuildFailed(f"{what} may not be fetched here: {reason}.", code="address_not_allowed", hint=ASK_FOR_PUBLIC)

    def _is_refused(self) -> bool:
        return self._relay is not None and bool(self._relay.refused)

    def _said(self) -> str:
        return "\n".join([*self._messages, self._relay.problem if self._relay else ""])

    def _once(self, arguments: tuple[str, ...]) -> bool:
        self._messages.clear()
        if self._relay:
            self._relay.problem = ""
        command = (*self._command, *arguments)
        ended = self._reporter.run(command, cwd=self._content, environment=self._environment, guard=self._guard, translate=self._told)
        return ended.status == 0

    def _told(self, line: str) -> list[str]:
        self._messages.append(line)
        progress = progress_in(line)
        return [progress] if progress else []
