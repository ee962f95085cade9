"""How much of everything there may be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import TooMany
from ..models import Build

_RETRY_SECONDS = 30


@dataclass(frozen=True)
class BuildLimits:
    """Limits on builds; 0 means no limit.

    Attributes:
        running: how many run at a time; at least 1.
        per_user: how many of one owner's may wait and run.
        per_repo: how many of one repository's may wait and run.
        build_seconds: how long one may run.
        queue_seconds: how long one may wait for its turn.
        resolving: how many requests may wait for a Git server's answer at a time.
        resolving_per_user: how many of them may be one user's.
        ref_seconds: for how long it is taken for known which commit a ref is at; 0 asks for every request.
        log_bytes: how much log is kept of one; more is cut, and the build goes on.
    """

    running: int = 2
    per_user: int = 0
    per_repo: int = 0
    build_seconds: float = 0
    queue_seconds: float = 0
    resolving: int = 0
    resolving_per_user: int = 0
    ref_seconds: float = 0
    log_bytes: int = 0

    def check_may_begin(self, owner: str, repo: str, unfinished: Sequence[Build]) -> None:
        """Raise `TooMany` if the owner or the repository has as many unfinished builds as it may have."""
        if self.per_user and sum(build.owner == owner for build in unfinished) >= self.per_user:
            raise TooMany(
                f"You have {self.per_user} builds waiting or running, which is as many as you may have.",
                code="too_many_builds",
                hint="Wait until one has ended, or cancel one.",
                retry_after_seconds=_RETRY_SECONDS,
            )
        if self.per_repo and sum(build.source.repo == repo for build in unfinished) >= self.per_repo:
            raise TooMany(
                f"The repository has {self.per_repo} builds waiting or running, which is as many as it may have.",
                code="too_many_builds",
                hint="Wait until one has ended.",
                retry_after_seconds=_RETRY_SECONDS,
            )
