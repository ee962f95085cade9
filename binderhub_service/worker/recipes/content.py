"""The commit's content, checked out; shared by all recipes."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from pathlib import Path

from ...common.git_environment import git_environment, login_options
from ...errors import BuildFailed
from ..guards import Guard, disk_full
from ..job import Job
from ..reporter import Finished, Reporter

_GIT = ("git", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "advice.detachedHead=false", "-c", "protocol.file.allow=never")
_RETRY_SECONDS = (1, 3, 9)
_TRANSIENT = re.compile(
    r"error: 5\d\d|error: 429|Connection reset|Connection refused|Connection timed out|early EOF|unexpected disconnect|Could not resolve host"
    r"|hung up unexpectedly|Operation too slow|Empty reply",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"No space left on device", re.IGNORECASE)


def fetch(job: Job, content: Path, reporter: Reporter, environment: Mapping[str, str], logins: Path | None = None) -> None:
    """Check out exactly the job's commit at `content`: alone where the server allows that, with all history where it does not.

    Args:
        logins: a file in the format of Git's credential store, for servers that ask who is there.

    Raises:
        BuildFailed: it cannot be fetched, or is too large.
    """
    content.mkdir(parents=True)
    reporter.log(f"Fetching {job.repo} at {job.commit}")
    git = _Git(content, reporter, environment, Guard(job.limits, Path(job.root), content), logins)
    git.run("init", "--quiet")
    git.run("remote", "add", "origin", job.url)
    if git.run("fetch", "--quiet", "--no-tags", "--depth=1", "origin", job.commit).status:
        reporter.log("The server gives no single commits; fetching all history.")
        git.run("fetch", "--tags", "origin", "+refs/heads/*:refs/remotes/origin/*")
    if git.run("checkout", "--quiet", "--detach", job.commit).status:
        raise BuildFailed(
            f"The commit {job.commit} could not be fetched.",
            code="fetch_failed",
            hint="Check that the commit is on a branch or tag of the repository and that the Git server is up; the log says more.",
        )
    if (content / ".gitmodules").exists() and git.run("submodule", "--quiet", "update", "--init", "--recursive", "--depth=1").status:
        raise BuildFailed(
            "A submodule of the repository could not be fetched.",
            code="fetch_failed",
            hint="Check that all addresses in .gitmodules are public http or https addresses.",
        )
    git.guard.check()


class _Git:
    """Runs git in a checkout; what fails for a passing reason is tried again, with growing waits."""

    def __init__(self, content: Path, reporter: Reporter, environment: Mapping[str, str], guard: Guard, logins: Path | None) -> None:
        self.guard = guard
        self._command = (*_GIT, *login_options(logins))
        self._content = content
        self._reporter = reporter
        self._environment = git_environment(environment)

    def run(self, *arguments: str) -> Finished:
        """Run git; return how it ended, the last time it was tried."""
        finished = self._once(arguments)
        for seconds in _RETRY_SECONDS:
            if not finished.status or not _TRANSIENT.search(finished.tail):
                break
            self._reporter.log(f"The Git server has a problem; trying again in {seconds} s.")
            time.sleep(seconds)
            finished = self._once(arguments)
        if finished.status and _NO_SPACE.search(finished.tail):
            raise disk_full()
        return finished

    def _once(self, arguments: tuple[str, ...]) -> Finished:
        return self._reporter.run((*self._command, *arguments), cwd=self._content, environment=self._environment, guard=self.guard)
