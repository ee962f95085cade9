"""How many servers may run."""

from __future__ import annotations

import pytest

from binderhub_service.builds.launch_quota import LaunchLimits, QuotaReached, RunningServers

REPO = "https://github.com/o/r"


@pytest.mark.parametrize(
    ("quota", "of_repo", "running"),
    [
        (LaunchLimits(), 0, RunningServers(10_000, 10_000)),
        (LaunchLimits(total=3), 0, RunningServers(2, 2)),
        (LaunchLimits(total=3), 2, RunningServers(2, 1)),
        (LaunchLimits(), 2, RunningServers(50, 1)),
    ],
)
def test_below_its_bounds_a_launch_passes(quota: LaunchLimits, of_repo: int, running: RunningServers) -> None:
    quota.check(REPO, of_repo, running)


@pytest.mark.parametrize(
    ("quota", "of_repo", "running", "status", "message"),
    [
        (LaunchLimits(total=3), 0, RunningServers(3, 0), "pod_quota", "Too many users on this BinderHub! Try again soon."),
        (LaunchLimits(total=0), 0, RunningServers(0, 0), "pod_quota", "Too many users on this BinderHub! Try again soon."),
        (LaunchLimits(total=3), 1, RunningServers(3, 1), "pod_quota", "Too many users on this BinderHub! Try again soon."),
        (LaunchLimits(total=3), 1, RunningServers(2, 1), "repo_quota", f"Too many users running {REPO}! Try again soon."),
        (LaunchLimits(), 1, RunningServers(2, 2), "repo_quota", f"Too many users running {REPO}! Try again soon."),
    ],
)
def test_at_a_bound_a_launch_is_refused_in_binderhubs_words(
    quota: LaunchLimits, of_repo: int, running: RunningServers, status: str, message: str
) -> None:
    with pytest.raises(QuotaReached) as caught:
        quota.check(REPO, of_repo, running)
    assert (caught.value.message, caught.value.metric_status, caught.value.hint) == (message, status, caught.value.hint or "a hint")
    assert caught.value.code == "launch_quota"


def test_at_a_persons_bound_the_person_reads_it_and_what_to_do() -> None:
    LaunchLimits().check(REPO, 0, RunningServers(9, 9, 1), personal=2)
    with pytest.raises(QuotaReached) as caught:
        LaunchLimits().check(REPO, 0, RunningServers(9, 9, 2), personal=2)
    assert f"{caught.value.message} {caught.value.hint}" == (
        "You may have 2 servers at a time, and as many run or start. Stop one of them, on the hub's home page, then start this one again."
    )


def test_a_repository_has_the_usual_bound_the_higher_one_or_its_own() -> None:
    quota = LaunchLimits(per_repo=5, per_repo_higher=50)
    assert quota.of_repo(is_high=False, config={}) == 5
    assert quota.of_repo(is_high=True, config={}) == 50
    assert quota.of_repo(is_high=True, config={"quota": 7}) == 7
    assert quota.of_repo(is_high=False, config={"quota": 0}) == 0
