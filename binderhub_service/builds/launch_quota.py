"""How many servers there may be at a time, in total, of one repository and of one person; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..errors import TooMany

_RETRY_SECONDS = 60


class QuotaReached(TooMany):
    """As many servers run as may; nothing was started.

    Args:
        metric_status: what BinderHub's launch metric calls it: ``pod_quota`` (in total) or ``repo_quota`` (of one repository); of one person,
            which it does not know, ``person_quota``.
    """

    code = "launch_quota"

    def __init__(self, message: str, *, metric_status: str, hint: str) -> None:
        super().__init__(message, hint=hint, retry_after_seconds=_RETRY_SECONDS)
        self.metric_status = metric_status


@dataclass(frozen=True)
class RunningServers:
    """How many servers there are, those that start included.

    Attributes:
        total: of everybody.
        of_repo: of the repository, at any commit, that the next one is to be started for.
        of_person: of the person who wants the next one, from whatever repository or none.
    """

    total: int
    of_repo: int
    of_person: int = 0


@dataclass(frozen=True)
class HubServer:
    """A server that runs or starts, or is to be started.

    Attributes:
        user: whose it is.
        name: its name among that user's servers.
        repos: the addresses of its repository, as options may hold them: the canonical one and what git clones.
        is_ready: whether it runs.
    """

    user: str
    name: str
    repos: frozenset[str] = frozenset()
    is_ready: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Which server it is."""
        return self.user, self.name


@dataclass(frozen=True)
class WantedServer:
    """A server that somebody wants.

    Attributes:
        server: which.
        repo_url: what `git clone` takes; named in refusals.
        quota: how many servers of its repository there may be; 0 means no bound.
        personal: how many servers its person may have; 0 means no bound.
    """

    server: HubServer
    repo_url: str
    quota: int = 0
    personal: int = 0

    def count(self, servers: Iterable[HubServer]) -> RunningServers:
        """Return how many servers there are, and how many of the repository and of the person; each counts once."""
        different = {server.key: server for server in servers}
        of_repo = sum(bool(server.repos & self.server.repos) for server in different.values())
        return RunningServers(len(different), of_repo, sum(server.user == self.server.user for server in different.values()))


@dataclass(frozen=True)
class LaunchLimits:
    """How many servers there may be.

    Attributes:
        total: of everybody; None means no bound, 0 that nothing is launched.
        per_repo: of one repository; 0 means no bound.
        per_repo_higher: of one repository that matches a provider's `high_quota_specs`; 0 means no bound.
    """

    total: int | None = None
    per_repo: int = 0
    per_repo_higher: int = 0

    def bounds(self, wanted: WantedServer) -> bool:
        """Say whether there is any bound for a server."""
        return self.total is not None or wanted.quota > 0 or wanted.personal > 0

    def of_repo(self, *, is_high: bool, config: Mapping[str, int]) -> int:
        """Return the bound for one repository; 0 means none.

        Args:
            is_high: whether it matches `high_quota_specs`.
            config: what `spec_config` says about it; its ``quota`` wins.
        """
        return config.get("quota", self.per_repo_higher if is_high else self.per_repo)

    def check(self, repo_url: str, quota: int, running: RunningServers, personal: int = 0) -> None:
        """Check that one more server may be started, in BinderHub's order and words.

        Args:
            repo_url: what `git clone` takes; named in the message.
            quota: the bound for this repository, from `of_repo`.
            running: what runs now.
            personal: the bound for this person; 0 means none.

        Raises:
            QuotaReached: it may not.
        """
        if self.total is not None and running.total >= self.total:
            raise QuotaReached(
                "Too many users on this BinderHub! Try again soon.",
                metric_status="pod_quota",
                hint="All places are taken; one becomes free when somebody stops a server.",
            )
        if quota and running.of_repo >= quota:
            raise QuotaReached(
                f"Too many users running {repo_url}! Try again soon.",
                metric_status="repo_quota",
                hint="All places of this repository are taken; one becomes free when somebody stops its server.",
            )
        if personal and running.of_person >= personal:
            raise QuotaReached(
                f"You may have {personal} servers at a time, and as many run or start.",
                metric_status="person_quota",
                hint="Stop one of them, on the hub's home page, then start this one again.",
            )
