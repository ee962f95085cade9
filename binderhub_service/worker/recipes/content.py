"""The commit's content, checked out; shared by all recipes."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from ...clients.contents import GIVEN
from ...common.address_rules import AddressRules
from ...common.refs import review_ref
from ...errors import BuildFailed
from ..guards import Guard
from ..job import Job
from ..reporter import Reporter
from .checkout_git import CheckoutGit
from .first_of import leave_out
from .lfs import fetch_lfs
from .submodules import fetch_submodules

if TYPE_CHECKING:
    from ...clients.relay import Relay


def fetch(job: Job, content: Path, reporter: Reporter, environment: Mapping[str, str], logins: Path | None = None) -> list[str]:
    """Check out exactly the job's commit at `content`: alone where the server allows that, with all history where it does not.

    What somebody gave instead of a repository is put there.

    Args:
        logins: a file in the format of Git's credential store, for servers that ask who is there.

    Returns:
        Sentences about what is not there; they are in the log as well.

    Raises:
        BuildFailed: it cannot be fetched, it or a submodule is at an address that is not allowed, or it is too large.
    """
    if job.url.startswith(GIVEN):
        from .given_content import place  # with it come all kinds of archives

        place(job, content, reporter)
        return []
    content.mkdir(parents=True)
    reporter.log(f"Fetching {job.repo} at {job.commit}")
    guard = Guard(job.limits, Path(job.root), content)
    rules = job.limits.addresses
    with _way_out(rules) as relay:
        git = CheckoutGit(content, reporter, environment, guard, logins, relay)
        _check_out(job, git, reporter)
        folders = {"": job.url, **fetch_submodules(git, content)}
        said = [fetch_lfs(git, content, url, environment, public_only=rules.public_only, folder=folder) for folder, url in folders.items()]
    guard.check()
    notes = [*leave_out(content, job.first_of), *filter(None, said)]
    for note in notes:
        reporter.log(note)
    return notes


def _way_out(rules: AddressRules) -> AbstractContextManager[Relay | None]:
    """Return what git must take to servers; None where every address is open."""
    if not rules.public_only:
        return nullcontext()
    from ...clients.relay import relaying  # with it come HTTP and TLS

    return relaying(rules)


def _check_out(job: Job, git: CheckoutGit, reporter: Reporter) -> None:
    git.begin(job.url)
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
